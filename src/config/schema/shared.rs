//! `[config]`: a configuration that many proxies share.

use std::path::PathBuf;

use super::tls::PoolTls;
use crate::config::setting::{choice, table};
use crate::config::value::{HttpUrl, Name, Ratio, Secret, ServerUrl};

table! {
    /// A configuration that many proxies share. With `source` this file holds `[proxy]`, `[admin]` and `[config]` only, and all other tables come from the store.
    pub struct SharedConfig: Default {
        /// Store of the other tables; without this they are in this file.
        pub source: Option<ConfigSource> = None,
        /// Name of this proxy in `sluicegate fleet`, one for each; by default the name of the host and the number of the process.
        pub name: Option<Name> = None,
        /// Refusal of edits that would route recent requests otherwise than now.
        pub gate: Option<ReloadGate> = None,
    }
}

table! {
    /// Limit on the effect of an edit. Each proxy keeps a bounded sample of the request heads of the last 10 minutes, without secrets. Before a reload it routes them by both configurations. If a larger share would move, the edit is refused like a faulty one; `sluicegate reload --force` applies it all the same. With fewer than 100 requests nothing is refused. The gate that counts is that of the configuration in use; a start is not judged.
    pub struct ReloadGate {
        /// Share of the requests that may get another route, pool or version, be refused that were served, or be served that were refused.
        pub routes_changed_max: Ratio,
    }
}

table! {
    /// Store of the configuration that many proxies share. A write is checked and taken up like an edit of a file; a bad one is refused, and the old one stays.
    pub struct ConfigSource {
    }
    choices {
        /// The store: exactly one of these.
        pub store: ConfigStore,
    }
}

choice! {
    /// A store of a configuration.
    pub enum ConfigStore {
        /// A key of etcd.
        "etcd" => Etcd(Box<ConfigEtcd>),
        /// A key of Consul.
        "consul" => Consul(Box<ConfigConsul>),
    }
}

table! {
    /// A key of etcd (version 3.4 or later) whose value is the configuration, as TOML.
    pub struct ConfigEtcd {
        /// Servers of the cluster, as `http://HOST:PORT`, or `https://` for TLS. One at a time is asked; the others are tried in turn when it fails or falls silent.
        pub endpoints: Vec<ServerUrl>,
        /// The key, such as `"sluicegate/edge"`. The keys that begin with `KEY/fleet/` are those of the proxies that use it.
        pub key: String,
        /// User, where etcd asks for one. It needs a role that may read the key and write under `KEY/fleet/`.
        pub user: Option<String> = None,
        /// Its password.
        pub password: Option<Secret> = None,
        /// TLS towards the servers, where it differs from the system's authorities and the names in the URLs.
        pub tls: Option<PoolTls> = None,
    }
}

table! {
    /// A key of Consul whose value is the configuration, as TOML. Consul takes values of up to 512 KB.
    pub struct ConfigConsul {
        /// URL of the agent, `http` or `https`.
        pub address: HttpUrl = HttpUrl::consul(),
        /// The key, such as `"sluicegate/edge"`. The keys that begin with `KEY/fleet/` are those of the proxies that use it.
        pub key: String,
        /// ACL token. It needs `key:read` for the key, and for `sluicegate fleet` `key:write` for `KEY/fleet/` and `session:write` for the node.
        pub token: Option<Secret> = None,
        /// File of the authorities that may certify the agent, as PEM; by default the system's.
        pub ca: Option<PathBuf> = None,
    }
}
