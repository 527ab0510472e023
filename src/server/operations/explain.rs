//! Explanation of a request that is only asked about.

use super::Api;
use crate::{
    admin::{ExplainRequest, model::Explained},
    state::{self, Asked, HealthKnown},
};

impl Api {
    /// Explains where this request would go.
    pub(super) fn explained(&self, request: ExplainRequest) -> Result<Explained, String> {
        let asked = Asked {
            listener: request.listener,
            source: request.source,
            certificate: request.client_certificate,
            ..Asked::read(&request.method, &request.url, &request.headers)?
        };
        state::explain(&self.shared.snapshot(), &asked, HealthKnown::Yes)
    }
}
