//! `discover` of a pool: where endpoints come from besides the list.

use std::path::PathBuf;

use super::tls::PoolTls;
use crate::config::setting::{choice, table};
use crate::config::value::{Secret, ServerUrl};

table! {
    /// Sources of endpoints besides those listed in `endpoints`: a pool has both. The list is followed while the proxy runs, without a reload; when it cannot be read, is malformed or empty, the last good one stays.
    pub struct Discover {
    }
    choices {
        /// The source: exactly one of these.
        pub source: DiscoverSource,
    }
    later { "dns", "consul", "zookeeper", "eureka", "http", "kubernetes" }
}

choice! {
    /// A source of endpoints.
    pub enum DiscoverSource {
        /// A file that lists them, which is watched.
        "file" => File(DiscoverFile),
        /// Keys of etcd, one for each endpoint.
        "etcd" => Etcd(Box<DiscoverEtcd>),
    }
}

table! {
    /// A file that lists endpoints, which is watched.
    pub struct DiscoverFile {
        /// The file: TOML if its name ends in `.toml` (`endpoints = ["10.0.0.1:80", { address = "10.0.0.2:80", weight = 3 }]`), else JSON (`["10.0.0.1:80", { "address": "10.0.0.2:80", "weight": 3 }]`, or Prometheus' `file_sd`: `[{ "targets": ["10.0.0.1:80"], "labels": { "version": "1.4.2" } }]`). At most 16 MiB and 50,000 endpoints. An address that is in `endpoints` too is used as it is written there.
        pub path: PathBuf,
    }
}

table! {
    /// Keys of etcd (version 3.4 or later), one for each endpoint. They are watched; an endpoint whose lease ends leaves.
    pub struct DiscoverEtcd {
        /// Servers of the cluster, as `http://HOST:PORT`, or `https://` for TLS. One at a time is asked; the others are tried in turn when it fails or falls silent.
        pub endpoints: Vec<ServerUrl>,
        /// Beginning of the keys, such as `"/services/orders/"`. A value is an address (`10.0.0.1:80`), or JSON: an entry as in a file (`{ "address": "10.0.0.1:80", "weight": 3, "version": "1.4.2" }`) or a group of `file_sd`. A value that is none of these is left out.
        pub prefix: String,
        /// User, where etcd asks for one. It needs a role that may read the prefix.
        pub user: Option<String> = None,
        /// Its password.
        pub password: Option<Secret> = None,
        /// TLS towards the servers, where it differs from the system's authorities and the names in the URLs.
        pub tls: Option<PoolTls> = None,
    }
}
