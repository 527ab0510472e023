//! The store of a shared configuration: read, written, and the list of proxies in it.

use std::{collections::BTreeMap, io, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::{runtime, time::timeout};

use super::place::{Open, Place, Stored};
use crate::{
    config::{
        Config, SharedPart,
        schema::{ConfigStore, SharedConfig},
    },
    socket::hostname,
};

/// A key in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Store {
    pub(super) place: Place,
    pub(super) key: String,
    /// Name of this proxy among those that use the key.
    pub(super) member: String,
}

/// State of a proxy, as the others see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Member {
    /// Its name.
    pub(crate) name: String,
    /// Its host and process, to tell two of one name apart.
    #[serde(default)]
    pub(crate) process: String,
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
        let store = &source.as_ref()?.store;
        Some(Self {
            place: Place::of(store),
            key: match store {
                ConfigStore::Etcd(etcd) => etcd.key.clone(),
                ConfigStore::Consul(consul) => consul.key.clone(),
            },
            member: name.as_ref().map_or_else(process, ToString::to_string),
        })
    }

    /// Returns true if the other one differs in its secrets at most.
    pub(super) fn is_same_place(&self, other: &Self) -> bool {
        self.place.is_same(&other.place) && self.key == other.key && self.member == other.member
    }

    /// Place of the configuration, for messages.
    pub(crate) fn name(&self) -> String {
        format!("{}:{}", self.place.kind(), self.key)
    }

    pub(super) fn part_of(&self, value: &[u8], revision: i64) -> Result<SharedPart, String> {
        let text = std::str::from_utf8(value);
        let text = text.map_err(|_| format!("{} is not UTF-8 text", self.name()))?;
        Ok(SharedPart {
            name: self.name().into(),
            text: text.into(),
            revision,
        })
    }

    /// Key of a proxy's state. Two proxies of one name have two.
    pub(super) fn member_key(&self) -> String {
        format!("{}{}", self.name_prefix(), process())
    }

    /// Beginning of the keys of all proxies with the name of this one.
    pub(super) fn name_prefix(&self) -> String {
        format!("{}{}/", self.fleet_prefix(), self.member)
    }

    fn fleet_prefix(&self) -> String {
        format!("{}/fleet/", self.key)
    }

    fn author_key(&self) -> String {
        format!("{}/author", self.key)
    }

    /// Reads the configuration; blocks for some seconds at most.
    pub(crate) fn fetch_blocking(&self) -> Result<SharedPart, String> {
        match self.blocking(&async |store: &mut Open| store.read(&self.key).await)? {
            Some(found) => self.part_of(&found.value, found.revision),
            None => Err(format!("there is no key \"{}\"", self.key)),
        }
    }

    /// Returns the revision of the configuration; 0 if there is none; blocks.
    pub(crate) fn current_blocking(&self) -> Result<i64, String> {
        let read = self.blocking(&async |store: &mut Open| store.read(&self.key).await)?;
        Ok(read.map_or(0, |found| found.revision))
    }

    /// Lists the proxies that use the configuration; blocks.
    pub(crate) fn fleet_blocking(&self) -> Result<Vec<Member>, String> {
        let prefix = self.fleet_prefix();
        let listed = self.blocking(&async |store: &mut Open| store.list(&prefix).await)?;
        Ok(members(&listed).collect())
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
        let puts = [(&*self.key, text.as_bytes()), (&*author_key, &*written_by)];
        self.blocking(&async |store: &mut Open| {
            if let Some(revision) = store.swap(base, &puts).await? {
                return Ok(Pushed::Written(revision));
            }
            let now = store.read(&self.key).await?;
            let author = store.read(&author_key).await?;
            let revision = now.map_or(0, |found| found.revision);
            // It is written together with the text; another client may have left it out. Consul
            // leaves a text that is written again at its revision.
            let author = author.filter(|found| found.revision >= revision);
            let author = author.and_then(|found| serde_json::from_slice(&found.value).ok());
            Ok(Pushed::Overtaken(revision, author))
        })
    }

    /// Asks the store, on a runtime of its own.
    fn blocking<T>(&self, ask: &impl AsyncFn(&mut Open) -> Result<T, String>) -> Result<T, String> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error: io::Error| error.to_string())?;
        let asked = runtime.block_on(async { timeout(ASK_MAX, self.place.ask(ask)).await });
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

/// Returns the states of proxies; what is none is left out.
pub(super) fn members(listed: &[Stored]) -> impl Iterator<Item = Member> {
    let read = |found: &Stored| serde_json::from_slice(&found.value).ok();
    listed.iter().filter_map(read)
}

/// Names that more than one proxy of a fleet has, with their number. One that hands over to its
/// successor does not count.
pub(crate) fn names_of_several(members: &[Member]) -> Vec<(&str, usize)> {
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    for member in members.iter().filter(|it| it.state != "draining") {
        *names.entry(&member.name).or_default() += 1;
    }
    names.into_iter().filter(|(_, count)| *count > 1).collect()
}

/// Name of the host and number of the process.
pub(crate) fn process() -> String {
    process_named(std::process::id())
}

/// Name of the host and number of a process on it.
pub(super) fn process_named(id: u32) -> String {
    format!("{}:{id}", hostname())
}

/// Maximum time for an answer of any server.
const ASK_MAX: Duration = Duration::from_secs(8);
