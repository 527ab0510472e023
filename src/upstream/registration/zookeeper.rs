//! A listener as an ephemeral node of ZooKeeper, which goes with its session.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use super::{Instance, Registrar, RegistrationError};
use crate::{
    config::value::{EndpointAddress, Secret},
    upstream::{
        discovery::BoxFuture,
        servers::write_servers,
        zookeeper::{Ensemble, Made, NodeChange, Session, Told, ZooKeeperError},
    },
};

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZooKeeperRegistration {
    /// The servers; at least one.
    pub servers: Vec<EndpointAddress>,
    /// The node that it is a child of.
    pub path: String,
    /// Its name.
    pub id: String,
    /// Time after which the node goes when nobody keeps it.
    pub session: Duration,
    /// User and password, if a login is needed.
    pub login: Option<(String, Secret)>,
    /// Data of the node.
    pub instance: Instance,
}

#[derive(Debug)]
pub(super) struct ZooKeeper {
    spec: ZooKeeperRegistration,
    ensemble: Ensemble,
    open: Option<(EndpointAddress, Session)>,
}

impl ZooKeeperRegistration {
    pub(super) fn start(&self) -> ZooKeeper {
        ZooKeeper {
            spec: self.clone(),
            ensemble: Ensemble::new(&self.servers, self.login.as_ref()),
            open: None,
        }
    }

    fn node(&self) -> String {
        match &*self.path {
            "/" => format!("/{}", self.id),
            path => format!("{path}/{}", self.id),
        }
    }
}

impl fmt::Display for ZooKeeperRegistration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_servers(f, &self.servers)?;
        write!(f, " {}", self.path)
    }
}

impl ZooKeeper {
    /// Makes the node in a new session at the next server.
    async fn enter_one(&mut self) -> Result<(), RegistrationError> {
        self.open = None;
        let (server, opened) = self.ensemble.open(self.spec.session).await;
        let told = |error| RegistrationError::ZooKeeper(server.to_string(), error);
        let mut session = opened.map_err(told)?;
        let made = self.make(&mut session).await;
        self.ensemble.saw(session.seen);
        made.map_err(told)?;
        self.open = Some((server, session));
        Ok(())
    }

    async fn make(&self, session: &mut Session) -> Result<(), ZooKeeperError> {
        let node = self.spec.node();
        let service = self.spec.path.rsplit('/').next().unwrap_or_default();
        let (id, now) = (&self.spec.id, SystemTime::now());
        let data = self.spec.instance.curator(service, id, now);
        for _ in 0..TRIES {
            session.ask_ephemeral(&node, data.as_bytes());
            match session.made().await? {
                Made::Made => {}
                Made::Exists => {
                    // Of an earlier session, or of the process before.
                    session.ask_replacement(&node, data.as_bytes());
                    if session.made().await? != Made::Made {
                        continue;
                    }
                }
                Made::NoParent => {
                    for (at, _) in node.match_indices('/').skip(1) {
                        session.ask_node(&node[..at]);
                        session.made().await?;
                    }
                    continue;
                }
            }
            session.ask_exists(&node);
            return Ok(());
        }
        Err(ZooKeeperError::Refused(0))
    }
}

impl Registrar for ZooKeeper {
    fn enter(&mut self) -> BoxFuture<'_, Result<(), RegistrationError>> {
        Box::pin(async move {
            let mut last = RegistrationError::Lost;
            for _ in 0..self.spec.servers.len() {
                match self.enter_one().await {
                    Ok(()) => return Ok(()),
                    Err(error) => last = error,
                }
            }
            Err(last)
        })
    }

    fn keep(&mut self) -> BoxFuture<'_, RegistrationError> {
        Box::pin(async move {
            let Some((server, session)) = &mut self.open else {
                return RegistrationError::Lost;
            };
            let node = self.spec.node();
            loop {
                match session.next().await {
                    Ok(Told::Exists(false)) => return RegistrationError::Lost,
                    Ok(Told::Fired { change, .. }) => match change {
                        NodeChange::Deleted => return RegistrationError::Lost,
                        NodeChange::Created | NodeChange::Data | NodeChange::Children => {
                            session.ask_exists(&node);
                        }
                    },
                    Ok(_) => {}
                    Err(error) => return RegistrationError::ZooKeeper(server.to_string(), error),
                }
            }
        })
    }

    fn leave(&mut self) -> BoxFuture<'_, Result<(), RegistrationError>> {
        Box::pin(async move {
            match &mut self.open {
                Some((server, session)) => {
                    let closed = session.close().await;
                    closed.map_err(|error| RegistrationError::ZooKeeper(server.to_string(), error))
                }
                // A session that has ended takes its node along.
                None => Ok(()),
            }
        })
    }
}

/// Tries to make a node that others make and remove at the same time.
const TRIES: usize = 8;
