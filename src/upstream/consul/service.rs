//! Services of an agent: registered, kept passing, removed.

use std::{borrow::Cow, collections::BTreeMap, fmt, time::Duration};

use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ConsulAgent, ConsulError};
use crate::{config::value::host_with_port, fetch::encode};

/// A service that an agent shall know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsulService {
    /// Its id, one for each service of the agent.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its address; empty: that of the agent's node.
    pub address: String,
    /// Its port.
    pub port: u16,
    /// Tags.
    pub tags: Vec<String>,
    /// Labels.
    pub meta: BTreeMap<String, String>,
    /// The check of its state.
    pub check: ConsulCheck,
    /// Time in the state `critical` after which the agent removes it.
    pub deregister_after: Duration,
}

/// Standing of a service that was registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsulStanding {
    /// As it was registered.
    Own,
    /// Another one has taken its id: its name and address.
    Overwritten(String),
    /// The agent does not know it.
    Unknown,
}

/// A service as the agent knows it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Known<'a> {
    #[serde(borrow, default)]
    service: Cow<'a, str>,
    #[serde(borrow, default)]
    address: Cow<'a, str>,
    #[serde(default)]
    port: u16,
}

impl fmt::Display for Known<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} at {}",
            self.service,
            host_with_port(&self.address, self.port)
        )
    }
}

/// A check of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsulCheck {
    /// Passes while it is told so within this time.
    Told(Duration),
    /// The agent asks this URL.
    Http {
        /// The URL.
        url: String,
        /// Time between two checks.
        interval: Duration,
        /// Time for one check.
        timeout: Duration,
    },
    /// The agent opens a connection.
    Tcp {
        /// Host and port.
        address: String,
        /// Time between two checks.
        interval: Duration,
        /// Time for one check.
        timeout: Duration,
    },
}

impl ConsulService {
    /// Id of its check.
    #[must_use]
    pub fn check_id(&self) -> String {
        format!("service:{}", self.id)
    }

    fn body(&self) -> Value {
        let text = |time: Duration| format!("{}ms", time.as_millis());
        let mut check = match &self.check {
            // It serves: nobody has to wait for the first word.
            ConsulCheck::Told(ttl) => json!({ "TTL": text(*ttl), "Status": "passing" }),
            ConsulCheck::Http {
                url,
                interval,
                timeout,
            } => json!({
                "HTTP": url, "Interval": text(*interval), "Timeout": text(*timeout),
                "TLSSkipVerify": url.starts_with("https:"), "Status": "passing",
            }),
            ConsulCheck::Tcp {
                address,
                interval,
                timeout,
            } => json!({
                "TCP": address, "Interval": text(*interval), "Timeout": text(*timeout),
                "Status": "passing",
            }),
        };
        check["CheckID"] = self.check_id().into();
        check["Name"] = "Sluicegate listener".into();
        check["DeregisterCriticalServiceAfter"] = text(self.deregister_after).into();
        json!({
            "ID": self.id,
            "Name": self.name,
            "Address": self.address,
            "Port": self.port,
            "Tags": self.tags,
            "Meta": self.meta,
            "Check": check,
        })
    }
}

impl ConsulAgent {
    /// Registers a service; one with this id is replaced, with its checks.
    ///
    /// # Errors
    /// The reason.
    pub async fn register(&mut self, service: &ConsulService) -> Result<(), ConsulError> {
        let path = "/v1/agent/service/register?replace-existing-checks=true";
        self.put(path, &service.body()).await.map(drop)
    }

    /// Asks if a service is still as it was registered.
    ///
    /// # Errors
    /// The reason.
    pub async fn look(&mut self, service: &ConsulService) -> Result<ConsulStanding, ConsulError> {
        let path = format!("/v1/agent/service/{}", encode(&service.id));
        let asked = self.call(self.to(Method::GET, &path)).await;
        let answer = match asked {
            Err(error) if is_unknown(&error) => return Ok(ConsulStanding::Unknown),
            asked => asked?,
        };
        let known: Known<'_> =
            serde_json::from_slice(&answer.body).map_err(|_| ConsulError::Garbled)?;
        let is_own = known.service == service.name
            && known.address == service.address
            && known.port == service.port;
        Ok(if is_own {
            ConsulStanding::Own
        } else {
            ConsulStanding::Overwritten(known.to_string())
        })
    }

    /// Tells that a service works, where the agent waits for that. Returns false if the agent does
    /// not know its check.
    ///
    /// # Errors
    /// The reason.
    pub async fn tell(&mut self, service: &ConsulService) -> Result<bool, ConsulError> {
        if !matches!(service.check, ConsulCheck::Told(_)) {
            return Ok(true);
        }
        let path = format!("/v1/agent/check/pass/{}", encode(&service.check_id()));
        match self.call(self.to(Method::PUT, &path)).await {
            Err(error) if is_unknown(&error) => Ok(false),
            told => told.map(|_| true),
        }
    }

    /// Removes a service.
    ///
    /// # Errors
    /// The reason; it leaves when its check has failed for long enough.
    pub async fn deregister(&mut self, id: &str) -> Result<(), ConsulError> {
        let path = format!("/v1/agent/service/deregister/{}", encode(id));
        match self.call(self.to(Method::PUT, &path)).await {
            Ok(_) => Ok(()),
            // It is not known.
            Err(ConsulError::Refused(StatusCode::NOT_FOUND, _)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Returns true if the agent does not know what it was asked for. Older ones answer 500 to a check
/// that they do not know.
fn is_unknown(error: &ConsulError) -> bool {
    matches!(error, ConsulError::Refused(status, _)
        if *status == StatusCode::NOT_FOUND || status.is_server_error())
}
