//! A listener as a key of etcd, under a lease.

use std::{fmt, sync::Arc, time::Duration};

use tokio::time::sleep;

use super::{Instance, Registrar, RegistrationError};
use crate::upstream::{
    discovery::BoxFuture,
    etcd::{Channel, Cluster, EtcdError, EtcdSettings, Lease, Put},
    servers::write_servers,
};

/// A key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdRegistration {
    /// The servers.
    pub settings: Arc<EtcdSettings>,
    /// Beginning of the key.
    pub prefix: String,
    /// Rest of the key.
    pub id: String,
    /// Time after which the key goes when nobody keeps it.
    pub ttl: Duration,
    /// Value of the key.
    pub instance: Instance,
}

#[derive(Debug)]
pub(super) struct Etcd {
    key: String,
    value: String,
    ttl: Duration,
    cluster: Cluster,
    open: Option<Channel>,
    /// The lease that the key was written under last.
    lease: Option<Lease>,
}

impl EtcdRegistration {
    pub(super) fn start(&self) -> Etcd {
        Etcd {
            key: format!("{}{}", self.prefix, self.id),
            value: self.instance.entry(),
            ttl: self.ttl,
            cluster: Cluster::new(Arc::clone(&self.settings)),
            open: None,
            lease: None,
        }
    }
}

impl fmt::Display for EtcdRegistration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_servers(f, &self.settings.servers)?;
        write!(f, " {}", self.prefix)
    }
}

impl Etcd {
    /// Writes the key at the next server.
    async fn enter_one(&mut self) -> Result<(), RegistrationError> {
        self.open = None;
        let channel = self.cluster.connect().await;
        let channel = channel
            .map_err(|(server, error)| RegistrationError::Etcd(server.to_string(), error))?;
        let server = channel.server().to_string();
        let told = |error| RegistrationError::Etcd(server.clone(), error);
        let lease = channel.lease(self.ttl).await.map_err(told)?;
        self.lease = Some(lease);
        let put = Put {
            key: self.key.as_bytes(),
            value: self.value.as_bytes(),
        };
        channel.put(put, lease).await.map_err(told)?;
        self.open = Some(channel);
        Ok(())
    }

    /// Keeps the lease, and looks if the key is still under it.
    async fn look(&self) -> Result<bool, RegistrationError> {
        let (Some(channel), Some(lease)) = (&self.open, self.lease) else {
            return Ok(false);
        };
        let told = |error| RegistrationError::Etcd(channel.server().to_string(), error);
        if !channel.keep(lease).await.map_err(told)? {
            return Ok(false);
        }
        let read = channel.read(self.key.as_bytes()).await.map_err(told)?;
        Ok(read.pair.is_some_and(|pair| lease.holds(&pair)))
    }
}

impl Registrar for Etcd {
    fn enter(&mut self) -> BoxFuture<'_, Result<(), RegistrationError>> {
        Box::pin(async move {
            let mut last = RegistrationError::Lost;
            for _ in 0..self.cluster.servers() {
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
            loop {
                sleep((self.ttl / 3).min(LOOK)).await;
                match self.look().await {
                    Ok(true) => {}
                    Ok(false) => return RegistrationError::Lost,
                    Err(error) => return error,
                }
            }
        })
    }

    fn leave(&mut self) -> BoxFuture<'_, Result<(), RegistrationError>> {
        Box::pin(async move {
            let Some(lease) = self.lease.take() else {
                return Ok(());
            };
            if let Some(channel) = &self.open
                && is_ended(&channel.end_lease(lease).await)
            {
                return Ok(());
            }
            let mut last = RegistrationError::Lost;
            for _ in 0..self.cluster.servers() {
                match self.cluster.connect().await {
                    Ok(channel) => match channel.end_lease(lease).await {
                        ended if is_ended(&ended) => return Ok(()),
                        Err(error) => {
                            last = RegistrationError::Etcd(channel.server().to_string(), error);
                        }
                        Ok(()) => {}
                    },
                    Err((server, error)) => {
                        last = RegistrationError::Etcd(server.to_string(), error);
                    }
                }
            }
            Err(last)
        })
    }
}

fn is_ended(ended: &Result<(), EtcdError>) -> bool {
    match ended {
        Ok(()) => true,
        Err(error) if error.code() == Some(NOT_FOUND) => true,
        Err(_) => false,
    }
}

/// Maximum time between two looks at the key.
const LOOK: Duration = Duration::from_secs(5);
/// Status of gRPC: there is no such lease.
const NOT_FOUND: u32 = 5;
