//! A listener as a service of a Consul agent.

use std::{fmt, time::Duration};

use tokio::time::sleep;

use super::{Registrar, RegistrationError};
use crate::{
    fetch::Target,
    upstream::{
        consul::{ConsulAgent, ConsulCheck, ConsulService, ConsulStanding},
        discovery::BoxFuture,
    },
};

/// A service of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsulRegistration {
    /// The agent, and what its requests have in common.
    pub target: Target,
    /// The service.
    pub service: ConsulService,
}

#[derive(Debug)]
pub(super) struct Consul {
    agent: ConsulAgent,
    service: ConsulService,
}

impl ConsulRegistration {
    pub(super) fn start(&self) -> Consul {
        Consul {
            agent: ConsulAgent::new(self.target.clone()),
            service: self.service.clone(),
        }
    }
}

impl Consul {
    /// Looks if the service is still the one that was registered, and tells that it works. At once
    /// after its registration, too: the agent remembers a check that had failed before.
    async fn look(&mut self) -> Result<(), RegistrationError> {
        match self.agent.look(&self.service).await? {
            ConsulStanding::Own => {}
            ConsulStanding::Overwritten(by) => return Err(RegistrationError::Overwritten(by)),
            ConsulStanding::Unknown => return Err(RegistrationError::Lost),
        }
        if self.agent.tell(&self.service).await? {
            Ok(())
        } else {
            Err(RegistrationError::Lost)
        }
    }
}

impl fmt::Display for ConsulRegistration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} service {}", self.target.url, self.service.name)
    }
}

impl Registrar for Consul {
    fn enter(&mut self) -> BoxFuture<'_, Result<(), RegistrationError>> {
        Box::pin(async move { Ok(self.agent.register(&self.service).await?) })
    }

    fn keep(&mut self) -> BoxFuture<'_, RegistrationError> {
        Box::pin(async move {
            let pause = match self.service.check {
                ConsulCheck::Told(ttl) => (ttl / 3).min(LOOK),
                ConsulCheck::Http { .. } | ConsulCheck::Tcp { .. } => LOOK,
            };
            loop {
                if let Err(error) = self.look().await {
                    return error;
                }
                sleep(pause).await;
            }
        })
    }

    fn leave(&mut self) -> BoxFuture<'_, Result<(), RegistrationError>> {
        Box::pin(async move { Ok(self.agent.deregister(&self.service.id).await?) })
    }
}

/// Maximum time between two questions to the agent: one that has lost the service is told again
/// within this time.
const LOOK: Duration = Duration::from_secs(5);
