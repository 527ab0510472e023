//! The TCP check: a connection that opens.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::AsyncReadExt as _,
    time::{Instant, timeout_at},
};

use super::{BoxFuture, Dial, Probe, ProbeFailure, ProbeTarget, Socket, until};
use crate::{semantics::forwarded::Scheme, tls};

/// Passes if a connection opens, including TLS if the pool uses it.
pub struct TcpProbe {
    dial: Arc<dyn Dial>,
}

impl TcpProbe {
    /// Makes a probe with this dial.
    #[must_use]
    pub fn new(dial: Arc<dyn Dial>) -> Self {
        Self { dial }
    }
}

impl Probe for TcpProbe {
    fn probe<'a>(
        &'a self,
        target: &'a ProbeTarget,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<(), ProbeFailure>> {
        Box::pin(until(deadline, async move {
            let began = Instant::now();
            let socket = self.dial.dial(target).await?;
            match self.dial.scheme() {
                Scheme::Http => Ok(()),
                Scheme::Https => hear_out(socket, began, deadline).await,
            }
        }))
    }
}

/// Waits for an alert as long as the handshake took: a TLS 1.3 endpoint refuses the proxy's
/// certificate, or its lack, only after it (RFC 8446 section 4.4.2.4).
async fn hear_out(
    mut socket: Box<dyn Socket>,
    began: Instant,
    deadline: Instant,
) -> Result<(), ProbeFailure> {
    let now = Instant::now();
    let wait = (now - began).max(ALERT_WAIT_MIN);
    // The rest of the check's time is not for this: silence is no failure.
    let left = deadline.saturating_duration_since(now) / 2;
    let heard = timeout_at(now + wait.min(left), socket.read_u8()).await;
    match heard {
        Ok(Err(error)) if tls::is_protocol_fault(&error) => {
            Err(ProbeFailure::Tls(error.to_string().into()))
        }
        _ => Ok(()),
    }
}

/// Minimum wait: enough for a nearby endpoint.
const ALERT_WAIT_MIN: Duration = Duration::from_millis(50);
