//! Streams beside requests: our control stream, and those of the client (RFC 9114 section 6.2).

use std::{
    pin::pin,
    task::{Context, Poll},
};

use quinn::{ReadError, RecvStream, SendStream};

use crate::{
    downstream::http3::{
        meter::Burden,
        session::{Session, number},
    },
    http3::{
        Code, StreamType,
        control::{ControlReader, DecoderStreamReader, read_encoder},
        frame, varint,
    },
};

/// Our control stream.
pub(super) struct Outgoing {
    stream: SendStream,
    /// Frames that QUIC has not taken.
    unsent: Vec<u8>,
}

impl Outgoing {
    /// Begins it with our settings; `fields_max` is the greatest size of a request's fields.
    pub(super) fn new(stream: SendStream, fields_max: u64) -> Self {
        let mut unsent = Vec::new();
        frame::put_control(fields_max, &mut unsent);
        // Before all answers.
        let _ = stream.set_priority(1);
        Self { stream, unsent }
    }

    /// Appends a GOAWAY: streams from this one on are not taken.
    pub(super) fn go_away(&mut self, stream: u64) {
        frame::put_go_away(stream, &mut self.unsent);
    }

    /// Has QUIC take what is appended.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Code>> {
        while !self.unsent.is_empty() {
            let written = pin!(self.stream.write(&self.unsent)).poll(cx);
            match written {
                Poll::Ready(Ok(written)) => drop(self.unsent.drain(..written)),
                // The client must not stop it.
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Code::ClosedCriticalStream)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// The client's streams beside its requests. Their number is bounded by QUIC.
#[derive(Default)]
pub(super) struct PeerStreams {
    streams: Vec<PeerStream>,
    has_control: bool,
    has_encoder: bool,
    has_decoder: bool,
}

struct PeerStream {
    stream: RecvStream,
    /// Bytes of the type, until it is known.
    start: Vec<u8>,
    reader: Option<Reader>,
}

enum Reader {
    Control(ControlReader),
    Encoder,
    Decoder(DecoderStreamReader),
}

impl PeerStreams {
    /// Adds a stream that the client has opened.
    pub(super) fn add(&mut self, stream: RecvStream) {
        self.streams.push(PeerStream {
            stream,
            start: Vec::new(),
            reader: None,
        });
    }

    /// Reads all of them; ready with the violation that ends the connection.
    pub(super) fn poll(&mut self, session: &Session, cx: &mut Context<'_>) -> Poll<Code> {
        let mut at = 0;
        while at < self.streams.len() {
            match self.poll_one(at, session, cx) {
                Ok(true) => at += 1,
                Ok(false) => drop(self.streams.swap_remove(at)),
                Err(code) => return Poll::Ready(code),
            }
        }
        Poll::Pending
    }

    /// Reads one; false if nothing more is read of it.
    fn poll_one(
        &mut self,
        at: usize,
        session: &Session,
        cx: &mut Context<'_>,
    ) -> Result<bool, Code> {
        loop {
            let Some(peer) = self.streams.get_mut(at) else {
                return Ok(false);
            };
            let read = pin!(peer.stream.read_chunk(PIECE, true)).poll(cx);
            let chunk = match read {
                Poll::Pending => return Ok(true),
                Poll::Ready(Ok(Some(chunk))) => chunk.bytes,
                Poll::Ready(Ok(None) | Err(ReadError::Reset(_))) if peer.reader.is_none() => {
                    // One that ends before its type is known says nothing.
                    session.burden(Burden::Unknown, 1);
                    return Ok(false);
                }
                Poll::Ready(Ok(None) | Err(ReadError::Reset(_))) => {
                    return Err(Code::ClosedCriticalStream);
                }
                // The connection is lost.
                Poll::Ready(Err(_)) => return Ok(false),
            };
            if peer.reader.is_some() {
                peer.read(&chunk, session)?;
                continue;
            }
            peer.start.extend_from_slice(&chunk);
            let Some((kind, length)) = varint::read(&peer.start) else {
                continue;
            };
            let start = std::mem::take(&mut peer.start);
            let Some(reader) = self.reader_of(StreamType::of(kind))? else {
                session.burden(Burden::Unknown, 1);
                if let Some(peer) = self.streams.get_mut(at) {
                    let _ = peer.stream.stop(number(Code::StreamCreationError));
                }
                return Ok(false);
            };
            if let Some(peer) = self.streams.get_mut(at) {
                peer.reader = Some(reader);
                peer.read(start.get(length..).unwrap_or_default(), session)?;
            }
        }
    }

    /// Returns the reader of a stream of this type; none if it is unknown.
    fn reader_of(&mut self, kind: StreamType) -> Result<Option<Reader>, Code> {
        let (seen, reader) = match kind {
            StreamType::Control => (
                &mut self.has_control,
                Reader::Control(ControlReader::default()),
            ),
            StreamType::Encoder => (&mut self.has_encoder, Reader::Encoder),
            StreamType::Decoder => (
                &mut self.has_decoder,
                Reader::Decoder(DecoderStreamReader::default()),
            ),
            StreamType::Push => return Err(Code::StreamCreationError),
            StreamType::Unknown => return Ok(None),
        };
        // Of each there is one.
        if std::mem::replace(seen, true) {
            return Err(Code::StreamCreationError);
        }
        Ok(Some(reader))
    }
}

impl PeerStream {
    fn read(&mut self, bytes: &[u8], session: &Session) -> Result<(), Code> {
        let count = match &mut self.reader {
            Some(Reader::Control(reader)) => reader.read(bytes)?,
            Some(Reader::Encoder) => read_encoder(bytes)?,
            Some(Reader::Decoder(reader)) => reader.read(bytes)?,
            None => 0,
        };
        session.burden(Burden::Control, count);
        Ok(())
    }
}

/// Most that is read of such a stream at once.
const PIECE: usize = 4096;
