//! Header fields that are written anew for each attempt.

use http::HeaderValue;
use tokio::time::Instant;

use super::{UpstreamCall, attempt_end::AttemptEnd};
use crate::{
    exchange::{Exchange, Request, Trace},
    semantics::{Headers, Known, Value, deadline, forwarded::Trust, grpc, trace::Outgoing},
};

impl UpstreamCall<'_> {
    /// Stamps the request for the attempt that begins.
    #[cold]
    pub(super) fn stamp(&mut self, now: Instant) {
        let mut headers = std::mem::take(&mut self.request.headers);
        self.stamp_on(&mut headers, now, self.made);
        self.request.headers = headers;
        self.note_repeated();
    }

    /// Takes from an answer the number of attempts that a proxy behind has made for it; returns
    /// those beyond the first.
    pub(super) fn take_behind(end: &mut AttemptEnd) -> u32 {
        let Some(response) = &mut end.response else {
            return 0;
        };
        match response.headers.contains(Known::XSluicegateAttempt) {
            true => take_number(&mut response.headers) - 1,
            false => 0,
        }
    }

    /// Counts attempts that a proxy behind has made.
    #[cold]
    pub(super) fn count_behind(&mut self, behind: u32) {
        self.made += behind;
        self.note_repeated();
    }

    fn note_repeated(&mut self) {
        let made = self.made - self.uncounted;
        self.record.repeated = if made > 1 { made } else { 0 };
    }

    /// Returns the header of the request, stamped for another attempt beside so many.
    pub(super) fn stamped_beside(&self, now: Instant, others: u32, span: u16) -> Headers {
        let mut headers = self.request.headers.clone();
        self.stamp_on(&mut headers, now, self.made + others);
        self.stamp_trace_on(&mut headers, span);
        headers
    }

    /// Returns the number of the span of another attempt; 0 while tracing is off.
    pub(super) fn next_span(&self) -> u16 {
        self.terms.trace.map_or(0, Trace::next)
    }

    /// Tells the endpoint the trace, and the span of the attempt that begins.
    pub(super) fn stamp_trace(&mut self, span: u16) {
        let mut headers = std::mem::take(&mut self.request.headers);
        self.stamp_trace_on(&mut headers, span);
        self.request.headers = headers;
    }

    fn stamp_trace_on(&self, headers: &mut Headers, span: u16) {
        let settings = self.terms.snapshot.shared.tracing.as_ref();
        let (Some(trace), Some(settings)) = (self.terms.trace, settings) else {
            return;
        };
        let outgoing = Outgoing {
            trace: trace.id,
            span: trace.span.below(span),
            sampled: trace.sampled,
        };
        for format in &settings.formats {
            format.write(headers, &outgoing);
        }
    }

    /// Tells the endpoint the time that is left and the number of the attempt, unless it is the
    /// first; of a gRPC call also the number of earlier attempts (gRPC proposal A6). The client's
    /// deadline of a gRPC call is not cut to the route's total time: that ends with the head of the
    /// response, the call with its trailers.
    fn stamp_on(&self, headers: &mut Headers, now: Instant, made: u32) {
        let terms = &self.terms;
        // Those of which the endpoint saw nothing do not count.
        let made = made - self.uncounted;
        let number = made + u32::from(self.caller_attempt) - 1;
        if number > 1 {
            headers.insert(Known::XSluicegateAttempt, HeaderValue::from(number));
        }
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

/// Returns the number of the caller's attempt: 1, unless a trusted proxy reports another.
pub(super) fn caller_attempt(request: &Request) -> u8 {
    match request.headers.get(Known::XSluicegateAttempt) {
        None => 1,
        Some(number) => number_of(number),
    }
}

/// Tells a trusted proxy the number of attempts that were made for its request, so that it counts
/// them as its own.
#[cold]
pub(in crate::proxy) fn tell_attempts(exchange: &Exchange, headers: &mut Headers) {
    if exchange.trust == Trust::Trusted {
        let number = HeaderValue::from(exchange.call.repeated);
        headers.insert(Known::XSluicegateAttempt, number);
    }
}

#[cold]
fn take_number(headers: &mut Headers) -> u32 {
    let number = headers.get(Known::XSluicegateAttempt).map_or(1, number_of);
    headers.remove(Known::XSluicegateAttempt);
    number.into()
}

/// Reads the number of an attempt; one that cannot be read counts as 1.
fn number_of(value: Value<'_>) -> u8 {
    let number: Option<u32> = value.to_str().and_then(|number| number.parse().ok());
    let number = number.unwrap_or(1).clamp(1, NUMBER_MAX.into());
    u8::try_from(number).unwrap_or(NUMBER_MAX)
}

/// Largest number of an attempt that is believed: ten layers of ten attempts.
const NUMBER_MAX: u8 = 100;
