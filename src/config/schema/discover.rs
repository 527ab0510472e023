//! `discover` of a pool: where endpoints come from besides the list.

use std::path::PathBuf;

use crate::config::setting::{choice, table};

table! {
    /// Sources of endpoints besides those listed in `endpoints`: a pool has both. The list is followed while the proxy runs, without a reload; when it cannot be read, is malformed or empty, the last good one stays.
    pub struct Discover {
    }
    choices {
        /// The source: exactly one of these.
        pub source: DiscoverSource,
    }
    later { "dns", "consul", "etcd", "zookeeper", "eureka", "http", "kubernetes" }
}

choice! {
    /// A source of endpoints.
    pub enum DiscoverSource {
        /// A file that lists them, which is watched.
        "file" => File(DiscoverFile),
    }
}

table! {
    /// A file that lists endpoints, which is watched.
    pub struct DiscoverFile {
        /// The file: TOML if its name ends in `.toml` (`endpoints = ["10.0.0.1:80", { address = "10.0.0.2:80", weight = 3 }]`), else JSON (`["10.0.0.1:80", { "address": "10.0.0.2:80", "weight": 3 }]`, or Prometheus' `file_sd`: `[{ "targets": ["10.0.0.1:80"], "labels": { "version": "1.4.2" } }]`). At most 16 MiB and 50,000 endpoints. An address that is in `endpoints` too is used as it is written there.
        pub path: PathBuf,
    }
}
