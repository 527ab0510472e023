//! A response on its way to the client, and the record that closes with it.

use std::{
    task::{Context, Poll, ready},
    time::Duration,
};

use ::http::StatusCode;
use tokio::time::Instant;

use super::{grpc_web, open::Open, reply};
use crate::{
    exchange::{Body, Response},
    failure::Failure,
    http::{BodyLength, Frame, Headers, PolledFrame, grpc, grpc_web::Encoder, trailer},
    timer::{Stall, Timeout},
    upstream::transport::Tunnel,
};

/// The body of a response towards the client; holds the record of its exchange.
#[derive(Debug)]
pub struct Outgoing {
    body: Body,
    /// What the body passes through on its way to a client of gRPC-Web.
    encoder: Option<Box<Encoder>>,
    open: Open,
    /// Longest wait for a piece of the body; none while there is nothing to wait for.
    idle: Option<Duration>,
    timeout: Timeout,
    deadline: Option<Instant>,
    /// Follows both directions while the request is on its way, too.
    both_ways: Option<Box<Stall>>,
}

impl Outgoing {
    pub(super) fn new(
        open: Open,
        body: Body,
        encoder: Option<Box<Encoder>>,
        idle: Option<Duration>,
    ) -> Self {
        Self {
            body,
            encoder,
            open,
            idle,
            timeout: Timeout::new(),
            deadline: None,
            both_ways: None,
        }
    }

    /// Ends this answer, of which nothing has left, and returns one that says why.
    pub fn fail(self, failure: Failure) -> Response<Self> {
        let mut open = self.open;
        open.exchange().bytes_out = 0;
        reply::failure(open, failure)
    }

    /// Lets go of the body, and with it of what it holds upstream; the exchange is over.
    pub(super) fn end(&mut self) -> &mut Open {
        self.body = Body::Empty;
        &mut self.open
    }

    /// The response has reached the client's socket to its end.
    pub fn complete(&mut self) {
        self.open.exchange().complete = true;
    }

    /// The response was cut short.
    pub fn cut(&mut self, failure: Failure) {
        let exchange = self.open.exchange();
        // A reply of ours already has its reason.
        if exchange.failure.is_none() {
            exchange.failure = Some(failure);
        }
        exchange.complete = false;
    }

    /// Tells how much of the request body was read.
    pub fn set_bytes_in(&mut self, bytes: u64) {
        self.open.exchange().bytes_in = bytes;
    }

    /// Counts bytes of a tunnel.
    pub fn count_tunnel(&mut self, bytes_in: u64, bytes_out: u64) {
        self.open.exchange().bytes_in += bytes_in;
        self.open.exchange().bytes_out += bytes_out;
    }

    /// Whether reading the body may still read the request: an endpoint that answered early.
    pub fn drives_request(&self) -> bool {
        match &self.body {
            Body::Http1Response(body) => body.drives_request(),
            Body::Http2Response(body) => body.drives_request(),
            Body::Empty
            | Body::Full(_)
            | Body::Http1Request(_)
            | Body::Http2Request(_)
            | Body::Limited(_)
            | Body::GrpcWeb(_)
            | Body::Tunnel(_)
            | Body::Custom(_) => false,
        }
    }

    /// Whether trailers may follow although the length is known.
    pub fn may_have_trailers(&self) -> bool {
        self.encoder.is_none() && self.body.may_have_trailers()
    }

    /// Has no more than so many bytes of the body read at once, where it is read from a
    /// connection of its own.
    pub fn limit_reads(&self, bytes: usize) {
        if let Body::Http1Response(body) = &self.body {
            body.limit_reads(bytes);
        }
    }

    /// Whether what follows on the connection cannot be trusted: the request broke a rule.
    pub fn must_close(&self) -> bool {
        match self.open.failure() {
            Some(Failure::BadRequest(rule)) => rule.status() == StatusCode::BAD_REQUEST,
            Some(Failure::SlowBody | Failure::SlowHead | Failure::Shutdown) => true,
            _ => false,
        }
    }

    /// Takes the upstream connection of a 101.
    pub fn take_tunnel(&mut self) -> Option<Box<Tunnel>> {
        match std::mem::replace(&mut self.body, Body::Empty) {
            Body::Tunnel(upstream) => {
                self.open.exchange().let_go();
                Some(upstream)
            }
            body => {
                self.body = body;
                None
            }
        }
    }

    /// Ends the response when a piece of it, or the end of a gRPC call, is late.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> PolledFrame {
        let call_end = self.open.exchange().grpc_deadline;
        let both_ways = self.both_ways.is_some() || self.body.uploading().is_some();
        let piece_end = self.idle.filter(|_| !both_ways);
        let piece_end =
            piece_end.map(|idle| *self.deadline.get_or_insert_with(|| Instant::now() + idle));
        let end = piece_end.into_iter().chain(call_end).min();
        let late = end.is_some_and(|end| self.timeout.poll_at(cx, end).is_ready());
        if late && call_end == end {
            // The status can still be told: the call ends in order, only without its end.
            self.body = Body::Empty;
            self.cut(Failure::ResponseTimeout);
            let status = u8::try_from(grpc::DEADLINE_EXCEEDED).ok();
            self.open.exchange().grpc_status = status;
            return Poll::Ready(Some(Ok(Frame::Trailers(grpc::late_trailers()))));
        }
        let failure = match self.idle {
            // What the kernel has of the request may still be on its way.
            Some(idle) if both_ways || late && self.body.unsent() > 0 => {
                ready!(self.poll_both_ways(cx, idle))
            }
            _ if late => Failure::ReadTimeout,
            _ => return Poll::Pending,
        };
        if failure == Failure::ReadTimeout && self.body.length().exact().is_none() {
            self.open.exchange().held.quiet = true;
        }
        self.cut(failure);
        Poll::Ready(Some(Err(failure)))
    }

    /// Is ready when no byte has moved in either direction: by whose fault, the failure says.
    fn poll_both_ways(&mut self, cx: &mut Context<'_>, idle: Duration) -> Poll<Failure> {
        let body = &self.body;
        let look = || {
            let moved = body.uploading().map_or(0, |progress| progress.moved);
            Some(moved.wrapping_mul(2).wrapping_sub(body.unsent().into()))
        };
        let stall = self.both_ways.get_or_insert_default();
        ready!(stall.poll(cx, idle, look));
        Poll::Ready(match body.uploading() {
            Some(progress) if progress.awaited => Failure::SlowBody,
            Some(_) => Failure::WriteTimeout,
            None if body.unsent() > 0 => Failure::WriteTimeout,
            None => Failure::ReadTimeout,
        })
    }

    /// Reads the next frame as the endpoint meant it.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> PolledFrame {
        match self.body.poll_frame(cx) {
            Poll::Ready(Some(Ok(mut frame))) => {
                self.deadline = None;
                self.both_ways = None;
                if let Frame::Trailers(trailers) = &mut frame {
                    self.take_trailers(trailers);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(failure))) => {
                self.cut(failure);
                Poll::Ready(Some(Err(failure)))
            }
            Poll::Ready(None) => {
                self.body = Body::Empty;
                Poll::Ready(None)
            }
            Poll::Pending => self.poll_late(cx),
        }
    }

    /// Drops the trailers that may not pass, and notes how a gRPC call ended.
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

    /// Reads the next frame in the form of gRPC-Web.
    fn poll_encoded(&mut self, cx: &mut Context<'_>) -> PolledFrame {
        loop {
            if self
                .encoder
                .as_ref()
                .is_none_or(|encoder| encoder.has_ended())
            {
                return Poll::Ready(None);
            }
            let frame = match ready!(self.poll_body(cx)).transpose() {
                Ok(frame) => frame,
                Err(failure) => return Poll::Ready(Some(Err(failure))),
            };
            let Some(encoder) = &mut self.encoder else {
                return Poll::Ready(None);
            };
            let turned = grpc_web::turn(encoder, frame);
            if encoder.has_ended() {
                // What the client is told where the endpoint says nothing.
                let status = &mut self.open.exchange().grpc_status;
                *status = status.or(u8::try_from(grpc::UNKNOWN).ok());
            }
            match turned {
                Ok(None) => {}
                Ok(Some(frame)) => return Poll::Ready(Some(Ok(frame))),
                Err(failure) => {
                    self.cut(failure);
                    return Poll::Ready(Some(Err(failure)));
                }
            }
        }
    }

    /// How long a tunnel may be silent.
    pub fn tunnel_idle(&self) -> Duration {
        self.idle.unwrap_or(Duration::from_secs(60))
    }

    /// Reads the next frame.
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> PolledFrame {
        let frame = match &self.encoder {
            None => ready!(self.poll_body(cx)),
            Some(_) => ready!(self.poll_encoded(cx)),
        };
        if let Some(Ok(Frame::Data(data))) = &frame {
            self.open.exchange().bytes_out += data.len() as u64;
        }
        Poll::Ready(frame)
    }

    /// Whether the whole body has been read.
    pub fn is_end(&self) -> bool {
        match &self.encoder {
            None => self.body.is_end(),
            Some(encoder) => encoder.has_ended(),
        }
    }

    /// The length of what is left.
    pub fn length(&self) -> BodyLength {
        match &self.encoder {
            None => self.body.length(),
            Some(_) => BodyLength::UNKNOWN,
        }
    }
}
