//! The store of a shared configuration: etcd or Consul, asked in the same words.

use std::sync::Arc;

use crate::{
    config::schema::ConfigStore,
    fetch::Target,
    state,
    upstream::{
        consul::{ConsulAgent, ConsulPair, ConsulPut},
        etcd::{Channel, Cluster, EtcdSettings, KeyValue, Put},
    },
};

/// A store, and the way to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A cluster of etcd.
    Etcd(Arc<EtcdSettings>),
    /// A Consul agent.
    Consul(Box<Target>),
}

/// A value of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
    /// Revision of its last change.
    pub(super) revision: i64,
}

/// A connection to a store.
#[derive(Debug)]
pub(super) enum Open {
    Etcd(Channel),
    Consul(Box<ConsulAgent>),
}

impl Place {
    pub(super) fn of(written: &ConfigStore) -> Self {
        match written {
            ConfigStore::Etcd(etcd) => Self::Etcd(Arc::new(state::config_store(etcd))),
            ConfigStore::Consul(consul) => Self::Consul(Box::new(state::consul_target(consul))),
        }
    }

    /// Returns true if the other one differs in its secrets at most.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Etcd(one), Self::Etcd(two)) => one.servers == two.servers && one.tls == two.tls,
            (Self::Consul(one), Self::Consul(two)) => one.url == two.url && one.ca == two.ca,
            (Self::Etcd(_), Self::Consul(_)) | (Self::Consul(_), Self::Etcd(_)) => false,
        }
    }

    /// Kind of store, as named in the configuration.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Etcd(_) => "etcd",
            Self::Consul(_) => "consul",
        }
    }

    /// Asks the servers in turn until one answers.
    pub(super) async fn ask<T>(
        &self,
        ask: &impl AsyncFn(&mut Open) -> Result<T, String>,
    ) -> Result<T, String> {
        let settings = match self {
            Self::Consul(target) => {
                let mut agent = Open::Consul(Box::new(ConsulAgent::new((**target).clone())));
                let asked = ask(&mut agent).await;
                return asked.map_err(|error| format!("{}: {error}", target.url));
            }
            Self::Etcd(settings) => settings,
        };
        let mut cluster = Cluster::new(Arc::clone(settings));
        let mut reasons = Vec::new();
        for _ in 0..cluster.servers() {
            match cluster.connect().await {
                Ok(channel) => {
                    let server = channel.server().to_string();
                    match ask(&mut Open::Etcd(channel)).await {
                        Ok(answer) => return Ok(answer),
                        Err(error) => reasons.push(format!("{server}: {error}")),
                    }
                }
                Err((server, error)) => reasons.push(format!("{server}: {error}")),
            }
        }
        Err(reasons.join("; "))
    }
}

impl Open {
    /// Reads a key, if it exists.
    pub(super) async fn read(&mut self, key: &str) -> Result<Option<Stored>, String> {
        match self {
            Self::Etcd(channel) => {
                let read = channel.read(key.as_bytes()).await.map_err(told)?;
                Ok(read.pair.map(Stored::from))
            }
            Self::Consul(agent) => {
                let read = agent.read(key).await.map_err(told)?;
                Ok(read.pairs.into_iter().next().map(Stored::from))
            }
        }
    }

    /// Reads all keys with a prefix.
    pub(super) async fn list(&mut self, prefix: &str) -> Result<Vec<Stored>, String> {
        match self {
            Self::Etcd(channel) => {
                let listed = channel.list(prefix.as_bytes(), FLEET_BYTES_MAX).await;
                let pairs = listed.map_err(told)?.pairs;
                Ok(pairs.into_iter().map(Stored::from).collect())
            }
            Self::Consul(agent) => {
                let pairs = agent.list(prefix).await.map_err(told)?.pairs;
                Ok(pairs.into_iter().map(Stored::from).collect())
            }
        }
    }

    /// Writes keys if the first of them is still at this revision (0: does not exist). Returns the
    /// new revision, or none if somebody else has written.
    pub(super) async fn swap(
        &mut self,
        base: i64,
        puts: &[(&str, &[u8])],
    ) -> Result<Option<i64>, String> {
        match self {
            Self::Etcd(channel) => {
                let puts = puts.iter().map(|(key, value)| Put {
                    key: key.as_bytes(),
                    value,
                });
                let puts: Vec<_> = puts.collect();
                channel.swap(base, &puts).await.map_err(told)
            }
            Self::Consul(agent) => {
                let puts = puts.iter().map(|(key, value)| ConsulPut { key, value });
                let puts: Vec<_> = puts.collect();
                let base = u64::try_from(base).map_err(|_| "a revision is not negative")?;
                let swapped = agent.swap(base, &puts).await.map_err(told)?;
                Ok(swapped.map(revision))
            }
        }
    }
}

impl From<KeyValue> for Stored {
    fn from(pair: KeyValue) -> Self {
        Self {
            key: pair.key.to_vec(),
            value: pair.value.to_vec(),
            revision: pair.changed_at,
        }
    }
}

impl From<ConsulPair> for Stored {
    fn from(pair: ConsulPair) -> Self {
        Self {
            key: pair.key.into_bytes(),
            value: pair.value,
            revision: revision(pair.changed_at),
        }
    }
}

fn revision(index: u64) -> i64 {
    i64::try_from(index).unwrap_or(i64::MAX)
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn told(error: impl ToString) -> String {
    error.to_string()
}

const FLEET_BYTES_MAX: usize = 16 << 20;
