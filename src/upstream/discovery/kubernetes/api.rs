//! Requests to the API server, and its answers: lists, watches, refusals.

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::{
    KubernetesSource,
    account::Account,
    slice::{Object, Slice},
    slices::Slices,
};
use crate::fetch::{Answer, Ask, Client, FetchError, Stream, encode};

/// An API server.
#[derive(Debug)]
pub(super) struct Api {
    client: Client,
    account: Account,
    version: Version,
}

/// Versions of the API, the newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    V1,
    /// Of Kubernetes 1.17 to 1.20.
    V1Beta1,
}

/// Reasons why there is no answer.
#[derive(Debug)]
pub(super) enum ApiError {
    /// No connection, no answer, or one that breaks off.
    Unreachable(String),
    /// A status, with what the server says.
    Refused(StatusCode, String),
    /// The history of a watch, or the rest of a list, is not there any more.
    Gone,
    /// An answer with another content.
    Garbled(String),
}

/// An open watch.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) stream: Stream,
    pub(super) since: Instant,
    /// Time by which the server ends it.
    pub(super) until: Instant,
}

/// A line of a watch.
#[derive(Debug, Deserialize)]
pub(super) struct Event<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) object: &'a RawValue,
}

/// A part of a list.
#[derive(Debug, Deserialize)]
struct Page<'a> {
    metadata: PageMetadata,
    #[serde(borrow)]
    items: Option<Vec<&'a RawValue>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageMetadata {
    #[serde(default)]
    resource_version: String,
    #[serde(default, rename = "continue")]
    more: String,
}

/// An answer that is no object: what is wrong.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Status {
    #[serde(default)]
    message: String,
    code: Option<u16>,
}

impl Api {
    pub(super) fn new(account: Account, settings: &KubernetesSource) -> Self {
        let client = Client::new(account.target.clone());
        Self {
            client: client.presenting(settings.client.clone()),
            account,
            version: Version::V1,
        }
    }

    /// Reads all slices, page by page; returns them and the revision that they are of.
    pub(super) async fn list(
        &mut self,
        settings: &KubernetesSource,
    ) -> Result<(Slices, String), ApiError> {
        let mut slices = Slices::default();
        let mut query = format!("limit={PAGE}");
        for _ in 0..PAGES_MAX {
            let answer = self.page(settings, &query).await?;
            let page: Page<'_> = serde_json::from_slice(&answer.body)
                .map_err(|error| garbled("no list of EndpointSlices", &error))?;
            for item in page.items.unwrap_or_default() {
                let Object { metadata } = serde_json::from_str(item.get())
                    .map_err(|error| garbled("no list of EndpointSlices", &error))?;
                let name = metadata.name.clone();
                let slice = Slice::read(item, metadata, settings, &self.account.namespace);
                slices.put(name, slice);
            }
            slices.bounded()?;
            let PageMetadata {
                resource_version,
                more,
            } = page.metadata;
            if more.is_empty() {
                return Ok((slices, resource_version));
            }
            query = format!("limit={PAGE}&continue={}", encode(&more));
        }
        Err(ApiError::Garbled(format!(
            "a list in more than {PAGES_MAX} parts"
        )))
    }

    async fn page(&mut self, settings: &KubernetesSource, query: &str) -> Result<Answer, ApiError> {
        let path = self.path(settings, query);
        let answer = self.get(&path).await;
        if !matches!(answer, Err(ApiError::Refused(StatusCode::NOT_FOUND, _))) {
            return answer;
        }
        // An older server does not know the newer path.
        self.version = Version::V1Beta1;
        let path = self.path(settings, query);
        self.get(&path).await
    }

    /// Begins to watch the slices after a revision.
    pub(super) async fn watch(
        &mut self,
        settings: &KubernetesSource,
        revision: &str,
    ) -> Result<Watch, ApiError> {
        let span = WATCH + Duration::from_secs(rand::random_range(0..=WATCH_JITTER_SECS));
        let query = format!(
            "watch=1&allowWatchBookmarks=true&timeoutSeconds={}&resourceVersion={}",
            span.as_secs(),
            encode(revision)
        );
        let ask = ask(&self.account, &self.path(settings, &query)).await?;
        let mut stream = self.client.open(ask).await?;
        if stream.status != StatusCode::OK {
            let reading = stream.rest(STATUS_BYTES_MAX);
            let body = tokio::time::timeout(PATIENCE, reading).await;
            return Err(refused(stream.status, &body.unwrap_or(Ok(Bytes::new()))?));
        }
        let since = Instant::now();
        Ok(Watch {
            stream,
            since,
            until: since + span + GRACE,
        })
    }

    /// Returns the connection of a watch that the server has ended.
    pub(super) fn reuse(&mut self, watch: Watch) {
        self.client.reuse(watch.stream);
    }

    /// Returns true if a Service is known not to exist. It needs a right of its own: without it
    /// nothing is known.
    pub(super) async fn lacks_service(&mut self, name: &str) -> bool {
        let namespace = encode(&self.account.namespace);
        let path = format!("/api/v1/namespaces/{namespace}/services/{}", encode(name));
        let path = self.client.target().url.join(&path);
        let answer = self.get(&path).await;
        matches!(answer, Err(ApiError::Refused(StatusCode::NOT_FOUND, _)))
    }

    pub(super) fn namespace(&self) -> &str {
        &self.account.namespace
    }

    fn path(&self, settings: &KubernetesSource, query: &str) -> String {
        let version = match self.version {
            Version::V1 => "v1",
            Version::V1Beta1 => "v1beta1",
        };
        let namespace = encode(&self.account.namespace);
        let selector = match &settings.services[..] {
            [only] => format!("kubernetes.io/service-name={only}"),
            several => format!("kubernetes.io/service-name in ({})", several.join(",")),
        };
        let selector = encode(&selector);
        let path = format!(
            "/apis/discovery.k8s.io/{version}/namespaces/{namespace}/endpointslices?labelSelector={selector}&{query}"
        );
        self.client.target().url.join(&path)
    }

    async fn get(&mut self, path: &str) -> Result<Answer, ApiError> {
        let ask = ask(&self.account, path).await?;
        let answer = self.client.ask(ask).await?;
        match answer.status {
            StatusCode::OK => Ok(answer),
            status => Err(refused(status, &answer.body)),
        }
    }

    /// Returns an error in the words of those who have to mend it.
    pub(super) fn told(&self, error: ApiError) -> Told {
        match error {
            ApiError::Unreachable(why) => Told::Unreachable(match &self.account.target.ca {
                Some(ca) if why.contains("certificate") => {
                    format!("{why}; the authorities are those of {}", ca.display())
                }
                Some(_) | None => why,
            }),
            ApiError::Gone => {
                Told::Answers("that the list has expired while it was read".to_owned())
            }
            ApiError::Garbled(what) => Told::Answers(what),
            ApiError::Refused(status, why) => Told::Answers(match (status, &*why) {
                (StatusCode::UNAUTHORIZED, _) => format!(
                    "{status}: {} is not accepted: it has expired, or is of another cluster",
                    self.account.credential()
                ),
                (StatusCode::FORBIDDEN, why) => format!(
                    "{status}: {why}; a Role needs the verbs list and watch on endpointslices of discovery.k8s.io, and a RoleBinding"
                ),
                (StatusCode::NOT_FOUND, _) => format!(
                    "{status} for EndpointSlices in discovery.k8s.io/v1 and v1beta1, which Kubernetes has since 1.17"
                ),
                (_, "") => status.to_string(),
                (_, why) => format!("{status}: {why}"),
            }),
        }
    }
}

/// An error in words, and where they belong.
#[derive(Debug)]
pub(super) enum Told {
    Unreachable(String),
    Answers(String),
}

impl Status {
    /// Reads the object of an event of the kind `ERROR`.
    pub(super) fn error(text: &RawValue) -> ApiError {
        let status: Self = serde_json::from_str(text.get()).unwrap_or_default();
        let code = status.code.and_then(|code| StatusCode::from_u16(code).ok());
        match code {
            Some(StatusCode::GONE) => ApiError::Gone,
            Some(code) => ApiError::Refused(code, shortened(&status.message)),
            None => ApiError::Garbled(format!("an error without a code: {}", status.message)),
        }
    }
}

/// Returns a request with the token as it is now.
async fn ask(account: &Account, path: &str) -> Result<Ask, ApiError> {
    let mut ask = Ask::get(path).with(header::ACCEPT, JSON);
    ask.timeout = PATIENCE;
    ask.body_max = PAGE_BYTES_MAX;
    let asked = account.authorise(ask).await;
    asked.map_err(ApiError::Unreachable)
}

impl From<FetchError> for ApiError {
    fn from(error: FetchError) -> Self {
        Self::Unreachable(error.to_string())
    }
}

fn refused(status: StatusCode, body: &[u8]) -> ApiError {
    if status == StatusCode::GONE {
        return ApiError::Gone;
    }
    let said = serde_json::from_slice::<Status>(body);
    let said = said.map_or_else(
        |_| {
            String::from_utf8_lossy(body)
                .trim()
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned()
        },
        |status| status.message,
    );
    ApiError::Refused(status, shortened(&said))
}

fn shortened(text: &str) -> String {
    text.chars().take(REASON_CHARS_MAX).collect()
}

pub(super) fn garbled(what: &str, error: &serde_json::Error) -> ApiError {
    ApiError::Garbled(format!("what is {what}: {error}"))
}

/// Time after which the server ends a watch, so that one that hangs is noticed.
const WATCH: Duration = Duration::from_secs(20);
/// Seconds that are added at random: the watches of many proxies do not end together.
const WATCH_JITTER_SECS: u64 = 10;
/// Time for the end of a watch to arrive.
const GRACE: Duration = Duration::from_secs(5);
/// Time for an answer, and for the head of a watch.
const PATIENCE: Duration = Duration::from_secs(10);
/// Number of slices in one part of a list. A slice has 100 endpoints by default, and 1,000 at most.
const PAGE: usize = 50;
const PAGES_MAX: usize = 1000;
/// Maximum size of one part: 50 slices of 1,000 endpoints.
const PAGE_BYTES_MAX: usize = 32 << 20;
const STATUS_BYTES_MAX: usize = 64 << 10;
const REASON_CHARS_MAX: usize = 400;
const JSON: HeaderValue = HeaderValue::from_static("application/json");
