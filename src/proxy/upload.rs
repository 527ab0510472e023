//! Body of a request, prepared for sending to endpoints.

use std::task::{Context, Poll, ready};

use http::Method;

use super::trailer_rules::TrailerRules;
use crate::{
    exchange::{Body, Exchange, Request},
    http1::Framing,
    resilience::RetryPolicy,
    semantics::{BodyLength, BodySource, Frame, Known, PolledFrame},
    state::Route,
    upstream::transport::Upload,
    worker::Worker,
};

/// Takes the body of a request, to be sent as often as needed.
pub(super) fn upload_of(
    worker: &Worker,
    exchange: &Exchange,
    route: &Route,
    request: &mut Request,
) -> Upload {
    let body = std::mem::replace(&mut request.body, Body::Empty);
    let framing = framing_of(&body, request);
    let body = match body {
        Body::Empty => None,
        body => Some(RuledBody {
            body,
            rules: TrailerRules::new(worker.metrics().underscores_dropped(), exchange),
        }),
    };
    Upload::new(body, framing, keep_max(&route.retry))
}

/// Returns the maximum number of bytes of a body kept for another attempt.
pub(super) fn keep_max(policy: &RetryPolicy) -> usize {
    match policy.attempts {
        0 | 1 => 0,
        _ => usize::try_from(policy.body_max).unwrap_or(usize::MAX),
    }
}

/// Returns the framing of a request body to the endpoint: its announced length, or chunks if that
/// is unknown.
///
/// A length of 0 is announced where the client has announced it, or where its absence would mean
/// that the body was forgotten. Only chunks have room for trailers. A client that announces both
/// a length and trailers gets chunks, whatever of them has come by now.
fn framing_of(body: &Body, request: &Request) -> Framing {
    let method = &request.method;
    let expected = matches!(*method, Method::POST | Method::PUT | Method::PATCH);
    match body.length().exact() {
        Some(_) if request.headers.contains(Known::Trailer) && body.may_have_trailers() => {
            Framing::Chunked
        }
        Some(0) if !expected && !request.headers.contains(Known::ContentLength) => Framing::None,
        Some(length) => Framing::Length(length),
        None => Framing::Chunked,
    }
}

/// Body of a request, with the rules for its trailers.
#[derive(Debug)]
struct RuledBody {
    body: Body,
    rules: TrailerRules,
}

impl BodySource for RuledBody {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> PolledFrame {
        let mut frame = ready!(self.body.poll_frame(cx));
        if let Some(Ok(Frame::Trailers(trailers))) = &mut frame
            && let Err(failure) = self.rules.apply(trailers)
        {
            return Poll::Ready(Some(Err(failure)));
        }
        Poll::Ready(frame)
    }

    fn is_end(&self) -> bool {
        self.body.is_end()
    }

    fn length(&self) -> BodyLength {
        self.body.length()
    }
}
