//! `proxy.rollout_store`: the place where many proxies keep the progress of rollouts.

use std::path::PathBuf;
use std::time::Duration;

use super::tls::PoolTls;
use crate::config::setting::{choice, table};
use crate::config::value::{HttpUrl, Secret, ServerUrl};

table! {
    /// Store in which many equal proxies keep the progress of their rollouts: one of them leads, the figures of all are added up, and all give the same share of the users the new version. While it is away the share stays, and nothing is promoted.
    pub struct RolloutStore {
        /// Time after which another proxy leads when the leader is gone; from 3s to 1m. Consul ends a session after 10s at the earliest, and may take twice as long.
        pub lease: Duration = Duration::from_secs(5),
    }
    choices {
        /// The store: exactly one of these.
        pub place: RolloutPlace,
    }
}

choice! {
    /// A store of the progress of rollouts.
    pub enum RolloutPlace {
        /// Keys of etcd.
        "etcd" => Etcd(Box<RolloutEtcd>),
        /// Keys of Consul.
        "consul" => Consul(Box<RolloutConsul>),
    }
}

table! {
    /// Keys of etcd (version 3.4 or later).
    pub struct RolloutEtcd {
        /// Servers of the cluster, as `http://HOST:PORT`, or `https://` for TLS. One at a time is asked; the others are tried in turn when it fails or falls silent.
        pub endpoints: Vec<ServerUrl>,
        /// Beginning of the keys, such as `"sluicegate/edge/rollouts/"`; one for each fleet.
        pub prefix: String,
        /// User, where etcd asks for one. It needs a role that may read and write under `prefix`.
        pub user: Option<String> = None,
        /// Its password.
        pub password: Option<Secret> = None,
        /// TLS towards the servers, where it differs from the system's authorities and the names in the URLs.
        pub tls: Option<PoolTls> = None,
    }
}

table! {
    /// Keys of Consul.
    pub struct RolloutConsul {
        /// URL of the agent, `http` or `https`.
        pub address: HttpUrl = HttpUrl::consul(),
        /// Beginning of the keys, such as `"sluicegate/edge/rollouts/"`; one for each fleet.
        pub prefix: String,
        /// ACL token. It needs `key:write` for `prefix` and `session:write` for the node.
        pub token: Option<Secret> = None,
        /// File of the authorities that may certify the agent, as PEM; by default the system's.
        pub ca: Option<PathBuf> = None,
    }
}
