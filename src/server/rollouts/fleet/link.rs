//! A connection to the store of rollouts: etcd or Consul, asked in the same words.
//!
//! Two leases of this process: a short one that holds what it leads, and a longer one that holds its
//! reports, which the next leader still reads. They outlive a connection.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{consul::ConsulLink, etcd::EtcdLink, fault::StoreFault};
use crate::{
    config::schema::{RolloutPlace, RolloutStore},
    fetch::Target,
    state,
    upstream::{
        consul::ConsulSession,
        etcd::{Cluster, EtcdSettings, Lease},
    },
};

/// A value of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) value: Vec<u8>,
    /// Revision of its last change.
    pub(super) revision: i64,
}

/// The keys with a prefix.
pub(super) type Entries = BTreeMap<String, Entry>;

/// The way to a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) prefix: String,
    pub(super) lease: Duration,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Etcd(Arc<EtcdSettings>),
    Consul(Box<Target>),
}

/// Leases of this process: the one that leads, and the one of its reports.
#[derive(Debug, Default)]
pub(super) struct Leases {
    pub(super) etcd: [Option<Lease>; 2],
    pub(super) consul: [Option<ConsulSession>; 2],
    /// The time from which the one that leads lasts.
    pub(super) renewed: Option<Instant>,
}

/// A connection.
pub(super) enum Link {
    Etcd(Box<EtcdLink>),
    Consul(Box<ConsulLink>),
}

impl Place {
    pub(super) fn of(written: &RolloutStore) -> Self {
        match &written.place {
            RolloutPlace::Etcd(etcd) => Self {
                prefix: etcd.prefix.clone(),
                lease: written.lease,
                kind: Kind::Etcd(Arc::new(state::rollout_servers(etcd))),
            },
            RolloutPlace::Consul(consul) => Self {
                prefix: consul.prefix.clone(),
                lease: written.lease.max(CONSUL_LEASE_MIN),
                kind: Kind::Consul(Box::new(state::rollout_agent(consul))),
            },
        }
    }

    /// Its name in messages.
    pub(super) fn name(&self) -> String {
        let kind = match &self.kind {
            Kind::Etcd(_) => "etcd",
            Kind::Consul(_) => "consul",
        };
        format!("{kind}:{}", self.prefix)
    }

    /// The servers, tried in turn.
    pub(super) fn cluster(&self) -> Option<Cluster> {
        match &self.kind {
            Kind::Etcd(settings) => Some(Cluster::new(Arc::clone(settings))),
            Kind::Consul(_) => None,
        }
    }

    /// Time for one call. What hangs must not cost the lease.
    pub(super) fn patience(&self) -> Duration {
        self.lease / 3
    }

    /// Time for which a report lasts when nobody keeps it.
    pub(super) fn report_lease(&self) -> Duration {
        (self.lease * 3).max(REPORT_LEASE_MIN)
    }
}

impl Link {
    /// Connects, and begins to follow the keys below `watched`.
    pub(super) async fn open(
        place: &Place,
        cluster: &mut Option<Cluster>,
        leases: &mut Leases,
        watched: &str,
    ) -> Result<Self, StoreFault> {
        match (&place.kind, cluster) {
            (Kind::Consul(target), _) => {
                let link = ConsulLink::open(target, place, leases, watched).await?;
                Ok(Self::Consul(Box::new(link)))
            }
            (Kind::Etcd(_), Some(cluster)) => {
                let link = EtcdLink::open(cluster, place, leases, watched).await?;
                Ok(Self::Etcd(Box::new(link)))
            }
            (Kind::Etcd(_), None) => Err(StoreFault::Away("it has no server".to_owned())),
        }
    }

    /// The keys that are followed, as they are known now.
    pub(super) fn entries(&self) -> &Entries {
        match self {
            Self::Etcd(link) => &link.entries,
            Self::Consul(link) => &link.entries,
        }
    }

    /// Waits until the keys that are followed have changed. Cancel safe.
    pub(super) async fn changed(&mut self) -> Result<(), StoreFault> {
        match self {
            Self::Etcd(link) => link.changed().await.map_err(StoreFault::from),
            Self::Consul(link) => link.changed().await.map_err(StoreFault::from),
        }
    }

    /// Renews the leases; false if one has ended.
    pub(super) async fn renew(&mut self) -> Result<bool, StoreFault> {
        match self {
            Self::Etcd(link) => link.renew().await.map_err(StoreFault::from),
            Self::Consul(link) => link.renew().await.map_err(StoreFault::from),
        }
    }

    /// Reads all keys with a prefix, as they are now.
    pub(super) async fn list(&mut self, prefix: &str) -> Result<Entries, StoreFault> {
        match self {
            Self::Etcd(link) => link.list(prefix).await.map_err(StoreFault::from),
            Self::Consul(link) => link.list(prefix).await.map_err(StoreFault::from),
        }
    }

    /// Writes a report of this process; false if the key is held by somebody else.
    pub(super) async fn report(&mut self, key: &str, value: &[u8]) -> Result<bool, StoreFault> {
        match self {
            Self::Etcd(link) => link
                .report(key, value)
                .await
                .map(|()| true)
                .map_err(StoreFault::from),
            Self::Consul(link) => link.report(key, value).await.map_err(StoreFault::from),
        }
    }

    /// Writes a key that nobody has, under the lease that leads; false if somebody has it.
    pub(super) async fn acquire(&mut self, key: &str, value: &[u8]) -> Result<bool, StoreFault> {
        match self {
            Self::Etcd(link) => link.acquire(key, value).await.map_err(StoreFault::from),
            Self::Consul(link) => link.acquire(key, value).await.map_err(StoreFault::from),
        }
    }

    /// Gives such a key up.
    pub(super) async fn release(&mut self, key: &str) -> Result<(), StoreFault> {
        match self {
            Self::Etcd(link) => link.release(key).await.map_err(StoreFault::from),
            Self::Consul(link) => link.release(key).await.map_err(StoreFault::from),
        }
    }

    /// Writes a key that was last changed at this revision (0: that does not exist), and only while
    /// this process has the key `held`, if one is given. Returns the new revision, or none if that
    /// is not so.
    pub(super) async fn swap(
        &mut self,
        key: &str,
        revision: i64,
        value: &[u8],
        held: Option<&str>,
    ) -> Result<Option<i64>, StoreFault> {
        match self {
            Self::Etcd(link) => link
                .swap(key, revision, value, held)
                .await
                .map_err(StoreFault::from),
            Self::Consul(link) => link
                .swap(key, revision, value, held)
                .await
                .map_err(StoreFault::from),
        }
    }
}

/// Shortest time of a session in Consul.
const CONSUL_LEASE_MIN: Duration = Duration::from_secs(10);
/// A report outlives its leader for so long that the next one reads it.
const REPORT_LEASE_MIN: Duration = Duration::from_secs(30);
