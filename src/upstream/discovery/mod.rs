//! Discovery: sources of a pool's endpoints, besides those that the configuration lists.
//!
//! Runs on the control thread, never in the walk of a request. A source returns the whole list each
//! time it changes; the differences from the last one are computed by identity, pool with address,
//! so that endpoints that stay keep their health, counts and connections. [`Discovered`] keeps the
//! last good list and the later errors of the source, in the registry.

use std::{
    error::Error,
    fmt,
    future::Future,
    io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
};

mod arrange;
mod begun;
mod consul;
mod curator;
mod discovered;
mod dns;
mod endpoint_list;
mod entries;
mod etcd;
mod eureka;
mod file;
mod fixed;
mod held;
mod http;
mod kubernetes;
mod list;
mod reconnect;
mod removal;
mod usable;
mod zookeeper;

pub use arrange::{Arranged, EndpointChanges, arrange};
pub use begun::{Begun, BegunSource};
pub use consul::{Consul, ConsulSource};
pub use discovered::{Discovered, Heard, HeardAt, SourceStatus};
pub use dns::{
    Dns, DnsFamily, DnsFault, DnsRecords, DnsSpec, LookupFault, ServerFault, ServerFaults,
};
pub use endpoint_list::{EndpointList, Skipped, Update};
pub use etcd::{Etcd, EtcdSpec};
pub use eureka::{Eureka, EurekaSource};
pub use file::{File, read};
pub use fixed::Fixed;
pub use held::HeldEndpoints;
pub use http::{Http, HttpSource};
pub use kubernetes::{Kubernetes, KubernetesSource};
pub use list::{ENDPOINTS_MAX, Format, ListFault, parse};
pub use reconnect::Reconnect;
use usable::Usable;
pub use zookeeper::{ZooKeeper, ZooKeeperSpec};

/// A boxed future, so that [`Discovery`] is object-safe.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A source of the endpoints of one pool.
pub trait Discovery: Send {
    /// Waits for the next list: the first at once, then each time it changes. A source that asks
    /// from time to time may return [`Update::Unchanged`] in between, which tells that it is still
    /// reached. After an error the last good list stays in force, and the caller calls again; the
    /// source decides when another try is useful ([`Reconnect`]), and returns the whole list with
    /// the first success. Must be cancel-safe: no change may be lost.
    fn next(&mut self) -> BoxFuture<'_, Result<Update, DiscoveryError>>;
}

/// Reasons why a source has no list.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// The source cannot be reached or does not answer.
    #[error("cannot read {0}: {reason}", reason = said(.1))]
    Unreachable(String, #[source] io::Error),
    /// The answer of the source is not a list of endpoints.
    #[error("{0}:{1}")]
    Malformed(String, #[source] ListFault),
    /// The source refuses: its name, and its answer in words.
    #[error("{0} answers {1}")]
    Refused(String, String),
    /// A name in DNS that has no endpoints now.
    #[error("{0}: {1}")]
    Dns(String, #[source] DnsFault),
}

impl DiscoveryError {
    /// Returns the error of a source that cannot be reached.
    pub fn unreachable(
        source: impl Into<String>,
        why: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::Unreachable(source.into(), io::Error::other(why))
    }
}

/// Source of a pool's endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceSpec {
    /// A file that lists them.
    File(PathBuf),
    /// Keys of etcd.
    Etcd(EtcdSpec),
    /// A name in DNS.
    Dns(Arc<DnsSpec>),
    /// A URL that lists them.
    Http(HttpSource),
    /// Instances of a service in Consul.
    Consul(ConsulSource),
    /// Instances of an application in Eureka.
    Eureka(EurekaSource),
    /// Children of a node in ZooKeeper.
    ZooKeeper(ZooKeeperSpec),
    /// Endpoints of Services in Kubernetes.
    Kubernetes(Arc<KubernetesSource>),
}

impl SourceSpec {
    /// Kind of source, as named in the configuration.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Etcd(_) => "etcd",
            Self::Dns(_) => "dns",
            Self::Http(_) => "http",
            Self::Consul(_) => "consul",
            Self::Eureka(_) => "eureka",
            Self::ZooKeeper(_) => "zookeeper",
            Self::Kubernetes(_) => "kubernetes",
        }
    }

    /// Returns true if the source returns an empty list only after it has held the last one for a
    /// time of its own.
    pub fn holds_empty_lists(&self) -> bool {
        matches!(self, Self::Dns(_))
    }

    /// Starts the source.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start(&self) -> Box<dyn Discovery> {
        match self {
            Self::File(path) => Box::new(Usable(File::new(path))),
            Self::Etcd(spec) => Box::new(Usable(Etcd::new(spec))),
            Self::Dns(spec) => Box::new(Usable(Dns::new((**spec).clone()))),
            Self::Http(settings) => Box::new(Usable(Http::new(settings.clone()))),
            Self::Consul(settings) => Box::new(Usable(Consul::new(settings.clone()))),
            Self::Eureka(settings) => Box::new(Usable(Eureka::new(settings.clone()))),
            Self::ZooKeeper(spec) => Box::new(Usable(ZooKeeper::new(spec))),
            Self::Kubernetes(spec) => Box::new(Usable(Kubernetes::new(Arc::clone(spec)))),
        }
    }

    /// Reads the source now, if a look at the disk is enough for that; blocks on it. None: it is
    /// asked over the network.
    ///
    /// # Errors
    /// The reason why there is no list.
    pub fn read(&self) -> Option<Result<EndpointList, DiscoveryError>> {
        match self {
            Self::File(path) => Some(read(path).1.map(EndpointList::usable)),
            Self::Etcd(_)
            | Self::Dns(_)
            | Self::Http(_)
            | Self::Eureka(_)
            | Self::Consul(_)
            | Self::ZooKeeper(_)
            | Self::Kubernetes(_) => None,
        }
    }
}

impl fmt::Display for SourceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Etcd(spec) => spec.fmt(f),
            Self::Dns(spec) => spec.name.fmt(f),
            Self::Http(settings) => settings.target.url.fmt(f),
            Self::Consul(settings) => settings.fmt(f),
            Self::Eureka(settings) => settings.fmt(f),
            Self::ZooKeeper(spec) => spec.fmt(f),
            Self::Kubernetes(settings) => settings.fmt(f),
        }
    }
}

/// Returns the reason in words that do not depend on the system.
fn said(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

fn name_of(path: &Path) -> String {
    path.display().to_string()
}
