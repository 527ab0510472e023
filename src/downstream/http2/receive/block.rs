//! Field blocks: those that open streams, and trailers (RFC 9113 sections 6.2, 6.10 and 8.1).

use super::{
    super::session::{Leaving, Session, Unfinished},
    Opened,
};
use crate::{
    failure::BadRequest,
    http2::{
        Fault, Reason,
        frame::{self, END_HEADERS, END_STREAM, FrameHead},
        request::{HeadFault, read_request, read_trailers},
    },
    timer,
};

impl Session {
    pub(crate) fn take_headers(
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

    pub(crate) fn take_continuation(
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

    /// Processes a complete field block: a request, or trailers.
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
            Err(HeadFault::Malformed(rule)) => Err(rule),
            Err(fault) => return Err(self.fault_of(id, fault)),
        };
        self.head_since = None;
        if matches!(self.leaving, Leaving::Gone(_)) {
            return Ok(());
        }
        if self.streams.len() >= self.streams_max {
            return Err(Fault::Stream(id, Reason::RefusedStream));
        }
        let length = head.as_ref().ok().and_then(|head| head.content_length);
        let head = head.and_then(|head| match length {
            Some(1..) if end => Err(BadRequest::BodyLength),
            _ => Ok(head),
        });
        let stream = self.open(id, length.filter(|_| head.is_ok()));
        let malformed = head
            .as_ref()
            .err()
            .filter(|rule| **rule != BadRequest::HeadTooLarge);
        if malformed.is_some() {
            // The client is told what is wrong, and then that the stream is at its end
            // (section 8.1.1).
            stream.faulty.set(true);
            self.meter.count_fault(timer::recent());
        }
        if end {
            self.finish(&stream, None)?;
        }
        self.start((stream, head), open);
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
            Err(HeadFault::TooLarge) => self.spoil(&stream, BadRequest::HeadTooLarge),
            // Trailers are the end (section 8.1).
            _ => self.spoil(&stream, BadRequest::Header),
        }
    }

    fn fault_of(&mut self, id: u32, fault: HeadFault) -> Fault {
        match fault {
            HeadFault::Malformed(_) | HeadFault::TooLarge => {
                Fault::Stream(id, Reason::ProtocolError)
            }
            HeadFault::Block(_) => Reason::CompressionError.into(),
            HeadFault::Flood => {
                self.meter.flooded("headers");
                Reason::EnhanceYourCalm.into()
            }
        }
    }
}

/// Maximum number of frames of a field block beyond those that it needs.
const FRAGMENTS_MAX: usize = 16;
