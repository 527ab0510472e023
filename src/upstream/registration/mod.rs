//! Registration: enters a listener into a registry, where its clients look for it.
//!
//! Runs on the control thread, never in the walk of a request. A [`Registrar`] enters the listener,
//! keeps it entered and removes it; the caller decides when, and tries again after errors. Every
//! step has a time limit of its own, so a registry that is away holds up nothing. An entry that is
//! not kept goes by itself: its check fails, its lease or session ends.

mod consul;
mod etcd;
mod eureka;
mod instance;
mod zookeeper;

use std::fmt;

use super::{
    consul::ConsulError, discovery::BoxFuture, etcd::EtcdError, zookeeper::ZooKeeperError,
};
use crate::{config::value::host_with_port, fetch::FetchError};

pub use consul::ConsulRegistration;
pub use etcd::EtcdRegistration;
pub use eureka::EurekaRegistration;
pub use instance::Instance;
pub use zookeeper::ZooKeeperRegistration;

/// Enters one listener into one registry.
pub trait Registrar: Send {
    /// Enters the listener, in place of an entry with the same id.
    fn enter(&mut self) -> BoxFuture<'_, Result<(), RegistrationError>>;

    /// Keeps the entry. Returns when the registry has lost it, or cannot be asked any more.
    fn keep(&mut self) -> BoxFuture<'_, RegistrationError>;

    /// Removes the entry; it may not be there.
    fn leave(&mut self) -> BoxFuture<'_, Result<(), RegistrationError>>;
}

/// Reasons why a listener is not in its registry.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    /// Consul gives no good answer.
    #[error("{0}")]
    Consul(#[from] ConsulError),
    /// A server of etcd gives no good answer.
    #[error("{0}: {1}")]
    Etcd(String, #[source] EtcdError),
    /// A server of ZooKeeper gives no good answer.
    #[error("{0}: {1}")]
    ZooKeeper(String, #[source] ZooKeeperError),
    /// A server gives no answer.
    #[error("{0}: {1}")]
    Fetch(String, #[source] FetchError),
    /// A server refuses: its URL and its status.
    #[error("{0} answers {1}")]
    Refused(String, String),
    /// Another entry has taken its place: which one.
    #[error("its id was taken by another entry: {0}; each needs an id of its own")]
    Overwritten(String),
    /// The entry was there, and is not any more.
    #[error("the registry does not know it any more")]
    Lost,
}

/// An entry in a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistrationSpec {
    /// A service of a Consul agent.
    Consul(Box<ConsulRegistration>),
    /// A key of etcd.
    Etcd(Box<EtcdRegistration>),
    /// A node of ZooKeeper.
    ZooKeeper(Box<ZooKeeperRegistration>),
    /// An instance of an application in Eureka.
    Eureka(Box<EurekaRegistration>),
}

impl RegistrationSpec {
    /// Kind of registry, as named in the configuration.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Consul(_) => "consul",
            Self::Etcd(_) => "etcd",
            Self::ZooKeeper(_) => "zookeeper",
            Self::Eureka(_) => "eureka",
        }
    }

    /// Id of the entry in the registry.
    pub fn id(&self) -> &str {
        match self {
            Self::Consul(it) => &it.service.id,
            Self::Etcd(it) => &it.id,
            Self::ZooKeeper(it) => &it.id,
            Self::Eureka(it) => &it.id,
        }
    }

    /// Address that is announced, with its port.
    pub fn announced(&self) -> String {
        match self {
            Self::Consul(it) => match &*it.service.address {
                "" => format!("the address of the agent's node, port {}", it.service.port),
                host => host_with_port(host, it.service.port),
            },
            Self::Etcd(it) => it.instance.address(),
            Self::ZooKeeper(it) => it.instance.address(),
            Self::Eureka(it) => it.instance.address(),
        }
    }

    /// Returns true if an entry of this takes the place of the other's.
    pub fn replaces(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }

    /// Registry, place and id: an entry takes the place of another one of the same identity.
    pub fn identity(&self) -> String {
        format!("{} {self} {}", self.kind(), self.id())
    }

    /// Returns what enters it; connects with the first step.
    pub fn start(&self) -> Box<dyn Registrar> {
        match self {
            Self::Consul(it) => Box::new(it.start()),
            Self::Etcd(it) => Box::new(it.start()),
            Self::ZooKeeper(it) => Box::new(it.start()),
            Self::Eureka(it) => Box::new(it.start()),
        }
    }
}

impl fmt::Display for RegistrationSpec {
    /// Writes the registry and the place in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Consul(it) => it.fmt(f),
            Self::Etcd(it) => it.fmt(f),
            Self::ZooKeeper(it) => it.fmt(f),
            Self::Eureka(it) => it.fmt(f),
        }
    }
}
