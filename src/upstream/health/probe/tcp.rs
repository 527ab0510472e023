//! The plainest check: a connection that opens.

use std::sync::Arc;

use tokio::time::Instant;

use super::{BoxFuture, Dial, Probe, ProbeFailure, Target, until};

/// Passes when a connection opens, including TLS where the pool speaks it.
pub struct TcpProbe {
    dial: Arc<dyn Dial>,
}

impl TcpProbe {
    /// Returns a probe over this way to connect.
    #[must_use]
    pub fn new(dial: Arc<dyn Dial>) -> Self {
        Self { dial }
    }
}

impl Probe for TcpProbe {
    fn probe<'a>(
        &'a self,
        target: &'a Target,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<(), ProbeFailure>> {
        Box::pin(until(deadline, async move {
            self.dial.dial(target).await.map(drop)
        }))
    }
}
