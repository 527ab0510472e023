//! Header fields that are written anew for each attempt.

use http::HeaderValue;
use tokio::time::Instant;

use super::UpstreamCall;
use crate::{
    exchange::Request,
    semantics::{Headers, Known, deadline, grpc},
};

impl UpstreamCall<'_> {
    /// Stamps the request for the attempt that begins.
    #[cold]
    pub(super) fn stamp(&mut self, now: Instant) {
        let mut headers = std::mem::take(&mut self.request.headers);
        self.stamp_on(&mut headers, now, self.made);
        self.request.headers = headers;
    }

    /// Returns the header of the request, stamped for another attempt beside the one under way.
    pub(super) fn stamped_beside(&self, now: Instant) -> Headers {
        let mut headers = self.request.headers.clone();
        self.stamp_on(&mut headers, now, self.made + 1);
        headers
    }

    /// Tells the endpoint the time that is left and, of a gRPC call, the number of earlier
    /// attempts. The client's deadline of a gRPC call is not cut to the route's total time: that
    /// ends with the head of the response, the call with its trailers.
    fn stamp_on(&self, headers: &mut Headers, now: Instant, made: u32) {
        let terms = &self.terms;
        if terms.route.deadlines {
            let left = self.patience(now).attempt;
            headers.insert(Known::XRequestTimeoutMs, deadline::write(left));
        }
        if terms.grpc {
            let left = terms
                .given_up
                .map(|deadline| deadline.saturating_duration_since(now));
            if let Some(left) = left.and_then(grpc::write_timeout) {
                headers.insert(Known::GrpcTimeout, left);
            }
            // Those of which the endpoint saw nothing do not count (gRPC proposal A6).
            let made = made - self.uncounted;
            if made > 1 {
                let before = self.previous_attempts.saturating_add(made - 1);
                headers.insert(Known::GrpcPreviousRpcAttempts, HeaderValue::from(before));
            }
        }
    }
}

/// Returns the number of earlier attempts at a gRPC call by others.
pub(super) fn previous_attempts(request: &Request) -> u32 {
    let previous = request.headers.get(Known::GrpcPreviousRpcAttempts);
    previous
        .and_then(|count| count.to_str()?.parse().ok())
        .unwrap_or(0)
}
