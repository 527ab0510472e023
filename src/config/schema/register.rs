//! `register` of a listener: the registry that it is entered into.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use super::route::Path;
use crate::config::{
    setting::{choice, table},
    value::{HttpUrl, Secret},
};

table! {
    /// Enters the listener into a registry, where others find it: when it accepts, until the drain begins. An entry that the registry has lost is made again; one that cannot be removed goes by itself, because nobody keeps it. A registry that is away delays neither start nor reload nor stop.
    pub struct Register {
        /// Host or IP address that is announced. By default the address that the listener binds. It is needed where that is `0.0.0.0`, `[::]` or a Unix socket; in Consul the agent then gives the address of its node.
        pub address: Option<String> = None,
        /// Port that is announced; by default that of the listener.
        pub port: Option<u16> = None,
    }
    choices {
        /// The registry: exactly one of these.
        pub registry: Registry,
    }
}

choice! {
    /// A registry of services.
    pub enum Registry {
        /// A service of a Consul agent.
        "consul" => Consul(RegisterConsul),
    }
}

table! {
    /// A service of a Consul agent.
    pub struct RegisterConsul {
        /// URL of the agent, `http` or `https`.
        pub address: HttpUrl = HttpUrl::consul(),
        /// Name of the service.
        pub service: String,
        /// Id of the service, one for each at the agent; by default `SERVICE-HOST-PORT` with what is announced, or the name of this host.
        pub id: Option<String> = None,
        /// Tags, by which clients choose among the instances of a service.
        pub tags: Vec<String> = Vec::new(),
        /// Labels; other proxies read `version`, `zone` and `priority` from them.
        pub meta: BTreeMap<String, String> = BTreeMap::new(),
        /// Check that decides if the service is `passing`; by default `{ ttl = "15s" }`.
        pub check: Option<RegisterCheck> = None,
        /// ACL token, which needs `service:write` for the service.
        pub token: Option<Secret> = None,
        /// File of the authorities that may certify the agent, as PEM; by default the system's.
        pub ca: Option<PathBuf> = None,
    }
}

table! {
    /// A check of the service by the agent.
    pub struct RegisterCheck {
        /// Time in the state `critical` after which the agent removes the service; Consul takes at least 1m.
        pub deregister_after: Duration = Duration::from_secs(60),
    }
    choices {
        /// The check: exactly one of these.
        pub kind: RegisterCheckKind,
    }
}

choice! {
    /// Kind of check.
    pub enum RegisterCheckKind {
        /// The proxy tells the agent that it works, three times within this time, at least `"3s"`; the service becomes critical when it does not.
        "ttl" => Ttl(Duration),
        /// The agent sends a GET to the listener.
        "http" => Http(RegisterHttpCheck),
        /// The agent opens a connection to the listener.
        "tcp" => Tcp(RegisterTcpCheck),
    }
}

table! {
    /// A GET that the agent sends to the listener; 200 to 299 is passing, 429 warning. A certificate is not verified.
    pub struct RegisterHttpCheck: Default {
        /// Path of the request.
        pub path: Path = Path("/".to_owned()),
        /// Time between two checks.
        pub interval: Duration = Duration::from_secs(10),
        /// Time for one check.
        pub timeout: Duration = Duration::from_secs(2),
    }
}

table! {
    /// A connection that the agent opens to the listener.
    pub struct RegisterTcpCheck: Default {
        /// Time between two checks.
        pub interval: Duration = Duration::from_secs(10),
        /// Time for one check.
        pub timeout: Duration = Duration::from_secs(2),
    }
}
