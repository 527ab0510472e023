//! A listener as an instance of an application in Eureka, kept by heartbeats.

use std::{fmt, time::Duration};

use http::{HeaderValue, Method, StatusCode, header};
use tokio::time::sleep;

use super::{Instance, Registrar, RegistrationError};
use crate::{
    fetch::{Ask, Client, Target, encode},
    upstream::{discovery::BoxFuture, servers::write_servers},
};

/// An instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EurekaRegistration {
    /// The servers, tried in turn.
    pub servers: Vec<Target>,
    /// Name of the application.
    pub app: String,
    /// Id of the instance.
    pub id: String,
    /// Time between two heartbeats.
    pub interval: Duration,
    /// Data of the instance.
    pub instance: Instance,
}

#[derive(Debug)]
pub(super) struct Eureka {
    clients: Vec<Client>,
    /// The server that is asked.
    at: usize,
    app: String,
    instance: String,
    body: String,
    interval: Duration,
}

impl EurekaRegistration {
    pub(super) fn start(&self) -> Eureka {
        let app = self.app.to_uppercase();
        let secs = self.interval.as_secs().max(1);
        Eureka {
            clients: self.servers.iter().cloned().map(Client::new).collect(),
            at: 0,
            body: self.instance.eureka(&app, &self.id, (secs, secs * 3)),
            instance: format!("/apps/{}/{}", encode(&app), encode(&self.id)),
            app: format!("/apps/{}", encode(&app)),
            interval: self.interval,
        }
    }
}

impl fmt::Display for EurekaRegistration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_servers(f, self.servers.iter().map(|it| &it.url))?;
        write!(f, " app {}", self.app)
    }
}

impl Eureka {
    /// Asks the servers in turn until one answers with a good status, or that there is no such
    /// instance.
    async fn ask(&mut self, method: &Method, path: &str) -> Result<StatusCode, RegistrationError> {
        let mut last = RegistrationError::Lost;
        for _ in 0..self.clients.len() {
            let client = &mut self.clients[self.at];
            let server = client.target().url.to_string();
            let mut ask =
                Ask::new(method.clone(), client.target().url.join(path)).with(header::ACCEPT, JSON);
            ask.timeout = PATIENCE;
            if *method == Method::POST {
                ask = ask.with(header::CONTENT_TYPE, JSON);
                ask.body = self.body.clone().into();
            }
            match client.ask(ask).await {
                Ok(answer) if answer.status.is_success() => return Ok(answer.status),
                Ok(answer) if answer.status == StatusCode::NOT_FOUND => return Ok(answer.status),
                Ok(answer) => {
                    last = RegistrationError::Refused(server, answer.status.to_string());
                }
                Err(error) => last = RegistrationError::Fetch(server, error),
            }
            self.at = (self.at + 1) % self.clients.len();
        }
        Err(last)
    }
}

impl Registrar for Eureka {
    fn enter(&mut self) -> BoxFuture<'_, Result<(), RegistrationError>> {
        Box::pin(async move {
            let path = self.app.clone();
            match self.ask(&Method::POST, &path).await? {
                StatusCode::NOT_FOUND => {
                    let server = self.clients[self.at].target().url.to_string();
                    Err(RegistrationError::Refused(
                        server,
                        StatusCode::NOT_FOUND.to_string(),
                    ))
                }
                _ => Ok(()),
            }
        })
    }

    fn keep(&mut self) -> BoxFuture<'_, RegistrationError> {
        Box::pin(async move {
            let path = self.instance.clone();
            loop {
                sleep(self.interval).await;
                match self.ask(&Method::PUT, &path).await {
                    Ok(StatusCode::NOT_FOUND) => return RegistrationError::Lost,
                    Ok(_) => {}
                    Err(error) => return error,
                }
            }
        })
    }

    fn leave(&mut self) -> BoxFuture<'_, Result<(), RegistrationError>> {
        Box::pin(async move {
            let path = self.instance.clone();
            self.ask(&Method::DELETE, &path).await.map(drop)
        })
    }
}

/// Time for an answer of one server.
const PATIENCE: Duration = Duration::from_secs(3);
const JSON: HeaderValue = HeaderValue::from_static("application/json");
