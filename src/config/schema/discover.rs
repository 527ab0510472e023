//! `discover` of a pool: where endpoints come from besides the list.

use std::{path::PathBuf, time::Duration};

use super::tls::{KeyPair, PoolTls};
use crate::config::{
    setting::{choice, table, words},
    value::{
        DnsName, EndpointAddress, HttpUrl, KubernetesName, KubernetesPort, KubernetesServices,
        NameServer, Secret, ServerUrl,
    },
};

table! {
    /// Sources of endpoints besides those listed in `endpoints`: a pool has both. The list is followed while the proxy runs, without a reload; when it cannot be read, is malformed or empty, the last good one stays.
    pub struct Discover {
        /// Time for which endpoints stay in use that a list suddenly leaves out: one that has less than half of the endpoints of the list before, or none. What is new in it is used at once. 0s: no such time.
        pub hold_mass_removal: Duration = Duration::from_secs(30),
        /// Treatment of an endpoint that is not listed any more: `"until_check_fails"` (it is used until its active check fails) or `"remove"`. By default the first where the pool has active checks, else the second.
        pub absent: Option<AbsentEndpoint> = None,
    }
    choices {
        /// The source: exactly one of these.
        pub source: DiscoverSource,
    }
}

words! {
    /// Treatment of an endpoint that is not listed any more.
    pub enum AbsentEndpoint {
        /// It is used until its check fails.
        UntilCheckFails = "until_check_fails",
        /// It leaves at once.
        Remove = "remove",
    }
}

choice! {
    /// A source of endpoints.
    pub enum DiscoverSource {
        /// A file that lists them, which is watched.
        "file" => File(DiscoverFile),
        /// Keys of etcd, one for each endpoint.
        "etcd" => Etcd(Box<DiscoverEtcd>),
        /// A name in DNS, which is looked up again when its time to live is over.
        "dns" => Dns(DiscoverDns),
        /// A URL that lists them, which is asked again and again.
        "http" => Http(DiscoverHttp),
        /// Instances of a service in Consul.
        "consul" => Consul(Box<DiscoverConsul>),
        /// Instances of an application in Eureka.
        "eureka" => Eureka(DiscoverEureka),
        /// Children of a node in ZooKeeper, one for each endpoint.
        "zookeeper" => ZooKeeper(DiscoverZooKeeper),
        /// Endpoints of a Service in Kubernetes, by its EndpointSlices, which are watched.
        "kubernetes" => Kubernetes(Box<DiscoverKubernetes>),
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

table! {
    /// A name in DNS. Each address that it has is an endpoint of its own.
    pub struct DiscoverDns {
        /// The name. Without a final dot, and without `resolvers`, the search domains of `/etc/resolv.conf` are added to it as the system does. The record `TXT` of the name gives the version of the endpoints, if it is `version=…`; with `"srv"` also that of each target.
        pub name: DnsName,
        /// Type of the records: `"a"`, the addresses of the name (`A` and `AAAA`), or `"srv"`, the targets of its `SRV` records, with port, weight and priority.
        pub kind as "type": DnsType = DnsType::A,
        /// Port of the endpoints. Needed with `"a"`; with `"srv"` the records have it.
        pub port: Option<u16> = None,
        /// Families of the addresses that are used.
        pub family: DnsFamily = DnsFamily::Any,
        /// Name servers, `"ip"` or `"ip:port"`, 8 at most. One that is silent for 1 s, or fails, is passed over for the next; after one round, those that were silent have 2 s more. Without them those of `/etc/resolv.conf` are asked, which is read again for each look-up.
        pub resolvers: Vec<NameServer> = Vec::new(),
        /// Bounds on the time after which the name is looked up again.
        pub ttl: DnsTtl = DnsTtl::default(),
        /// Time for which the last good list is used after the name has ceased to exist; then its endpoints leave. While no name server has an answer, the list stays without a limit, and after this time the log says so.
        pub hold: Duration = Duration::from_secs(3600),
    }
}

words! {
    /// The type of the records that name endpoints.
    pub enum DnsType {
        /// Addresses: `A` and `AAAA`.
        A = "a",
        /// Services: `SRV`.
        Srv = "srv",
    }
}

words! {
    /// Families of addresses.
    pub enum DnsFamily {
        /// IPv4 and IPv6.
        Any = "any",
        /// IPv4 only.
        Ipv4 = "ipv4",
        /// IPv6 only.
        Ipv6 = "ipv6",
    }
}

table! {
    /// Bounds on the time after which a name is looked up again: the least time to live of the records within these.
    pub struct DnsTtl: Default {
        /// Least time, for records that give less, or 0.
        pub min: Duration = Duration::from_secs(1),
        /// Greatest time, for records that give more.
        pub max: Duration = Duration::from_secs(300),
    }
}

table! {
    /// A URL that lists endpoints, which is asked again and again.
    pub struct DiscoverHttp {
        /// URL of the list, `http` or `https`. The answer is JSON as in a file; one with `ETag` is asked for with `If-None-Match`. Redirects are not followed.
        pub url: HttpUrl,
        /// Time between two requests, at least 100ms. After a failed one the wait is shorter at first, and grows to this time.
        pub interval: Duration = Duration::from_secs(5),
        /// Secret that is sent as `Authorization: Bearer`.
        pub token: Option<Secret> = None,
        /// File of the authorities that may certify the server, as PEM; by default the system's.
        pub ca: Option<PathBuf> = None,
    }
}

table! {
    /// Instances of a service in Consul. A change comes at once, by blocking queries.
    pub struct DiscoverConsul {
        /// URL of the agent, `http` or `https`.
        pub address: HttpUrl = HttpUrl::consul(),
        /// Name of the service. The version of an instance is that of `version` in its Meta, or of a tag `version=1.4.2` or `v1.4.2`; the weight is that of `Weights`; `zone` and `priority` in Meta mean what they do in `endpoints`.
        pub service: String,
        /// Tags that an instance must have, all of them.
        pub tags: Vec<String> = Vec::new(),
        /// Datacenter; by default that of the agent.
        pub datacenter: String = String::new(),
        /// Node by whose distance the agent sorts the instances, or `_agent`.
        pub near: String = String::new(),
        /// Expression that instances must satisfy, such as `Service.Meta.team == "orders"`.
        pub filter: String = String::new(),
        /// ACL token.
        pub token: Option<Secret> = None,
        /// Drains instances in the state `warning`. If false they serve with the weight `Warning`. Instances in the state `critical` and those in maintenance are drained in any case.
        pub passing: bool = true,
        /// Lets any server answer, and not the leader alone.
        pub stale: bool = true,
        /// File of the authorities that may certify the agent, as PEM; by default the system's.
        pub ca: Option<PathBuf> = None,
    }
}

table! {
    /// Children of a node in ZooKeeper (3.4 or later), one for each endpoint. They are watched; an endpoint whose session ends leaves.
    pub struct DiscoverZooKeeper {
        /// Servers of the ensemble, each a host with its port for clients, mostly 2181. One at a time is asked; the others are tried in turn when it fails or falls silent.
        pub servers: Vec<EndpointAddress>,
        /// The node whose children are endpoints, such as `"/services/orders"`. The data of a child is an instance as Apache Curator and Spring Cloud write it, an address (`10.0.0.1:80`), or JSON: an entry as in a file (`{ "address": "10.0.0.1:80", "weight": 3, "version": "1.4.2" }`) or a group of `file_sd`. Without data the name of the child is the address. A child that is none of these is left out.
        pub path: String,
        /// User, for the scheme `digest`, where the nodes may not be read by all.
        pub user: Option<String> = None,
        /// Its password.
        pub password: Option<Secret> = None,
    }
}

table! {
    /// Instances of an application in Eureka. All is fetched once, then what changes.
    pub struct DiscoverEureka {
        /// URLs of the servers, with their path, such as `http://127.0.0.1:8761/eureka`. They are tried in turn.
        pub servers: Vec<HttpUrl>,
        /// Name of the application. The version of an instance is that of `version` in its metadata; `weight`, `zone` and `priority` there mean what they do in `endpoints`. An instance that is not `UP` is drained.
        pub app: String,
        /// Time between two requests, at least 1s; a server tells changes after up to 30s of its own.
        pub interval: Duration = Duration::from_secs(30),
        /// Secret that is sent as `Authorization: Bearer`.
        pub token: Option<Secret> = None,
        /// File of the authorities that may certify the servers, as PEM; by default the system's.
        pub ca: Option<PathBuf> = None,
    }
}

table! {
    /// Endpoints of a Service in Kubernetes (1.17 or later), by its EndpointSlices. They are watched: a change comes at once. Without `address` the proxy runs in a pod of the cluster, and takes the API server, token, authorities and namespace that a pod is given; its service account needs the verbs `list` and `watch` on `endpointslices` of the group `discovery.k8s.io`.
    pub struct DiscoverKubernetes {
        /// Name of the Service, or a list of at most 16: one Service for each version, for a rollout between them. The version of the endpoints of a Service is that of its label `version_label`; `zone` is that of the node, and the labels are `pod`, `node` and `service`. An endpoint that is not ready is drained, and so is one that is terminating; while none is ready, those that still serve while they terminate are used.
        pub service: KubernetesServices,
        /// Namespace of the Service; by default that of the pod.
        pub namespace: Option<KubernetesName> = None,
        /// Port of the endpoints, where the Service has several: its name in the Service, or the number that the pods listen on (`targetPort`). Ports of UDP and SCTP are passed over.
        pub port: Option<KubernetesPort> = None,
        /// Families of the addresses that are used. With `"any"`, a pod that has addresses of both is one endpoint, at its IPv4 address.
        pub family: DnsFamily = DnsFamily::Any,
        /// Label of the Service that gives the version of its endpoints, if its value is a semantic version, such as `1.4.2` or `v1.4.2`.
        pub version_label: String = "app.kubernetes.io/version".to_owned(),
        /// URL of the API server, where the proxy is outside of the cluster, or in another one: `https`, or `http` to `kubectl proxy`. By default `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT` of the environment.
        pub address: Option<HttpUrl> = None,
        /// Folder with the files `token`, `ca.crt` and `namespace` of a service account. The token is read again for each request, so that it may be renewed at any time. By default `/var/run/secrets/kubernetes.io/serviceaccount`; with `address` none, since the token of one cluster is not for the other.
        pub account: Option<PathBuf> = None,
        /// Token instead of that of `account`.
        pub token: Option<Secret> = None,
        /// Certificate to show to the API server, instead of a token.
        pub client: Option<KeyPair> = None,
        /// File of the authorities that may certify the API server, as PEM; by default `ca.crt` of `account`, without one the system's.
        pub ca: Option<PathBuf> = None,
    }
}
