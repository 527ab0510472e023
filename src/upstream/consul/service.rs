//! Services of an agent: registered, kept passing, removed.

use std::{collections::BTreeMap, time::Duration};

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{ConsulAgent, ConsulError};
use crate::fetch::encode;

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

    /// Tells that a service works, or asks if it is known where nothing has to be told. Returns
    /// false if the agent does not know it.
    ///
    /// # Errors
    /// The reason.
    pub async fn keep(&mut self, service: &ConsulService) -> Result<bool, ConsulError> {
        let (method, path) = match service.check {
            ConsulCheck::Told(_) => {
                let check = encode(&service.check_id());
                (Method::PUT, format!("/v1/agent/check/pass/{check}"))
            }
            ConsulCheck::Http { .. } | ConsulCheck::Tcp { .. } => {
                let id = encode(&service.id);
                (Method::GET, format!("/v1/agent/service/{id}"))
            }
        };
        match self.call(self.to(method, &path)).await {
            Ok(_) => Ok(true),
            // Older agents answer 500 to a check that they do not know.
            Err(ConsulError::Refused(status, _))
                if status == StatusCode::NOT_FOUND || status.is_server_error() =>
            {
                Ok(false)
            }
            Err(error) => Err(error),
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
