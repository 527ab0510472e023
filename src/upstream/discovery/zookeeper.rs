//! Endpoints from the children of a node in ZooKeeper: one for each, mostly ephemeral.
//!
//! Children and their data are watched; a watch that fires is set again with the read that it asks
//! for. On a new connection everything is read again, and the last list stays until that is done.
//! A child that says nothing usable is left out and told; the others count.

use std::{collections::HashSet, fmt, path::Path};

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    BoxFuture, Discovery, DiscoveryError, ENDPOINTS_MAX, Reconnect, Update, curator,
    entries::Entries, list::parse_entry,
};
use crate::{
    config::value::{EndpointAddress, Secret},
    resilience::restart::STEADY,
    upstream::{
        endpoint::Endpoint,
        servers::write_servers,
        zookeeper::{Ensemble, NodeChange, SESSION, Session, Told, ZooKeeperError},
    },
};

/// Endpoints below a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZooKeeperSpec {
    /// The servers; at least one.
    pub servers: Vec<EndpointAddress>,
    /// The node whose children are endpoints.
    pub path: String,
    /// User and password, if a login is needed.
    pub login: Option<(String, Secret)>,
}

impl fmt::Display for ZooKeeperSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_servers(f, &self.servers)?;
        f.write_str(&self.path)
    }
}

/// A source that follows the children of a node.
#[derive(Debug)]
pub struct ZooKeeper {
    spec: ZooKeeperSpec,
    ensemble: Ensemble,
    open: Option<Open>,
    entries: Entries,
    reconnect: Reconnect,
}

/// A session, and what it watches.
#[derive(Debug)]
struct Open {
    session: Session,
    server: EndpointAddress,
    /// Children whose data is watched.
    watched: HashSet<String>,
    /// True if the list may differ from the one that was told.
    is_news: bool,
    since: Instant,
}

impl ZooKeeper {
    /// Returns the source of these children.
    #[must_use]
    pub fn new(spec: &ZooKeeperSpec) -> Self {
        Self {
            spec: spec.clone(),
            ensemble: Ensemble::new(&spec.servers, spec.login.as_ref()),
            open: None,
            entries: Entries::new(read),
            reconnect: Reconnect::among(spec.servers.len()),
        }
    }

    /// Begins a session with the next server, and asks for everything.
    async fn begin(&mut self) -> Result<(), DiscoveryError> {
        let (server, opened) = self.ensemble.open(SESSION).await;
        let mut session = opened.map_err(|error| unreachable(&server, error))?;
        session.ask_children(&self.spec.path);
        self.open = Some(Open {
            session,
            server,
            watched: HashSet::new(),
            is_news: true,
            since: Instant::now(),
        });
        Ok(())
    }

    /// Follows the session until the list is another.
    async fn follow(&mut self, open: &mut Open) -> Result<(), ZooKeeperError> {
        loop {
            if open.is_news && open.session.is_idle() {
                open.is_news = false;
                return Ok(());
            }
            let told = open.session.next().await?;
            self.ensemble.saw(open.session.seen);
            self.hear(open, told)?;
        }
    }

    fn hear(&mut self, open: &mut Open, told: Told) -> Result<(), ZooKeeperError> {
        match told {
            Told::Children(Some(names)) => {
                if names.len() > ENDPOINTS_MAX {
                    return Err(ZooKeeperError::Garbled);
                }
                open.is_news = true;
                let names: HashSet<String> = names.into_iter().collect();
                open.watched.retain(|name| names.contains(name));
                self.entries.retain(|name| {
                    std::str::from_utf8(name).is_ok_and(|name| names.contains(name))
                });
                for name in names {
                    if !open.watched.contains(&name) {
                        open.session.ask_data(self.child(&name));
                        open.watched.insert(name);
                    }
                }
            }
            Told::Children(None) => open.session.ask_exists(&self.spec.path),
            Told::Exists(true) => open.session.ask_children(&self.spec.path),
            Told::Exists(false) => {
                open.is_news = true;
                open.watched.clear();
                self.entries.retain(|_| false);
            }
            Told::Data(path, data) => {
                open.is_news = true;
                let name = self.name(&path);
                match data {
                    Some(data) => self.entries.put(key(name), Bytes::copy_from_slice(&data)),
                    None => {
                        open.watched.remove(name);
                        self.entries.remove(name.as_bytes());
                    }
                }
            }
            Told::Forbidden(path) => {
                open.is_news = true;
                self.entries
                    .refuse(key(self.name(&path)), "it may not be read");
            }
            Told::Fired { path, change } if path == self.spec.path => match change {
                NodeChange::Created | NodeChange::Children => {
                    open.session.ask_children(&self.spec.path);
                }
                NodeChange::Deleted => open.session.ask_exists(&self.spec.path),
                NodeChange::Data => {}
            },
            // Nothing is made here.
            Told::Made(_) => {}
            Told::Fired { path, change } => match change {
                NodeChange::Data => open.session.ask_data(path),
                // The list of children says so, too.
                NodeChange::Deleted => {
                    open.watched.remove(self.name(&path));
                }
                NodeChange::Created | NodeChange::Children => {}
            },
        }
        Ok(())
    }

    fn child(&self, name: &str) -> String {
        match &*self.spec.path {
            "/" => format!("/{name}"),
            path => format!("{path}/{name}"),
        }
    }

    fn name<'p>(&self, path: &'p str) -> &'p str {
        let name = path.strip_prefix(&*self.spec.path).unwrap_or(path);
        name.strip_prefix('/').unwrap_or(name)
    }
}

impl Discovery for ZooKeeper {
    fn next(&mut self) -> BoxFuture<'_, Result<Update, DiscoveryError>> {
        Box::pin(async move {
            loop {
                if let Some(mut open) = self.open.take() {
                    // Given up if this is cancelled: then all is read again.
                    match self.follow(&mut open).await {
                        Ok(()) => {
                            self.open = Some(open);
                            return Ok(Update::List(self.entries.list()));
                        }
                        Err(error) => {
                            let server = &open.server;
                            tracing::debug!(%server, %error, "a session of ZooKeeper ended");
                            if open.since.elapsed() >= STEADY {
                                self.reconnect.succeeded();
                            } else if self.reconnect.failed() {
                                return Err(unreachable(server, error));
                            }
                        }
                    }
                }
                self.reconnect.wait().await;
                if let Err(error) = self.begin().await
                    && self.reconnect.failed()
                {
                    return Err(error);
                }
            }
        })
    }
}

/// Reads the data of a child: Curator's form, one of the usual ones, or none, and then the name of
/// the child is the address.
fn read(name: &[u8], data: &[u8]) -> Result<Vec<Endpoint>, String> {
    let data = std::str::from_utf8(data).map_err(|_| "it is not text".to_owned())?;
    if data.trim().is_empty() {
        return parse_entry(&String::from_utf8_lossy(name), Path::new("/"));
    }
    match curator::read(data) {
        Some(read) => read,
        None => parse_entry(data, Path::new("/")),
    }
}

fn key(name: &str) -> Bytes {
    Bytes::copy_from_slice(name.as_bytes())
}

fn unreachable(server: &EndpointAddress, error: ZooKeeperError) -> DiscoveryError {
    DiscoveryError::unreachable(server.to_string(), error)
}
