//! Endpoints under a prefix of etcd: one key for each, whose lease may end with the instance.
//!
//! All keys are read at a revision, and the changes after it are watched. If the watch ends, or
//! its server falls silent, all is read again from the next server. A key that says nothing usable
//! is left out and told; the others count.

use std::{fmt, io, path::Path, sync::Arc};

use tokio::time::Instant;

use super::{
    BoxFuture, Discovery, DiscoveryError, ENDPOINTS_MAX, Reconnect, Update, entries::Entries,
    list::parse_entry,
};
use crate::resilience::restart::STEADY;
use crate::upstream::{
    endpoint::Endpoint,
    etcd::{Change, Channel, Cluster, EtcdError, EtcdSettings, Watch, WatchStep},
    servers::write_servers,
};

/// Endpoints under a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdSpec {
    /// The servers.
    pub settings: Arc<EtcdSettings>,
    /// Beginning of the keys.
    pub prefix: String,
}

impl fmt::Display for EtcdSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_servers(f, &self.settings.servers)?;
        write!(f, " {}", self.prefix)
    }
}

/// A source that follows the keys under a prefix.
#[derive(Debug)]
pub struct Etcd {
    spec: EtcdSpec,
    cluster: Cluster,
    watched: Option<Watched>,
    entries: Entries,
    reconnect: Reconnect,
}

/// A watch that is open.
#[derive(Debug)]
struct Watched {
    watch: Watch,
    /// Keeps the connection open.
    channel: Channel,
    since: Instant,
}

impl Etcd {
    /// Returns the source of these keys.
    #[must_use]
    pub fn new(spec: &EtcdSpec) -> Self {
        Self {
            spec: spec.clone(),
            cluster: Cluster::new(Arc::clone(&spec.settings)),
            watched: None,
            entries: Entries::new(read),
            reconnect: Reconnect::among(spec.settings.servers.len()),
        }
    }

    /// Waits until the open watch has news: changes that are complete, or its end.
    async fn follow(&mut self) -> Followed {
        let Some(watched) = &mut self.watched else {
            return Followed::Ended(None);
        };
        loop {
            match watched.watch.next().await {
                Ok(WatchStep::Changed { changes, is_part }) => {
                    self.reconnect.succeeded();
                    for change in changes {
                        match change {
                            Change::Put(pair) => self.entries.put(pair.key, pair.value),
                            Change::Deleted(key) => self.entries.remove(&key),
                        }
                    }
                    if !is_part {
                        return Followed::Changed;
                    }
                }
                Ok(WatchStep::Compacted) => {
                    let watched = self.watched.take();
                    return Followed::Ended(watched.map(|it| it.channel));
                }
                Err(error) => {
                    let server = watched.channel.server().to_string();
                    tracing::debug!(%server, %error, "a watch of etcd ended");
                    let was_steady = watched.since.elapsed() >= STEADY;
                    self.watched = None;
                    if was_steady {
                        self.reconnect.succeeded();
                        return Followed::Ended(None);
                    }
                    return Followed::Failed(unreachable(&server, error));
                }
            }
        }
    }

    /// Reads all keys and begins to watch them: on this connection, or from the next server.
    async fn list(&mut self, channel: Option<Channel>) -> Result<(), DiscoveryError> {
        let channel = match channel {
            Some(channel) => channel,
            None => {
                let opened = self.cluster.connect().await;
                opened.map_err(|(server, error)| unreachable(&server.to_string(), error))?
            }
        };
        let server = channel.server().to_string();
        let prefix = self.spec.prefix.as_bytes();
        let listed = channel.list(prefix, LIST_BYTES_MAX).await;
        let listed = listed.map_err(|error| unreachable(&server, error))?;
        let watch = channel.watch(prefix, listed.revision).await;
        let watch = watch.map_err(|error| unreachable(&server, error))?;
        let pairs = listed.pairs.into_iter();
        self.entries.replace(pairs.map(|it| (it.key, it.value)));
        self.watched = Some(Watched {
            watch,
            channel,
            since: Instant::now(),
        });
        Ok(())
    }

    fn endpoints(&self) -> Result<Update, DiscoveryError> {
        let list = self.entries.list();
        if list.endpoints.len() > ENDPOINTS_MAX {
            let many = io::Error::other(format!("more than {ENDPOINTS_MAX} endpoints"));
            return Err(DiscoveryError::Unreachable(self.spec.to_string(), many));
        }
        Ok(Update::List(list))
    }
}

/// Result of waiting for a watch.
enum Followed {
    /// The entries are others.
    Changed,
    /// All must be read again, on this connection if there is one.
    Ended(Option<Channel>),
    /// It ended soon after it began.
    Failed(DiscoveryError),
}

impl Discovery for Etcd {
    fn next(&mut self) -> BoxFuture<'_, Result<Update, DiscoveryError>> {
        Box::pin(async move {
            loop {
                let channel = match self.follow().await {
                    Followed::Changed => return self.endpoints(),
                    Followed::Ended(channel) => channel,
                    Followed::Failed(error) if self.reconnect.failed() => return Err(error),
                    Followed::Failed(_) => None,
                };
                self.reconnect.wait().await;
                match self.list(channel).await {
                    Ok(()) => return self.endpoints(),
                    Err(error) if self.reconnect.failed() => return Err(error),
                    Err(_) => {}
                }
            }
        })
    }
}

/// Reads the value of a key.
fn read(_: &[u8], value: &[u8]) -> Result<Vec<Endpoint>, String> {
    let text = std::str::from_utf8(value).map_err(|_| "it is not text".to_owned())?;
    parse_entry(text, Path::new("/"))
}

fn unreachable(server: &str, error: EtcdError) -> DiscoveryError {
    DiscoveryError::Unreachable(server.to_owned(), io::Error::other(error))
}

/// Maximum size of all keys and values.
const LIST_BYTES_MAX: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn pair(key: &'static str, value: &'static str) -> (Bytes, Bytes) {
        (
            Bytes::from_static(key.as_bytes()),
            Bytes::from_static(value.as_bytes()),
        )
    }

    fn shown(entries: &Entries) -> Vec<String> {
        let endpoints = entries.list().endpoints;
        let shown = endpoints.iter().map(|it| {
            let version = it.version_label.as_deref().unwrap_or_default();
            format!("{} {} {version}", it.label, it.weight)
        });
        shown.collect()
    }

    #[test]
    fn a_key_is_an_address_an_entry_or_a_group_and_others_are_left_out() {
        let mut entries = Entries::new(read);
        entries.replace(vec![
            pair("a", "10.0.0.1:80"),
            pair("b", " {\"address\": \"10.0.0.2:80\", \"weight\": 3, \"version\": \"1.4.2\"}\n"),
            pair("c", "{\"targets\": [\"10.0.0.3:80\", \"10.0.0.4:80\"], \"labels\": {\"weight\": \"2\"}}"),
            pair("d", "{\"adress\": \"10.0.0.5:80\"}"),
            pair("e", ""),
            pair("f", "\"10.0.0.6:80\""),
        ]);
        let all = [
            "10.0.0.1:80 1 ",
            "10.0.0.2:80 3 1.4.2",
            "10.0.0.3:80 2 ",
            "10.0.0.4:80 2 ",
            "10.0.0.6:80 1 ",
        ];
        assert_eq!(shown(&entries), all);
        let (key, value) = pair("d", "10.0.0.6:80");
        entries.put(key, value);
        let (key, value) = pair("b", "nonsense");
        entries.put(key, value);
        entries.remove(b"c");
        assert_eq!(shown(&entries), ["10.0.0.1:80 1 ", "10.0.0.6:80 1 "]);
        // One address counts once.
        let skipped = entries.list().skipped;
        assert!(
            skipped
                .to_string()
                .contains("f: 10.0.0.6:80 is listed twice"),
            "{skipped}"
        );
    }
}
