//! Instances of a service in Consul, by blocking queries of its health endpoint.
//!
//! A query waits at the agent until the index of its answer is another one than that of the last
//! answer, or [`WAIT`] is over. An index that goes backwards, or is 0, begins anew: the agent or
//! its servers were restored. Instances that fail a check are in the list, as down.

mod instance;

use std::{fmt, fmt::Write as _, time::Duration};

use http::StatusCode;
use serde_json::value::RawValue;

use super::{BoxFuture, Discovery, DiscoveryError, ENDPOINTS_MAX, EndpointList, Reconnect, Update};
use crate::{
    fetch::{Answer, Ask, Client, Target, encode},
    file::ContentHash,
    upstream::consul,
};
use instance::Instance;

/// Settings of a service in Consul.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsulSource {
    /// The agent, and what its requests have in common.
    pub target: Target,
    /// Name of the service.
    pub service: String,
    /// Tags that an instance must have, all of them.
    pub tags: Vec<String>,
    /// The datacenter; empty: that of the agent.
    pub datacenter: String,
    /// Node by whose distance the instances are sorted; empty: they are not.
    pub near: String,
    /// Expression that instances must satisfy; empty: none.
    pub filter: String,
    /// True if only instances in the state `passing` take traffic, and those in `warning` not.
    pub passing: bool,
    /// True if any server may answer, not just the leader.
    pub stale: bool,
}

/// Instances of a service in Consul.
#[derive(Debug)]
pub struct Consul {
    client: Client,
    settings: ConsulSource,
    /// Index of the last answer; 0: the next answer comes at once.
    index: u64,
    /// Hash of the body of the last answer.
    hash: Option<ContentHash>,
    reconnect: Reconnect,
}

impl fmt::Display for ConsulSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} service {}", self.target.url, self.service)?;
        match &*self.datacenter {
            "" => Ok(()),
            datacenter => write!(f, " in {datacenter}"),
        }
    }
}

impl Consul {
    /// Returns the source of the instances of a service.
    #[must_use]
    pub fn new(settings: ConsulSource) -> Self {
        Self {
            client: Client::new(settings.target.clone()),
            settings,
            index: 0,
            hash: None,
            reconnect: Reconnect::default(),
        }
    }

    async fn ask(&mut self) -> Result<Update, DiscoveryError> {
        let url = &self.settings.target.url;
        let mut ask = Ask::get(url.join(&self.path()));
        ask.timeout = if self.index == 0 { PATIENCE } else { WAIT_MAX };
        let answer = self.client.ask(ask).await;
        let name = || self.settings.to_string();
        let answer = answer.map_err(|error| DiscoveryError::unreachable(name(), error))?;
        if answer.status != StatusCode::OK {
            return Err(DiscoveryError::Refused(
                name(),
                consul::refusal(&answer.status, &consul::reason(&answer)),
            ));
        }
        let hash = ContentHash::of(&answer.body);
        let index = consul::following(self.index, consul::index_of(&answer.headers));
        if self.hash == Some(hash) {
            self.index = index;
            return Ok(Update::Unchanged);
        }
        let list = self.list(&answer)?;
        (self.index, self.hash) = (index, Some(hash));
        Ok(Update::List(list))
    }

    fn path(&self) -> String {
        let it = &self.settings;
        let mut path = format!("/v1/health/service/{}?", encode(&it.service));
        // Writing to a text does not fail.
        let _ = write!(path, "index={}&wait={}s", self.index, WAIT.as_secs());
        for (key, value) in [
            ("dc", &it.datacenter),
            ("near", &it.near),
            ("filter", &it.filter),
        ] {
            if !value.is_empty() {
                let _ = write!(path, "&{key}={}", encode(value));
            }
        }
        for tag in &it.tags {
            let _ = write!(path, "&tag={}", encode(tag));
        }
        if it.stale {
            path.push_str("&stale");
        }
        path
    }

    fn list(&self, answer: &Answer) -> Result<EndpointList, DiscoveryError> {
        let refused = |what: String| DiscoveryError::Refused(self.settings.to_string(), what);
        let instances: Vec<&RawValue> = serde_json::from_slice(&answer.body)
            .map_err(|error| refused(format!("what is no list of instances: {error}")))?;
        if instances.len() > ENDPOINTS_MAX {
            return Err(refused(format!("more than {ENDPOINTS_MAX} instances")));
        }
        Ok(instance::list(
            instances.into_iter().map(Instance::read),
            self.settings.passing,
        ))
    }
}

impl Discovery for Consul {
    fn next(&mut self) -> BoxFuture<'_, Result<Update, DiscoveryError>> {
        Box::pin(async move {
            self.reconnect.wait().await;
            let asked = self.ask().await;
            match &asked {
                // Without an index nothing would wait at the agent.
                Ok(_) if self.index == 0 => {
                    self.reconnect.failed();
                }
                Ok(_) => self.reconnect.succeeded(),
                Err(_) => {
                    self.reconnect.failed();
                    (self.index, self.hash) = (0, None);
                }
            }
            asked
        })
    }
}

/// Time that a query waits for a change at the agent, which adds up to a sixteenth.
const WAIT: Duration = Duration::from_secs(15);
/// Time after which a query that waits is given up.
const WAIT_MAX: Duration = Duration::from_secs(20);
/// Time for a query that does not wait.
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::value::HttpUrl;

    #[test]
    fn a_query_has_what_is_set() {
        let mut consul = Consul::new(ConsulSource {
            target: Target {
                url: HttpUrl::parse("http://127.0.0.1:8500/consul/").unwrap(),
                ca: None,
                secrets: Vec::new(),
            },
            service: "my orders".to_owned(),
            tags: vec!["blue".to_owned(), "a&b".to_owned()],
            datacenter: "west".to_owned(),
            near: "_agent".to_owned(),
            filter: "Service.Meta.team == \"a\"".to_owned(),
            passing: true,
            stale: true,
        });
        consul.index = 5;
        assert_eq!(
            consul.path(),
            "/v1/health/service/my%20orders?index=5&wait=15s&dc=west&near=_agent\
             &filter=Service.Meta.team%20%3D%3D%20%22a%22&tag=blue&tag=a%26b&stale"
        );
        assert_eq!(
            consul.settings.to_string(),
            "http://127.0.0.1:8500/consul/ service my orders in west"
        );
    }
}
