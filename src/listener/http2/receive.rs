//! What a client sends, frame by frame (RFC 9113 section 6).

use ::http::HeaderMap;
use bytes::{Buf, Bytes, BytesMut};
use tokio::time::Instant;

use super::{
    session::{Begun, LAST_PING, Leaving, Session, Unfinished},
    stream::{Over, Piece, SharedStream},
};
use crate::{
    exchange::BadRequest,
    http2::{
        Fault, PREFACE, Reason, frame,
        frame::{ACK, END_HEADERS, END_STREAM, FrameHead, HEAD_BYTES, Kind, STREAM_MAX, setting},
        request::{HeadFault, RequestHead, read_request, read_trailers},
    },
};

/// A request on a stream of its own; without a head that is larger than the limit.
pub(super) type Opened = (SharedStream, Result<RequestHead, BadRequest>);

impl Session {
    /// Takes what has arrived, as far as its frames are whole; each request that begins goes to
    /// `open`.
    ///
    /// # Errors
    /// Why the connection cannot go on.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        open: &mut impl FnMut(Opened),
    ) -> Result<(), Reason> {
        let mut bytes = std::mem::take(self.io.received());
        let received = self.receive_all(&mut bytes, now, open);
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
        while let Some(head) = FrameHead::read(&bytes[at..]) {
            if head.length > frame::PAYLOAD_MAX {
                return Err(Reason::FrameSizeError);
            }
            let end = at + HEAD_BYTES + head.length;
            if bytes.len() < end {
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

    /// A stream that a frame may name: not one that has not been opened.
    fn opened(&self, head: FrameHead) -> Result<u32, Reason> {
        let id = head.stream;
        if id.is_multiple_of(2) || id > self.last {
            return Err(Reason::ProtocolError);
        }
        Ok(id)
    }

    /// Whether frames of a stream that is not there are no fault of the client.
    fn is_ignored(&self, id: u32) -> bool {
        let above = matches!(self.leaving, Leaving::Gone(last) if id > last);
        above || self.resets.contains(&id)
    }

    fn take_large(&mut self, head: FrameHead, mut payload: Bytes) -> Result<(), Fault> {
        if self.block.is_some() {
            return Err(Reason::ProtocolError.into());
        }
        let range = frame::data_of(head.flags, &payload)?;
        payload.truncate(range.end);
        payload.advance(range.start);
        self.take_data(head, Piece::Large(payload))
    }

    fn take_data(&mut self, head: FrameHead, piece: Piece<'_>) -> Result<(), Fault> {
        let id = self.opened(head)?;
        // Padding counts, too (section 6.9.1).
        self.receives.receive(head.length)?;
        let stream = self.streams.get(&id).cloned();
        let Some(stream) = stream.filter(|stream| !stream.remote_ended.get()) else {
            self.release(head.length);
            return if self.is_ignored(id) {
                Ok(())
            } else {
                Err(Fault::Stream(id, Reason::StreamClosed))
            };
        };
        let padding = head.length - piece.as_ref().len();
        let mut arriving = stream.arriving.borrow_mut();
        let fits = arriving.window.receive(head.length);
        let taken = fits.and_then(|()| {
            let widened = arriving.window.release(padding);
            arriving.push(piece).map(|()| widened)
        });
        drop(arriving);
        match taken {
            Ok(widened) => {
                self.release(padding);
                if let Some(increment) = widened {
                    frame::put_window_update(self.io.outgoing(), id, increment);
                }
            }
            Err(reason) => {
                self.release(head.length);
                return Err(Fault::Stream(id, reason));
            }
        }
        if head.has(END_STREAM) {
            self.finish(&stream, None)?;
        }
        Ok(())
    }

    /// The client has said its last word on a stream.
    fn finish(&mut self, stream: &SharedStream, trailers: Option<HeaderMap>) -> Result<(), Fault> {
        let finished = stream.finish(trailers);
        finished.map_err(|reason| Fault::Stream(stream.id, reason))?;
        if stream.local_ended.get() {
            self.close(stream);
        }
        Ok(())
    }

    fn take_headers(
        &mut self,
        head: FrameHead,
        payload: &[u8],
        open: &mut impl FnMut(Opened),
    ) -> Result<(), Fault> {
        if head.stream.is_multiple_of(2) {
            return Err(Reason::ProtocolError.into());
        }
        let (range, parent) = frame::fragment_of(head.flags, payload)?;
        let fragment = &payload[range];
        let end = head.has(END_STREAM);
        if head.has(END_HEADERS) {
            self.take_block(head.stream, end, fragment, open)?;
        } else {
            self.block = Some(Unfinished {
                stream: head.stream,
                end,
                fragments: fragment.to_vec(),
                frames: 1,
            });
        }
        if parent == Some(head.stream) {
            return Err(Fault::Stream(head.stream, Reason::ProtocolError));
        }
        Ok(())
    }

    fn take_continuation(
        &mut self,
        head: FrameHead,
        payload: &[u8],
        open: &mut impl FnMut(Opened),
    ) -> Result<(), Fault> {
        let Some(mut block) = self.block.take_if(|block| block.stream == head.stream) else {
            return Err(Reason::ProtocolError.into());
        };
        block.frames += 1;
        let bytes = block.fragments.len() + payload.len();
        if block.frames > FRAGMENTS_MAX + self.limits.bytes_max / frame::PAYLOAD_MAX
            || bytes > FRAGMENTS_MAX * frame::PAYLOAD_MAX + self.limits.bytes_max
        {
            self.meter.flooded("continuations");
            return Err(Reason::EnhanceYourCalm.into());
        }
        block.fragments.extend_from_slice(payload);
        if !head.has(END_HEADERS) {
            self.block = Some(block);
            return Ok(());
        }
        self.take_block(block.stream, block.end, &block.fragments, open)
    }

    /// Takes a field block that is whole: a request, or trailers.
    fn take_block(
        &mut self,
        id: u32,
        end: bool,
        block: &[u8],
        open: &mut impl FnMut(Opened),
    ) -> Result<(), Fault> {
        if id <= self.last {
            return self.take_trailers(id, end, block);
        }
        self.last = id;
        let head = match read_request(&mut self.decoder, block, &self.limits) {
            Ok(head) => Ok(head),
            Err(HeadFault::TooLarge) => Err(BadRequest::HeadTooLarge),
            Err(fault) => return Err(self.fault_of(id, fault)),
        };
        if matches!(self.leaving, Leaving::Gone(_)) {
            return Ok(());
        }
        if self.streams.len() >= self.streams_max {
            return Err(Fault::Stream(id, Reason::RefusedStream));
        }
        let length = head.as_ref().ok().and_then(|head| head.content_length);
        let stream = self.open(id, length);
        if end {
            self.finish(&stream, None)?;
        }
        open((stream, head));
        Ok(())
    }

    fn take_trailers(&mut self, id: u32, end: bool, block: &[u8]) -> Result<(), Fault> {
        // Decoded in any case: what follows relies on it.
        let trailers = read_trailers(&mut self.decoder, block, &self.limits);
        let trailers = match trailers {
            Err(fault @ (HeadFault::Flood | HeadFault::Block(_))) => {
                return Err(self.fault_of(id, fault));
            }
            trailers => trailers,
        };
        let Some(stream) = self.streams.get(&id).cloned() else {
            return if self.is_ignored(id) {
                Ok(())
            } else {
                Err(Reason::StreamClosed.into())
            };
        };
        if stream.remote_ended.get() {
            return Err(Fault::Stream(id, Reason::StreamClosed));
        }
        match trailers {
            Ok(trailers) if end => self.finish(&stream, Some(trailers)),
            // Trailers are the end (section 8.1).
            _ => Err(Fault::Stream(id, Reason::ProtocolError)),
        }
    }

    fn fault_of(&mut self, id: u32, fault: HeadFault) -> Fault {
        match fault {
            HeadFault::Malformed | HeadFault::TooLarge => Fault::Stream(id, Reason::ProtocolError),
            HeadFault::Block(_) => Reason::CompressionError.into(),
            HeadFault::Flood => {
                self.meter.flooded("headers");
                Reason::EnhanceYourCalm.into()
            }
        }
    }

    fn take_priority(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), Fault> {
        if head.stream == 0 {
            return Err(Reason::ProtocolError.into());
        }
        if payload.len() != 5 {
            return Err(Reason::FrameSizeError.into());
        }
        let parent = frame::number(payload).map(|parent| parent & STREAM_MAX);
        if parent == Some(head.stream) {
            // There is nothing to be reset on a stream that has not been opened.
            return Err(match self.opened(head) {
                Ok(id) => Fault::Stream(id, Reason::ProtocolError),
                Err(reason) => reason.into(),
            });
        }
        Ok(())
    }

    fn take_reset(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), Fault> {
        if payload.len() != 4 {
            return Err(Reason::FrameSizeError.into());
        }
        let id = self.opened(head)?;
        if let Some(stream) = self.streams.get(&id).cloned() {
            self.close(&stream);
            let reasons = [Reason::NoError as u32, Reason::Cancel as u32];
            let wanted = frame::number(payload).is_some_and(|reason| reasons.contains(&reason));
            stream.end(if wanted { Over::Left } else { Over::Broken });
        }
        Ok(())
    }

    fn take_settings(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), Reason> {
        if head.stream != 0 {
            return Err(Reason::ProtocolError);
        }
        if head.has(ACK) {
            return if payload.is_empty() {
                Ok(())
            } else {
                Err(Reason::FrameSizeError)
            };
        }
        for (parameter, value) in frame::settings(payload)? {
            match parameter {
                setting::HEADER_TABLE_SIZE => self.limit_table(value),
                setting::ENABLE_PUSH | setting::ENABLE_CONNECT_PROTOCOL if value > 1 => {
                    return Err(Reason::ProtocolError);
                }
                setting::INITIAL_WINDOW_SIZE => self.resize_windows(value)?,
                setting::MAX_FRAME_SIZE if !FRAME_SIZES.contains(&value) => {
                    return Err(Reason::ProtocolError);
                }
                _ => {}
            }
        }
        frame::put_settings_ack(self.io.outgoing());
        Ok(())
    }

    /// Streams begin with another window, and those that are open get as much more or less
    /// (section 6.9.2).
    fn resize_windows(&mut self, size: u32) -> Result<(), Reason> {
        if size > STREAM_MAX {
            return Err(Reason::FlowControlError);
        }
        let by = i64::from(size) - i64::from(self.initial_window);
        self.initial_window = size;
        for stream in self.streams.values() {
            let mut window = stream.window.get();
            window.widen(by)?;
            stream.window.set(window);
            stream.wake();
        }
        Ok(())
    }

    fn take_ping(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), Reason> {
        if head.stream != 0 {
            return Err(Reason::ProtocolError);
        }
        let payload = payload.try_into().map_err(|_| Reason::FrameSizeError)?;
        if !head.has(ACK) {
            frame::put_ping(self.io.outgoing(), ACK, payload);
        } else if *payload == LAST_PING {
            self.leave();
        }
        Ok(())
    }

    fn take_window_update(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), Fault> {
        if payload.len() != 4 {
            return Err(Reason::FrameSizeError.into());
        }
        let increment = frame::number(payload).unwrap_or(0) & STREAM_MAX;
        if head.stream == 0 {
            if increment == 0 {
                return Err(Reason::ProtocolError.into());
            }
            return Ok(self.window.widen(i64::from(increment))?);
        }
        let id = self.opened(head)?;
        let Some(stream) = self.streams.get(&id) else {
            return Ok(());
        };
        if increment == 0 {
            return Err(Fault::Stream(id, Reason::ProtocolError));
        }
        let mut window = stream.window.get();
        let widened = window.widen(i64::from(increment));
        widened.map_err(|reason| Fault::Stream(id, reason))?;
        stream.window.set(window);
        stream.wake();
        Ok(())
    }
}

/// From this size on bytes of a body are not copied out of what was read.
const LARGE: usize = 4 * 1024;
/// Frames of a field block, beyond those that it needs.
const FRAGMENTS_MAX: usize = 16;
/// What the largest payload may be set to (section 6.5.2).
const FRAME_SIZES: std::ops::RangeInclusive<u32> = 0x4000..=0xff_ffff;
