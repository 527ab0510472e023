//! A collector, and the ways to reach it: OTLP over gRPC or HTTP, Zipkin over HTTP.

use std::fmt;

use http::{HeaderValue, Method, StatusCode, header::CONTENT_TYPE};

use crate::{
    config::{
        schema::Tracing,
        value::{HttpUrl, ServerUrl},
    },
    fetch::{
        Ask, Client, FetchError, Target,
        grpc::{Channel, GrpcError},
    },
    socket::hostname,
    telemetry::trace::{otlp, zipkin},
    tls::{ClientSettings, ClientTls},
};

/// Collector of spans, and the way to it.
pub(super) struct Collector {
    settings: Tracing,
    url: HttpUrl,
    way: Way,
}

enum Way {
    Grpc(Option<Channel>),
    Http(Client),
    Zipkin(Client),
}

/// Reasons why an export failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExportError {
    #[error("it did not answer in time")]
    Late,
    #[error("{0}")]
    Fetch(#[from] FetchError),
    #[error("{0}")]
    Grpc(#[from] GrpcError),
    #[error("it answers {0}")]
    Status(StatusCode),
    #[error("{0}")]
    Tls(String),
}

impl ExportError {
    /// Returns true if the same export may succeed later.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Status(status) => matches!(status.as_u16(), 429 | 502 | 503 | 504),
            // As OTLP says: cancelled, late, exhausted, aborted, out of range, unavailable, lost.
            Self::Grpc(GrpcError::Refused { code, .. }) => {
                matches!(code, 1 | 4 | 8 | 10 | 11 | 14 | 15)
            }
            Self::Late | Self::Fetch(_) | Self::Grpc(_) | Self::Tls(_) => true,
        }
    }
}

impl Collector {
    pub(super) fn new(settings: Tracing) -> Self {
        let client = |url: &HttpUrl| {
            let headers = settings.headers.iter();
            let secrets = headers.map(|(name, secret)| (name.clone(), "", secret.clone()));
            Client::new(Target {
                url: url.clone(),
                ca: settings.ca.clone(),
                secrets: secrets.collect(),
            })
        };
        let (url, way) = match (&settings.otlp, &settings.zipkin) {
            (Some(url), _) if url.path == "/" => (url.clone(), Way::Grpc(None)),
            (Some(url), _) => (url.clone(), Way::Http(client(url))),
            (None, Some(url)) => (url.clone(), Way::Zipkin(client(url))),
            // Without a collector there is no queue.
            (None, None) => (HttpUrl::consul(), Way::Grpc(None)),
        };
        Self { settings, url, way }
    }

    /// Sends encoded spans; returns the number of those that the collector refused.
    pub(super) async fn send(&mut self, spans: &[u8]) -> Result<u64, ExportError> {
        let service = &*self.settings.service;
        let host = hostname();
        let resource = [
            ("service.name", service),
            ("service.version", VERSION),
            ("host.name", &*host),
            ("telemetry.sdk.name", "sluicegate"),
            ("telemetry.sdk.language", "rust"),
            ("telemetry.sdk.version", VERSION),
        ];
        let request = || otlp::request(&resource, VERSION, spans);
        match &mut self.way {
            Way::Grpc(kept) => {
                let message = request();
                let channel = match kept.take() {
                    Some(channel) => channel,
                    None => open(&self.settings, &self.url).await?,
                };
                let answer = channel.call(EXPORT, &message).await?;
                *kept = Some(channel);
                Ok(otlp::refused(&answer))
            }
            Way::Http(client) => {
                let answer = post(client, &self.url, request(), PROTOBUF).await?;
                Ok(otlp::refused(&answer))
            }
            Way::Zipkin(client) => {
                let request = zipkin::request(spans);
                post(client, &self.url, request, JSON).await?;
                Ok(0)
            }
        }
    }
}

impl fmt::Display for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

async fn post(
    client: &mut Client,
    url: &HttpUrl,
    body: Vec<u8>,
    kind: HeaderValue,
) -> Result<bytes::Bytes, ExportError> {
    let mut ask = Ask::new(Method::POST, &*url.path).with(CONTENT_TYPE, kind);
    ask.body = body.into();
    ask.timeout = super::EXPORT_MAX;
    ask.body_max = ANSWER_MAX;
    let answer = client.ask(ask).await?;
    if answer.status.is_success() {
        Ok(answer.body)
    } else {
        Err(ExportError::Status(answer.status))
    }
}

async fn open(settings: &Tracing, url: &HttpUrl) -> Result<Channel, ExportError> {
    let server = ServerUrl {
        tls: url.tls,
        address: url.address.clone(),
    };
    let tls = if url.tls {
        let settings = ClientSettings {
            server_name: None,
            ca: settings.ca.clone(),
            client: None,
            verify: true,
        };
        let loading = tokio::task::spawn_blocking(|| ClientTls::load(settings));
        let loaded = loading
            .await
            .map_err(|error| ExportError::Tls(error.to_string()))?;
        Some(loaded.map_err(|fault| ExportError::Tls(fault.to_string()))?)
    } else {
        None
    };
    let mut channel = Channel::open(&server, tls.as_ref()).await?;
    for (name, secret) in &settings.headers {
        let Ok(secret) = secret.reveal() else {
            continue;
        };
        if let Ok(mut value) = HeaderValue::from_str(secret) {
            value.set_sensitive(true);
            channel.set(name.clone(), value);
        }
    }
    Ok(channel)
}

const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The answer has at most a message about refused spans.
const ANSWER_MAX: usize = 64 << 10;
