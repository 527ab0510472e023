//! A response to the client, with the record that ends with it.

use std::{
    task::{Context, Poll, ready},
    time::Duration,
};

use http::StatusCode;

use super::{open::Open, watch::Watch, way_back};
use crate::{
    exchange::{Body, Response},
    failure::Failure,
    semantics::{BodyLength, Frame, PolledFrame},
    upstream::transport::Tunnel,
};

/// The body of a response towards the client; holds the record of its exchange.
#[derive(Debug)]
pub struct Outgoing {
    body: Body,
    watch: Watch,
}

impl Outgoing {
    /// `bridged` marks the answer to a call in gRPC-Web.
    pub(super) fn new(open: Open, body: Body, idle: Option<Duration>, bridged: bool) -> Self {
        Self {
            body,
            watch: Watch::new(open, idle, bridged),
        }
    }

    /// Ends this answer, of which nothing has left, and returns one that says why. The filters
    /// that saw the request see that one, too.
    pub async fn fail(self, failure: Failure) -> Response<Self> {
        let mut open = self.watch.open;
        open.exchange().bytes_out = 0;
        open.exchange().passage.turn_back_again();
        way_back::fail(open, failure, None).await
    }

    /// Drops the body, and with it what it holds upstream; the exchange is over.
    pub(super) fn end(&mut self) -> &mut Open {
        self.body = Body::Empty;
        &mut self.watch.open
    }

    /// Gives back the places of the exchange. Called when the whole response is handed over, and
    /// before its end is sent.
    #[inline]
    pub fn release_places(&mut self) {
        self.watch.open.exchange().release_places();
    }

    /// Notes that the client's socket has taken the whole response.
    pub fn complete(&mut self) {
        self.watch.open.exchange().complete = true;
    }

    /// Notes that the response was cut short.
    pub fn cut(&mut self, failure: Failure) {
        self.watch.cut(failure);
    }

    /// Sets the number of bytes read of the request body.
    pub fn set_bytes_in(&mut self, bytes: u64) {
        self.watch.open.exchange().bytes_in = bytes;
    }

    /// Counts bytes of a tunnel.
    pub fn count_tunnel(&mut self, bytes_in: u64, bytes_out: u64) {
        let exchange = self.watch.open.exchange();
        exchange.bytes_in += bytes_in;
        exchange.bytes_out += bytes_out;
    }

    /// Returns true if trailers may follow although the length is known.
    pub fn may_have_trailers(&self) -> bool {
        self.body.may_have_trailers()
    }

    /// Limits the bytes per read of the body, if it is read from a connection of its own.
    pub fn limit_reads(&self, bytes: usize) {
        if let Body::Response(body) = self.body.source() {
            body.limit_reads(bytes);
        }
    }

    /// Returns true if the connection must be closed: the request violated a rule, and the bytes
    /// after it cannot be trusted.
    pub fn must_close(&self) -> bool {
        match self.watch.open.failure() {
            Some(Failure::BadRequest(rule)) => rule.status() == StatusCode::BAD_REQUEST,
            Some(Failure::SlowBody | Failure::SlowHead | Failure::Shutdown) => true,
            _ => false,
        }
    }

    /// Takes the upstream connection of a 101.
    pub fn take_tunnel(&mut self) -> Option<Box<Tunnel>> {
        let upstream = self.body.take_tunnel()?;
        self.watch.open.exchange().let_go();
        Some(upstream)
    }

    /// Maximum time that a tunnel may be silent.
    pub fn tunnel_idle(&self) -> Duration {
        self.watch.idle.unwrap_or(Duration::from_secs(60))
    }

    /// Reads the next frame.
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> PolledFrame {
        let Self { body, watch } = self;
        let frame = ready!(match body {
            Body::Transformed(_) => body.poll_through(cx, &mut |body, cx| watch.poll(body, cx)),
            body => watch.poll(body, cx),
        });
        match &frame {
            Some(Ok(Frame::Data(data))) => watch.open.exchange().bytes_out += data.len() as u64,
            Some(Err(failure)) => watch.cut(*failure),
            _ => {}
        }
        Poll::Ready(frame)
    }

    /// Returns true if the whole body has been read.
    pub fn is_end(&self) -> bool {
        self.body.is_end()
    }

    /// Length of the rest.
    pub fn length(&self) -> BodyLength {
        self.body.length()
    }
}
