//! Explanation of a request that is only asked about.

use http::{HeaderName, HeaderValue, Method, Uri};

use super::Api;
use crate::{
    admin::{ExplainRequest, model::Explained},
    semantics::Headers,
    state::{self, HealthKnown},
};

impl Api {
    /// Explains where this request would go.
    pub(super) fn explained(&self, request: ExplainRequest) -> Result<Explained, String> {
        let method = Method::try_from(request.method.as_str());
        let method = method.map_err(|_| format!("{:?} is not a method", request.method))?;
        let url: Uri = request
            .url
            .parse()
            .map_err(|_| format!("{:?} is not a URL", request.url))?;
        let mut headers = Headers::new();
        for (name, value) in &request.headers {
            let name = HeaderName::try_from(name).map_err(|_| format!("{name:?} is no header"))?;
            let value = HeaderValue::try_from(value)
                .map_err(|_| format!("{value:?} is no value of a header"))?;
            headers.append(name, value);
        }
        let asked = state::Asked {
            method,
            url,
            headers,
            listener: request.listener,
            source: request.source,
            certificate: request.client_certificate,
        };
        state::explain(&self.shared.snapshot(), &asked, HealthKnown::Yes)
    }
}
