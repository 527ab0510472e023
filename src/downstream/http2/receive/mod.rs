//! Frames from a client (RFC 9113 section 6).
//!
//! - `block`: requests and trailers, whose fields may come in several frames.
//! - `data`: the bytes of bodies.
//! - `control`: what is said of streams and of the connection.

mod block;
mod control;
mod data;

use bytes::{Buf, BytesMut};
use tokio::time::Instant;

use super::{
    session::{Begun, Leaving, Session},
    stream::{Piece, SharedStream},
};
use crate::{
    failure::BadRequest,
    http2::{
        Fault, PREFACE, Reason,
        frame::{self, ACK, FrameHead, HEAD_BYTES, Kind},
        request::RequestHead,
    },
};

/// A request on a stream of its own; without a head if that is larger than the limit.
pub(crate) type Opened = (SharedStream, Result<RequestHead, BadRequest>);

impl Session {
    /// Processes the complete frames that have arrived; passes each request that begins to `open`.
    ///
    /// # Errors
    /// The reason why the connection must end.
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        open: &mut impl FnMut(Opened),
    ) -> Result<(), Reason> {
        let mut bytes = std::mem::take(self.io.received());
        let received = self.receive_all(&mut bytes, now, open);
        let unfinished = self.begun != Begun::Settings
            || self.block.is_some()
            || !bytes.is_empty() && is_head(&bytes);
        if !unfinished {
            self.head_since = None;
        } else if self.head_since.is_none() {
            self.head_since = Some(now);
        }
        *self.io.received() = bytes;
        received
    }

    fn receive_all(
        &mut self,
        bytes: &mut BytesMut,
        now: Instant,
        open: &mut impl FnMut(Opened),
    ) -> Result<(), Reason> {
        if self.begun == Begun::Nothing {
            let known = bytes.len().min(PREFACE.len());
            if bytes[..known] != PREFACE[..known] {
                return Err(Reason::ProtocolError);
            }
            if known < PREFACE.len() {
                return Ok(());
            }
            bytes.advance(known);
            self.begun = Begun::Preface;
        }
        let mut at = 0;
        self.turn.has_rest = false;
        while let Some(head) = FrameHead::read(&bytes[at..]) {
            if head.length > frame::PAYLOAD_MAX {
                return Err(Reason::FrameSizeError);
            }
            let end = at + HEAD_BYTES + head.length;
            if bytes.len() < end {
                break;
            }
            // What follows may still cancel what has begun.
            if self.turn.is_over() && head.kind == Some(Kind::Headers) {
                self.turn.has_rest = true;
                break;
            }
            if self.begun == Begun::Preface {
                if head.kind != Some(Kind::Settings) || head.has(ACK) {
                    return Err(Reason::ProtocolError);
                }
                self.begun = Begun::Settings;
            }
            self.meter.count(&head, now);
            let taken = if head.kind == Some(Kind::Data) && head.length >= LARGE {
                bytes.advance(at);
                let mut frame = bytes.split_to(end - at);
                at = 0;
                frame.advance(HEAD_BYTES);
                self.take_large(head, frame.freeze())
            } else {
                let payload = &bytes[at + HEAD_BYTES..end];
                at = end;
                self.take(head, payload, open)
            };
            match taken {
                Ok(()) => {}
                Err(Fault::Connection(reason)) => return Err(reason),
                Err(Fault::Stream(id, reason)) => {
                    self.meter.count_fault(now);
                    self.reset_id(id, reason);
                }
            }
            if self.meter.flood().is_some() {
                return Err(Reason::EnhanceYourCalm);
            }
        }
        if at == bytes.len() {
            *bytes = BytesMut::new();
        } else {
            bytes.advance(at);
        }
        Ok(())
    }

    fn take(
        &mut self,
        head: FrameHead,
        payload: &[u8],
        open: &mut impl FnMut(Opened),
    ) -> Result<(), Fault> {
        // Nothing may come between the frames of a field block (section 6.10).
        if self.block.is_some() != (head.kind == Some(Kind::Continuation)) {
            return Err(Reason::ProtocolError.into());
        }
        match head.kind {
            Some(Kind::Data) => {
                let range = frame::data_of(head.flags, payload)?;
                self.take_data(head, Piece::Small(&payload[range]))
            }
            Some(Kind::Headers) => self.take_headers(head, payload, open),
            Some(Kind::Continuation) => self.take_continuation(head, payload, open),
            Some(Kind::Priority) => self.take_priority(head, payload),
            Some(Kind::Reset) => self.take_reset(head, payload),
            Some(Kind::Settings) => Ok(self.take_settings(head, payload)?),
            Some(Kind::PushPromise) => Err(Reason::ProtocolError.into()),
            Some(Kind::Ping) => Ok(self.take_ping(head, payload)?),
            Some(Kind::GoAway) => {
                if head.stream != 0 {
                    return Err(Reason::ProtocolError.into());
                }
                self.left = true;
                Ok(())
            }
            Some(Kind::WindowUpdate) => self.take_window_update(head, payload),
            None => Ok(()),
        }
    }

    /// Returns the stream that a frame names; fails for one that has not been opened.
    fn opened(&self, head: FrameHead) -> Result<u32, Reason> {
        let id = head.stream;
        if id.is_multiple_of(2) || id > self.last {
            return Err(Reason::ProtocolError);
        }
        Ok(id)
    }

    /// Returns true if frames of a missing stream are not a fault of the client.
    fn is_ignored(&self, id: u32) -> bool {
        let above = matches!(self.leaving, Leaving::Gone(last) if id > last);
        above || self.resets.contains(&id)
    }
}

/// Returns true if the received part of a frame may be part of the head of a request.
#[cold]
fn is_head(bytes: &[u8]) -> bool {
    FrameHead::read(bytes)
        .is_none_or(|head| matches!(head.kind, Some(Kind::Headers | Kind::Continuation)))
}

/// Size from which body bytes are not copied out of the read buffer. They keep all of it in memory:
/// at most twice their size.
const LARGE: usize = 8 * 1024;
