//! HTTP/1.0: adapts messages to clients and endpoints that lack newer features.

use std::future::poll_fn;

use http::HeaderValue;

use super::UpstreamCall;
use crate::{
    exchange::{Attempt, AttemptNumber},
    failure::{BadRequest, Failure},
    semantics::{Known, Value},
    upstream::transport::Upload,
};

impl UpstreamCall<'_> {
    /// Sets the endpoint of an attempt as the host, if the client named none: some servers refuse
    /// an empty one.
    #[cold]
    pub(super) fn lend_host(&mut self, number: AttemptNumber) {
        let (now, before) = self.record.with_before(number);
        let headers = &mut self.request.headers;
        let said = headers.get(Known::Host).and_then(Value::to_str);
        let said = said.unwrap_or_default();
        // Of a rewrite, unless it is what was lent for the attempt before.
        let named = !said.is_empty() && before.map(host_of) != Some(said);
        if let (false, Ok(host)) = (named, HeaderValue::from_str(host_of(now))) {
            headers.insert(Known::Host, host);
        }
    }
}

fn host_of(attempt: &Attempt) -> &str {
    match attempt.address() {
        path if path.starts_with("unix:") => "localhost",
        address => address,
    }
}

/// Finds the length of a body, for an endpoint without chunked coding (RFC 9112 section 6.1).
///
/// # Errors
/// The body is longer than the limit, or broke off.
pub(super) async fn measure(upload: &mut Upload) -> Result<(), Failure> {
    if poll_fn(|cx| upload.poll_measure(cx, MEASURED_MAX)).await? {
        Ok(())
    } else {
        Err(BadRequest::LengthRequired.into())
    }
}

/// Maximum number of bytes of a body that are read to find its length.
const MEASURED_MAX: usize = 64 * 1024;
