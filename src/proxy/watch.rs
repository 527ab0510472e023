//! Watch on the body of a response: its time limits, its trailers, and its end.
//!
//! It reads the body as sent by the endpoint, before all transforms.

use std::{
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::Instant;

use super::open::Open;
use crate::{
    exchange::Body,
    failure::Failure,
    semantics::{Frame, Headers, PolledFrame, grpc, trailer},
    timer::{Stall, Timeout},
    upstream::transport::Progress,
};

/// Watches the body of one response.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) open: Open,
    /// Longest wait for a piece of the body; none while none is awaited.
    pub(super) idle: Option<Duration>,
    timeout: Timeout,
    deadline: Option<Instant>,
    /// Follows both directions while the request is still being sent.
    both_ways: Option<Box<Stall>>,
    /// It is the answer to a call in gRPC-Web.
    bridged: bool,
}

impl Watch {
    pub(super) fn new(open: Open, idle: Option<Duration>, bridged: bool) -> Self {
        Self {
            open,
            idle,
            timeout: Timeout::new(),
            deadline: None,
            both_ways: None,
            bridged,
        }
    }

    /// Notes that the response was cut short.
    pub(super) fn cut(&mut self, failure: Failure) {
        let exchange = self.open.exchange();
        // A reply of ours already has its reason.
        exchange.failure.get_or_insert(failure);
        exchange.complete = false;
    }

    /// Ends the response if a piece of it, or the end of a gRPC call, is late.
    fn poll_late(&mut self, body: &mut Body, cx: &mut Context<'_>) -> PolledFrame {
        let exchange = self.open.exchange();
        // Of any other answer only the head is waited for until then.
        let call_end = exchange.client_deadline.filter(|_| exchange.grpc);
        let both_ways = self.both_ways.is_some() || uploading(body).is_some();
        let piece_end = self.idle.filter(|_| !both_ways);
        let piece_end =
            piece_end.map(|idle| *self.deadline.get_or_insert_with(|| Instant::now() + idle));
        let end = piece_end.into_iter().chain(call_end).min();
        let late = end.is_some_and(|end| self.timeout.poll_at(cx, end).is_ready());
        if late && call_end == end {
            // The status can still be told: the call ends in order, only without its end.
            *body = Body::Empty;
            self.cut(Failure::ResponseTimeout);
            let status = u8::try_from(grpc::DEADLINE_EXCEEDED).ok();
            self.open.exchange().grpc_status = status;
            return Poll::Ready(Some(Ok(Frame::Trailers(grpc::late_trailers()))));
        }
        let failure = match self.idle {
            // What the kernel has of the request may still be on its way.
            Some(idle) if both_ways || late && unsent(body) > 0 => {
                ready!(self.poll_both_ways(body, cx, idle))
            }
            _ if late => Failure::ReadTimeout,
            _ => return Poll::Pending,
        };
        if failure == Failure::ReadTimeout && body.length().exact().is_none() {
            self.open.exchange().fell_silent();
        }
        self.cut(failure);
        Poll::Ready(Some(Err(failure)))
    }

    /// Is ready when no byte has moved in either direction; the failure tells whose fault that is.
    fn poll_both_ways(
        &mut self,
        body: &Body,
        cx: &mut Context<'_>,
        idle: Duration,
    ) -> Poll<Failure> {
        let look = || {
            let moved = uploading(body).map_or(0, |progress| progress.moved);
            Some(moved.wrapping_mul(2).wrapping_sub(unsent(body).into()))
        };
        let stall = self.both_ways.get_or_insert_default();
        ready!(stall.poll(cx, idle, look));
        Poll::Ready(match uploading(body) {
            Some(progress) if progress.awaited => Failure::SlowBody,
            Some(_) => Failure::WriteTimeout,
            None if unsent(body) > 0 => Failure::WriteTimeout,
            None => Failure::ReadTimeout,
        })
    }

    /// Reads the next frame of the body, with the rules applied.
    pub(super) fn poll(&mut self, body: &mut Body, cx: &mut Context<'_>) -> PolledFrame {
        match body.poll_frame(cx) {
            Poll::Ready(Some(Ok(mut frame))) => {
                self.deadline = None;
                self.both_ways = None;
                if let Frame::Trailers(trailers) = &mut frame {
                    self.take_trailers(trailers);
                    self.end_call();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(failure))) => {
                self.cut(failure);
                Poll::Ready(Some(Err(failure)))
            }
            Poll::Ready(None) => {
                *body = Body::Empty;
                self.end_call();
                Poll::Ready(None)
            }
            Poll::Pending => self.poll_late(body, cx),
        }
    }

    /// Drops the trailers that must not pass, and notes the status of a gRPC call.
    fn take_trailers(&mut self, trailers: &mut Headers) {
        let exchange = self.open.exchange();
        if exchange.grpc {
            exchange.grpc_status = grpc::status_in(trailers);
        }
        let filters = exchange.route().map(|route| &route.filters);
        trailer::strip(trailers, |name| {
            filters.is_some_and(|filters| filters.owns_of_response(name))
        });
    }

    /// Notes the status that a client of gRPC-Web is sent if the endpoint sends none.
    fn end_call(&mut self) {
        if self.bridged {
            let exchange = self.open.exchange();
            let unknown = u8::try_from(grpc::UNKNOWN).ok();
            exchange.grpc_status = exchange.grpc_status.or(unknown);
        }
    }
}

/// Returns the progress of the request to an endpoint that answers already; none once it is sent.
fn uploading(body: &Body) -> Option<Progress> {
    match body {
        Body::Response(body) => body.uploading(),
        _ => None,
    }
}

/// Number of bytes of that request that left the exchange, and that the endpoint has not
/// acknowledged. Costs a system call.
fn unsent(body: &Body) -> u32 {
    match body {
        Body::Response(body) => body.unsent(),
        _ => 0,
    }
}
