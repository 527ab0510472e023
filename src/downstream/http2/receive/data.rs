//! Body bytes, within the windows (RFC 9113 sections 5.2 and 6.1).

use bytes::{Buf, Bytes};

use super::super::{
    session::Session,
    stream::{Piece, SharedStream},
};
use crate::{
    failure::BadRequest,
    http2::{
        Fault, Reason,
        frame::{self, END_STREAM, FrameHead},
    },
    semantics::Headers,
    timer,
};

impl Session {
    pub(crate) fn take_large(&mut self, head: FrameHead, mut payload: Bytes) -> Result<(), Fault> {
        if self.block.is_some() {
            return Err(Reason::ProtocolError.into());
        }
        let range = frame::data_of(head.flags, &payload)?;
        payload.truncate(range.end);
        payload.advance(range.start);
        self.take_data(head, Piece::Large(payload))
    }

    pub(crate) fn take_data(&mut self, head: FrameHead, piece: Piece<'_>) -> Result<(), Fault> {
        let id = self.opened(head)?;
        // Padding counts, too (section 6.9.1).
        self.receives.receive(head.length)?;
        let stream = self.streams.get(&id).cloned();
        let Some(stream) = stream.filter(|stream| !stream.remote_ended.get()) else {
            self.came(head.length, 0);
            return if self.is_ignored(id) {
                Ok(())
            } else {
                Err(Fault::Stream(id, Reason::StreamClosed))
            };
        };
        let bytes = piece.as_ref().len();
        let padding = head.length - bytes;
        let mut arriving = stream.arriving.borrow_mut();
        let fits = arriving.window.receive(head.length);
        let taken = fits.and_then(|()| {
            if stream.is_over() || stream.faulty.get() {
                // Nobody will read it. Where the answer is whole, the client may go on to the
                // end of its request; else it may send what it has leave for.
                return Ok((0, arriving.throw_away(head.length, stream.is_answered())));
            }
            let widened = arriving.window.release(padding);
            arriving.push(piece).map(|()| (bytes, widened))
        });
        drop(arriving);
        self.came(head.length, taken.map_or(0, |(unread, _)| unread));
        match taken {
            Ok((_, Some(increment))) => {
                frame::put_window_update(self.io.outgoing(), id, increment);
            }
            Ok((_, None)) => {}
            Err(Reason::ProtocolError) => return self.spoil(&stream, BadRequest::BodyLength),
            Err(reason) => return Err(Fault::Stream(id, reason)),
        }
        if head.has(END_STREAM) {
            self.finish(&stream, None)?;
        }
        Ok(())
    }

    /// Ends the client's side of a stream.
    pub(crate) fn finish(
        &mut self,
        stream: &SharedStream,
        trailers: Option<Headers>,
    ) -> Result<(), Fault> {
        if stream.finish(trailers).is_err() {
            return self.spoil(stream, BadRequest::BodyLength);
        }
        if stream.local_ended.get() && !stream.faulty.get() {
            self.close(stream);
            if self.streams.is_empty() {
                // curl 7.88, for one, sees that the exchange is over only when something comes.
                frame::put_ping(self.io.outgoing(), 0, &OVER_PING);
            }
        }
        Ok(())
    }

    /// Marks the rest of a request as invalid: its exchange is told, so that it can still answer,
    /// and the stream is reset after that (section 8.1.1).
    pub(crate) fn spoil(&mut self, stream: &SharedStream, rule: BadRequest) -> Result<(), Fault> {
        if stream.is_over() || stream.local_ended.get() {
            return Err(Fault::Stream(stream.id, Reason::ProtocolError));
        }
        if !stream.faulty.replace(true) {
            self.meter.count_fault(timer::recent());
            stream.arriving.borrow_mut().spoil(rule);
        }
        Ok(())
    }
}

/// Payload of the ping that follows a request which has ended after its answer.
const OVER_PING: [u8; 8] = *b"all over";
