//! Instances of an application in Eureka.
//!
//! The whole registry is fetched once, then what has changed in the last minutes (`/apps/delta`),
//! each `interval`. After each delta the counts of the states must be those of the server; if they
//! are not, a delta was missed, and all is fetched again. If a server fails, the next one is asked
//! at once, and all is fetched from it.

mod registry;

use std::{fmt, time::Duration};

use http::{HeaderValue, StatusCode, header};
use tokio::time::{Instant, sleep_until};

use super::{BoxFuture, Discovery, DiscoveryError, Reconnect, Update};
use crate::{
    fetch::{Ask, Client, Target},
    upstream::servers::write_servers,
};
use registry::{Applications, Registry};

/// Settings of an application in Eureka.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EurekaSource {
    /// The servers, tried in turn.
    pub servers: Vec<Target>,
    /// Name of the application.
    pub app: String,
    /// Time between two requests.
    pub interval: Duration,
}

/// Instances of an application in Eureka.
#[derive(Debug)]
pub struct Eureka {
    clients: Vec<Client>,
    settings: EurekaSource,
    /// The server that is asked.
    at: usize,
    registry: Option<Registry>,
    due: Instant,
    reconnect: Reconnect,
}

impl fmt::Display for EurekaSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_servers(f, self.servers.iter().map(|it| &it.url))?;
        write!(f, " app {}", self.app)
    }
}

impl Eureka {
    /// Returns the source of the instances of an application.
    #[must_use]
    pub fn new(settings: EurekaSource) -> Self {
        let clients = settings.servers.iter().cloned().map(Client::new);
        Self {
            clients: clients.collect(),
            settings,
            at: 0,
            registry: None,
            due: Instant::now(),
            reconnect: Reconnect::default(),
        }
    }

    /// Asks the servers in turn until one answers.
    async fn ask(&mut self) -> Result<Update, DiscoveryError> {
        let mut last = None;
        for _ in 0..self.clients.len() {
            match self.ask_one().await {
                Ok(update) => return Ok(update),
                Err(error) => last = Some(error),
            }
            self.at = (self.at + 1) % self.clients.len();
            self.registry = None;
        }
        let nobody =
            || DiscoveryError::unreachable(self.settings.to_string(), "no server is named");
        Err(last.unwrap_or_else(nobody))
    }

    async fn ask_one(&mut self) -> Result<Update, DiscoveryError> {
        if let Some(mut registry) = self.registry.take() {
            let delta = self.fetch("/apps/delta").await?;
            let has_changed = registry.apply(&delta);
            if registry.agrees_with(&delta) {
                let list = registry.list();
                self.registry = Some(registry);
                return Ok(match has_changed {
                    true => Update::List(list),
                    false => Update::Unchanged,
                });
            }
            // A change was missed: all is fetched.
        }
        let all = self.fetch("/apps").await?;
        let mut registry = Registry::of(&self.settings.app);
        registry.apply(&all);
        let list = registry.list();
        self.registry = Some(registry);
        Ok(Update::List(list))
    }

    async fn fetch(&mut self, path: &str) -> Result<Applications, DiscoveryError> {
        let client = self.clients.get_mut(self.at);
        let settings = &self.settings;
        let Some(client) = client else {
            return Err(DiscoveryError::unreachable(
                settings.to_string(),
                "no server is named",
            ));
        };
        let url = &client.target().url;
        let name = url.to_string();
        let ask = Ask::get(url.join(path)).with(header::ACCEPT, JSON);
        let answer = client.ask(ask).await;
        let answer = answer.map_err(|error| DiscoveryError::unreachable(&name, error))?;
        if answer.status != StatusCode::OK {
            return Err(DiscoveryError::Refused(name, answer.status.to_string()));
        }
        Applications::read(&answer.body)
            .map_err(|error| DiscoveryError::Refused(name, format!("what is no list: {error}")))
    }
}

impl Discovery for Eureka {
    fn next(&mut self) -> BoxFuture<'_, Result<Update, DiscoveryError>> {
        Box::pin(async move {
            self.reconnect.wait().await;
            sleep_until(self.due).await;
            let asked = self.ask().await;
            match &asked {
                Ok(_) => {
                    self.reconnect.succeeded();
                    self.due = Instant::now() + self.settings.interval;
                }
                Err(_) => {
                    self.reconnect.failed();
                }
            }
            asked
        })
    }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");
