//! Endpoints listed at a URL, which is asked again and again.
//!
//! The answer is what a file would contain: [`parse`]. One with `ETag` is asked for with
//! `If-None-Match`, so that an unchanged list costs no bytes.

use std::{path::Path, time::Duration};

use http::{HeaderValue, StatusCode, header};
use tokio::time::{Instant, sleep_until};

use super::{BoxFuture, Discovery, DiscoveryError, EndpointList, Format, Reconnect, Update, parse};
use crate::fetch::{Answer, Ask, Client, Target};

/// Settings of a list at a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpSource {
    /// The URL, and what its requests have in common.
    pub target: Target,
    /// Time between two requests.
    pub interval: Duration,
}

/// A list of endpoints at a URL.
#[derive(Debug)]
pub struct Http {
    client: Client,
    interval: Duration,
    /// Time of the next request.
    due: Instant,
    reconnect: Reconnect,
    /// Tag of the list that was returned last.
    tag: Option<HeaderValue>,
}

impl Http {
    /// Returns the source of the list at this URL.
    #[must_use]
    pub fn new(settings: HttpSource) -> Self {
        Self {
            client: Client::new(settings.target),
            interval: settings.interval,
            due: Instant::now(),
            reconnect: Reconnect::new(settings.interval.max(Duration::from_secs(5))),
            tag: None,
        }
    }

    async fn ask(&mut self) -> Result<Update, DiscoveryError> {
        let url = &self.client.target().url;
        let name = url.to_string();
        let mut ask = Ask::get(&*url.path).with(header::ACCEPT, JSON);
        if let Some(tag) = &self.tag {
            ask = ask.with(header::IF_NONE_MATCH, tag.clone());
        }
        let answer = self.client.ask(ask).await;
        let answer = answer.map_err(|error| DiscoveryError::unreachable(&name, error))?;
        match answer.status {
            StatusCode::NOT_MODIFIED if self.tag.is_some() => Ok(Update::Unchanged),
            StatusCode::OK => {
                let list = list(&name, &answer)?;
                self.tag = answer.headers.get(header::ETAG).cloned();
                Ok(Update::List(list))
            }
            status => Err(DiscoveryError::Refused(name, status.to_string())),
        }
    }
}

impl Discovery for Http {
    fn next(&mut self) -> BoxFuture<'_, Result<Update, DiscoveryError>> {
        Box::pin(async move {
            self.reconnect.wait().await;
            sleep_until(self.due).await;
            let asked = self.ask().await;
            match &asked {
                Ok(_) => {
                    self.reconnect.succeeded();
                    self.due = Instant::now() + self.interval;
                }
                Err(_) => {
                    self.reconnect.failed();
                    // After an error the list is needed, not that it is unchanged.
                    self.tag = None;
                }
            }
            asked
        })
    }
}

fn list(name: &str, answer: &Answer) -> Result<EndpointList, DiscoveryError> {
    let text = std::str::from_utf8(&answer.body)
        .map_err(|_| DiscoveryError::Refused(name.to_owned(), "what is not UTF-8".to_owned()))?;
    // A relative path of a unix socket means nothing here.
    let parsed = parse(text, Format::Json, Path::new("/"));
    parsed.map_err(|fault| DiscoveryError::Malformed(name.to_owned(), fault))
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");
