//! Active checks of endpoints. A probe asks; the pool's machine decides.

use std::{fmt, future::Future, io, pin::Pin, sync::Arc, time::Duration};

use tokio::time::Instant;

mod attentive;
mod dial;
mod get;
mod grpc;
mod tcp;

pub use dial::{AnnouncingDial, Dial, PlainDial, Socket, TlsDial};
pub use get::{HttpProbe, HttpVersion};
pub use grpc::GrpcProbe;
pub use tcp::TcpProbe;

use super::settings::CheckKind;
use crate::{
    config::value::EndpointAddress,
    upstream::{endpoint::Endpoint, shared::EndpointShared},
};

/// A boxed future, so that [`Probe`] and [`Dial`] are object-safe.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Checks whether one endpoint is healthy.
pub trait Probe: Send + Sync {
    /// Checks once. The caller gives up at `deadline`; an implementation may do so itself, with a
    /// better description.
    fn probe<'a>(
        &'a self,
        target: &'a ProbeTarget,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<(), ProbeFailure>>;
}

/// An endpoint as seen by its probes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeTarget {
    /// Its identity within the pool.
    pub identity: Arc<str>,
    /// Address to connect to.
    pub address: EndpointAddress,
    /// The Host or authority sent if the check names none.
    pub host: String,
    /// Name or IP address that its certificate is for.
    pub server_name: String,
    /// Receiver of what the answers tell about the endpoint, if any.
    pub learns: Option<Learns>,
}

/// State that all workers share of an endpoint; it learns the version in which checks are answered.
#[derive(Debug, Clone)]
pub struct Learns(Arc<EndpointShared>);

impl PartialEq for Learns {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Learns {}

impl ProbeTarget {
    /// Makes the target of an endpoint.
    #[must_use]
    pub fn new(endpoint: &Endpoint) -> Self {
        let host = match &endpoint.address {
            EndpointAddress::Socket(address) if endpoint.host.is_some() => {
                format!("{}:{}", endpoint.host(), address.port())
            }
            EndpointAddress::Socket(_) | EndpointAddress::Name(..) => endpoint.address.to_string(),
            // A path is no authority.
            EndpointAddress::Unix(_) => "localhost".to_owned(),
        };
        Self {
            identity: Arc::clone(&endpoint.label),
            address: endpoint.address.clone(),
            host,
            server_name: endpoint.host().into_owned(),
            learns: None,
        }
    }

    /// Adds the state that learns from its answers.
    #[must_use]
    pub fn teaching(mut self, shared: Arc<EndpointShared>) -> Self {
        self.learns = Some(Learns(shared));
        self
    }

    /// Notes the version of an answer.
    fn answered_in(&self, version: http::Version) {
        if let Some(Learns(shared)) = &self.learns {
            shared.spoken.checked(version == http::Version::HTTP_10);
        }
    }
}

/// Reasons for the failure of a check, in words for operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeFailure {
    /// No process listens.
    Refused,
    /// No complete answer in time.
    Timeout(Duration),
    /// The proxy has no descriptor or port left: no verdict on the endpoint.
    Shortage,
    /// The name was not found.
    NameNotFound,
    /// The connection failed in another way.
    Connect(io::ErrorKind),
    /// TLS failed, in the handshake or after it; with a short reason.
    Tls(Box<str>),
    /// The connection ended before the answer did.
    CutShort,
    /// The answer violates the protocol.
    Malformed,
    /// An HTTP status that does not pass.
    Status(u16),
    /// A gRPC status other than 0.
    GrpcStatus(u32),
    /// gRPC health: `NOT_SERVING`.
    NotServing,
    /// gRPC health: `UNKNOWN`, or a state this version does not know.
    ServingUnknown,
    /// gRPC health: the server does not know the service.
    ServiceUnknown,
    /// The server has no gRPC health service.
    Unimplemented,
}

impl fmt::Display for ProbeFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("connection refused"),
            Self::Timeout(after) => write!(f, "timeout after {after:?}"),
            Self::Shortage => f.write_str("the proxy has no descriptor or port left"),
            Self::NameNotFound => f.write_str("name not found"),
            Self::Connect(kind) => write!(f, "cannot connect: {kind}"),
            Self::Tls(reason) => write!(f, "TLS: {reason}"),
            Self::CutShort => f.write_str("answer cut short"),
            Self::Malformed => f.write_str("malformed answer"),
            Self::Status(status) => write!(f, "status {status}"),
            Self::GrpcStatus(status) => write!(f, "grpc-status {status}"),
            Self::NotServing => f.write_str("not serving"),
            Self::ServingUnknown => f.write_str("serving state unknown"),
            Self::ServiceUnknown => f.write_str("service unknown"),
            Self::Unimplemented => f.write_str("health service not implemented"),
        }
    }
}

impl std::error::Error for ProbeFailure {}

/// A check that cannot be sent as configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCheck {
    /// The path is invalid.
    #[error("health check path {0:?} is not an absolute path")]
    Path(String),
    /// The host is invalid.
    #[error("health check host {0:?} is not a valid Host header")]
    Host(String),
}

/// Builds the probe of a check.
///
/// # Errors
///
/// If the path or host of an HTTP check cannot be sent.
pub fn build(
    kind: &CheckKind,
    version: HttpVersion,
    dial: Arc<dyn Dial>,
) -> Result<Arc<dyn Probe>, InvalidCheck> {
    Ok(match kind {
        CheckKind::Http { path, status, host } => Arc::new(HttpProbe::new(
            path,
            status.clone(),
            host.as_deref(),
            version,
            dial,
        )?),
        CheckKind::Tcp => Arc::new(TcpProbe::new(dial)),
        CheckKind::Grpc { service } => Arc::new(GrpcProbe::new(service, dial)),
    })
}

/// Runs a step of a probe up to the deadline.
async fn until<T>(
    deadline: Instant,
    step: impl Future<Output = Result<T, ProbeFailure>>,
) -> Result<T, ProbeFailure> {
    let began = Instant::now();
    match tokio::time::timeout_at(deadline, step).await {
        Ok(result) => result,
        Err(_) => Err(ProbeFailure::Timeout(in_millis(
            deadline.saturating_duration_since(began),
        ))),
    }
}

/// Rounds to milliseconds, as configured: the code up to here took some microseconds.
fn in_millis(duration: Duration) -> Duration {
    let micros = duration.as_micros().saturating_add(500);
    Duration::from_millis(u64::try_from(micros / 1000).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
