//! The store of a shared configuration: read, written, and the list of proxies in it.

use std::{io, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::{runtime, time::timeout};

use crate::{
    config::{
        Config, SharedPart,
        schema::{ConfigStore, SharedConfig},
    },
    state,
    upstream::etcd::{Channel, Cluster, EtcdSettings, KeyValue, Put},
};

/// A key in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Store {
    settings: Arc<EtcdSettings>,
    pub(super) key: String,
    /// Name of this proxy among those that use the key.
    pub(super) member: String,
}

/// State of a proxy, as the others see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Member {
    /// Its name.
    pub(crate) name: String,
    /// Version of the program.
    pub(crate) version: String,
    /// Generation of the configuration in use.
    pub(crate) generation: u64,
    /// Revision of the shared part in use; 0 for the copy on disk.
    pub(crate) revision: i64,
    /// `running`, `refused` (the newest configuration is not used), `degraded` or `draining`.
    pub(crate) state: String,
    /// True if it takes traffic and all its parts work.
    pub(crate) healthy: bool,
    /// Reason why it does not use the newest configuration.
    pub(crate) error: Option<String>,
}

/// The last write of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Author {
    /// User and host.
    pub(crate) who: String,
    /// Time, RFC 3339.
    pub(crate) when: String,
}

/// Result of a push.
#[derive(Debug)]
pub(crate) enum Pushed {
    /// It is written, at this revision.
    Written(i64),
    /// Somebody else has written since: at this revision, and who, if known.
    Overtaken(i64, Option<Author>),
}

impl Store {
    /// Returns the store that a configuration is in, if it is in one.
    pub(crate) fn of(config: &Config) -> Option<Self> {
        let SharedConfig { source, name, .. } = &config.config;
        let ConfigStore::Etcd(etcd) = &source.as_ref()?.store;
        let member = match name {
            Some(name) => name.to_string(),
            None => format!("{}:{}", hostname(), std::process::id()),
        };
        Some(Self {
            settings: Arc::new(state::config_store(etcd)),
            key: etcd.key.clone(),
            member,
        })
    }

    /// Place of the configuration, for messages.
    pub(crate) fn name(&self) -> String {
        format!("etcd:{}", self.key)
    }

    pub(super) fn cluster(&self) -> Cluster {
        Cluster::new(Arc::clone(&self.settings))
    }

    pub(super) fn part_of(&self, pair: &KeyValue) -> Result<SharedPart, String> {
        let text = std::str::from_utf8(&pair.value);
        let text = text.map_err(|_| format!("{} is not UTF-8 text", self.name()))?;
        Ok(SharedPart {
            name: self.name().into(),
            text: text.into(),
            revision: pair.changed_at,
        })
    }

    /// Key of a proxy's state.
    pub(super) fn member_key(&self) -> String {
        format!("{}{}", self.fleet_prefix(), self.member)
    }

    fn fleet_prefix(&self) -> String {
        format!("{}/fleet/", self.key)
    }

    fn author_key(&self) -> String {
        format!("{}/author", self.key)
    }

    /// Reads the configuration; blocks for some seconds at most.
    pub(crate) fn fetch_blocking(&self) -> Result<SharedPart, String> {
        let part = self.blocking(&async |channel: &Channel| {
            let read = channel.read(self.key.as_bytes()).await;
            read.map_err(|error| error.to_string())
        })?;
        match part.pair {
            Some(pair) => self.part_of(&pair),
            None => Err(format!("there is no key \"{}\"", self.key)),
        }
    }

    /// Returns the revision of the configuration; 0 if there is none; blocks.
    pub(crate) fn current_blocking(&self) -> Result<i64, String> {
        let read = self.blocking(&async |channel: &Channel| {
            let read = channel.read(self.key.as_bytes()).await;
            read.map_err(|error| error.to_string())
        })?;
        Ok(read.pair.map_or(0, |pair| pair.changed_at))
    }

    /// Lists the proxies that use the configuration; blocks.
    pub(crate) fn fleet_blocking(&self) -> Result<Vec<Member>, String> {
        let listed = self.blocking(&async |channel: &Channel| {
            let listed = channel
                .list(self.fleet_prefix().as_bytes(), FLEET_BYTES_MAX)
                .await;
            listed.map_err(|error| error.to_string())
        })?;
        let members = listed.pairs.iter();
        Ok(members
            .filter_map(|pair| serde_json::from_slice(&pair.value).ok())
            .collect())
    }

    /// Writes the configuration if its revision is still `base` (0: there is none yet); blocks.
    pub(crate) fn push_blocking(
        &self,
        text: &str,
        base: i64,
        author: &Author,
    ) -> Result<Pushed, String> {
        let written_by = serde_json::to_vec(author).unwrap_or_default();
        let author_key = self.author_key();
        let puts = [
            Put {
                key: self.key.as_bytes(),
                value: text.as_bytes(),
            },
            Put {
                key: author_key.as_bytes(),
                value: &written_by,
            },
        ];
        self.blocking(&async |channel: &Channel| {
            let told = |error: crate::upstream::etcd::EtcdError| error.to_string();
            if let Some(revision) = channel.swap(base, &puts).await.map_err(told)? {
                return Ok(Pushed::Written(revision));
            }
            let now = channel.read(self.key.as_bytes()).await.map_err(told)?;
            let author = channel.read(author_key.as_bytes()).await.map_err(told)?;
            let revision = now.pair.map_or(0, |pair| pair.changed_at);
            // It is written together with the text; another client may have left it out.
            let author = author.pair.filter(|pair| pair.changed_at == revision);
            let author = author.and_then(|pair| serde_json::from_slice(&pair.value).ok());
            Ok(Pushed::Overtaken(revision, author))
        })
    }

    /// Asks the servers in turn, on a runtime of its own.
    fn blocking<T>(&self, ask: &impl AsyncFn(&Channel) -> Result<T, String>) -> Result<T, String> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error: io::Error| error.to_string())?;
        let asking = async {
            let mut cluster = self.cluster();
            let mut reasons = Vec::new();
            for _ in 0..cluster.servers() {
                match cluster.connect().await {
                    Ok(channel) => match ask(&channel).await {
                        Ok(answer) => return Ok(answer),
                        Err(error) => reasons.push(format!("{}: {error}", channel.server())),
                    },
                    Err((server, error)) => reasons.push(format!("{server}: {error}")),
                }
            }
            Err(reasons.join("; "))
        };
        let asked = runtime.block_on(async { timeout(ASK_MAX, asking).await });
        runtime.shutdown_background();
        asked.unwrap_or_else(|_| {
            Err(format!(
                "{} did not answer within {} s",
                self.name(),
                ASK_MAX.as_secs()
            ))
        })
    }
}

/// Name of the host.
pub(crate) fn hostname() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}

/// Maximum time for an answer of any server.
const ASK_MAX: Duration = Duration::from_secs(8);
const FLEET_BYTES_MAX: usize = 16 << 20;
