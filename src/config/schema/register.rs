//! `register` of a listener: the registry that it is entered into.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use super::{route::Path, tls::PoolTls};
use crate::config::{
    setting::{choice, table},
    value::{EndpointAddress, HttpUrl, Secret, ServerUrl},
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
        /// A key of etcd, under a lease.
        "etcd" => Etcd(RegisterEtcd),
        /// An ephemeral node of ZooKeeper.
        "zookeeper" => ZooKeeper(RegisterZooKeeper),
        /// An instance of an application in Eureka.
        "eureka" => Eureka(RegisterEureka),
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

table! {
    /// A key of etcd (version 3.4 or later). Its value is an entry as `discover` reads it: JSON with `address`, and `version`, `zone`, `weight` and `priority` from `meta`.
    pub struct RegisterEtcd {
        /// Servers of the cluster, as `http://HOST:PORT`, or `https://` for TLS, tried in turn.
        pub endpoints: Vec<ServerUrl>,
        /// Beginning of the key, such as `"/services/orders/"`.
        pub prefix: String,
        /// Rest of the key, one for each instance; by default `HOST-PORT` with what is announced.
        pub id: Option<String> = None,
        /// Time after which the key goes when nobody keeps it, at least 5s.
        pub ttl: Duration = Duration::from_secs(15),
        /// Labels; `version`, `zone`, `weight` and `priority` have their usual meaning.
        pub meta: BTreeMap<String, String> = BTreeMap::new(),
        /// User, where etcd asks for one. It needs a role that may read and write the key.
        pub user: Option<String> = None,
        /// Its password.
        pub password: Option<Secret> = None,
        /// TLS towards the servers, where it differs from the system's authorities and the names in the URLs.
        pub tls: Option<PoolTls> = None,
    }
}

table! {
    /// An ephemeral node of ZooKeeper (3.5 or later). Its data is an instance in the form of Apache Curator.
    pub struct RegisterZooKeeper {
        /// Servers of the ensemble, each a host with its port for clients, tried in turn.
        pub servers: Vec<EndpointAddress>,
        /// The node that it is a child of, such as `"/services/orders"`; made if it does not exist.
        pub path: String,
        /// Name of the node, one for each instance; by default `HOST-PORT` with what is announced.
        pub id: Option<String> = None,
        /// Time after which the node goes when nobody keeps its session, at least 2s; a server may shorten or extend it.
        pub session: Duration = Duration::from_secs(10),
        /// Labels; `version`, `zone`, `weight` and `priority` have their usual meaning.
        pub meta: BTreeMap<String, String> = BTreeMap::new(),
        /// User, for the scheme `digest`. Others may then read the node and nothing more.
        pub user: Option<String> = None,
        /// Its password.
        pub password: Option<Secret> = None,
    }
}

table! {
    /// An instance of an application in Eureka, kept by heartbeats.
    pub struct RegisterEureka {
        /// URLs of the servers, with their path, such as `http://127.0.0.1:8761/eureka`. They are tried in turn.
        pub servers: Vec<HttpUrl>,
        /// Name of the application.
        pub app: String,
        /// Id of the instance, one for each; by default `HOST:APP:PORT` with what is announced.
        pub id: Option<String> = None,
        /// Time between two heartbeats, at least 1s. The server may remove an instance after three times this.
        pub interval: Duration = Duration::from_secs(10),
        /// Metadata; `version`, `zone`, `weight` and `priority` have their usual meaning.
        pub meta: BTreeMap<String, String> = BTreeMap::new(),
        /// Secret that is sent as `Authorization: Bearer`.
        pub token: Option<Secret> = None,
        /// File of the authorities that may certify the servers, as PEM; by default the system's.
        pub ca: Option<PathBuf> = None,
    }
}
