//! Frames: their headers, and payloads that consist of numbers (RFC 9113 sections 4 and 6).

use std::ops::Range;

use bytes::{BufMut, BytesMut};

use super::Reason;

/// Bytes in front of every payload.
pub const HEAD_BYTES: usize = 9;
/// The largest payload that either side sends: the size that every peer accepts without a setting
/// (section 6.5.2).
pub const PAYLOAD_MAX: usize = 16 * 1024;

/// Frame header as sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHead {
    /// Bytes of the payload.
    pub length: usize,
    /// None for an unknown kind: such a frame is skipped (section 5.5).
    pub kind: Option<Kind>,
    /// Flags; their meaning depends on the kind.
    pub flags: u8,
    /// The stream; 0 is the connection.
    pub stream: u32,
}

/// Kinds of frames (section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Bytes of a body.
    Data = 0,
    /// Begins a message, or ends it with trailers.
    Headers = 1,
    /// Deprecated; has no effect any more.
    Priority = 2,
    /// Ends a stream at once.
    Reset = 3,
    /// Parameters of the sender.
    Settings = 4,
    /// Servers only; this one sends none.
    PushPromise = 5,
    /// Tests whether the other side is alive.
    Ping = 6,
    /// No more streams after this one.
    GoAway = 7,
    /// Allows the other side to send more.
    WindowUpdate = 8,
    /// The rest of a field block.
    Continuation = 9,
}

/// On DATA and HEADERS: the sender sends no more on the stream.
pub const END_STREAM: u8 = 0x1;
/// On SETTINGS and PING: it is the answer to one.
pub const ACK: u8 = 0x1;
/// On HEADERS and CONTINUATION: the field block is complete.
pub const END_HEADERS: u8 = 0x4;
/// On DATA and HEADERS: the payload ends in padding.
pub const PADDED: u8 = 0x8;
/// On HEADERS: the payload begins with a priority.
pub const PRIORITY: u8 = 0x20;

/// The parameters of SETTINGS (section 6.5.2, RFC 8441 section 3).
pub mod setting {
    /// Bytes of the table with which the other side may compress fields.
    pub const HEADER_TABLE_SIZE: u16 = 1;
    /// Permission for the server to push.
    pub const ENABLE_PUSH: u16 = 2;
    /// Concurrent streams that the other side may open.
    pub const MAX_CONCURRENT_STREAMS: u16 = 3;
    /// Number of body bytes that may be sent on a new stream before a window update.
    pub const INITIAL_WINDOW_SIZE: u16 = 4;
    /// The largest payload.
    pub const MAX_FRAME_SIZE: u16 = 5;
    /// Bytes of all fields of a message, plus 32 for each.
    pub const MAX_HEADER_LIST_SIZE: u16 = 6;
    /// Support for extended CONNECT.
    pub const ENABLE_CONNECT_PROTOCOL: u16 = 8;
}

impl FrameHead {
    /// Reads the frame header at the beginning of `bytes`; none until it is complete.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let [a, b, c, kind, flags, d, e, f, g] = *bytes.first_chunk::<HEAD_BYTES>()?;
        Some(Self {
            length: u32::from_be_bytes([0, a, b, c]) as usize,
            kind: Kind::of(kind),
            flags,
            stream: u32::from_be_bytes([d, e, f, g]) & STREAM_MAX,
        })
    }

    /// Returns true if a flag is set.
    pub const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

impl Kind {
    const fn of(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Data,
            1 => Self::Headers,
            2 => Self::Priority,
            3 => Self::Reset,
            4 => Self::Settings,
            5 => Self::PushPromise,
            6 => Self::Ping,
            7 => Self::GoAway,
            8 => Self::WindowUpdate,
            9 => Self::Continuation,
            _ => return None,
        })
    }
}

/// Returns the range of the data in the payload of a DATA frame.
///
/// # Errors
/// [`Reason::ProtocolError`] if the padding is longer than the payload.
pub fn data_of(flags: u8, payload: &[u8]) -> Result<Range<usize>, Reason> {
    if flags & PADDED == 0 {
        return Ok(0..payload.len());
    }
    let padding = *payload.first().ok_or(Reason::FrameSizeError)?;
    let end = payload.len().checked_sub(usize::from(padding));
    let end = end.filter(|end| *end >= 1).ok_or(Reason::ProtocolError)?;
    Ok(1..end)
}

/// Returns the range of the field block fragment in the payload of a HEADERS frame, and the stream
/// that it says to depend on.
///
/// # Errors
/// As [`data_of`]; [`Reason::FrameSizeError`] if the priority is incomplete.
pub fn fragment_of(flags: u8, payload: &[u8]) -> Result<(Range<usize>, Option<u32>), Reason> {
    let mut range = data_of(flags, payload)?;
    if flags & PRIORITY == 0 {
        return Ok((range, None));
    }
    let parent = number(&payload[range.clone()]).ok_or(Reason::FrameSizeError)?;
    if range.len() < PRIORITY_BYTES {
        return Err(Reason::FrameSizeError);
    }
    range.start += PRIORITY_BYTES;
    Ok((range, Some(parent & STREAM_MAX)))
}

/// Returns the number at the beginning of a payload: the reason of a reset, the increment of a
/// window, the parent of a priority.
pub fn number(payload: &[u8]) -> Option<u32> {
    payload
        .first_chunk()
        .map(|bytes| u32::from_be_bytes(*bytes))
}

/// Returns the parameters of a SETTINGS frame, in order.
///
/// # Errors
/// [`Reason::FrameSizeError`] if the last one is incomplete.
pub fn settings(payload: &[u8]) -> Result<impl Iterator<Item = (u16, u32)>, Reason> {
    let (parameters, rest) = payload.as_chunks::<6>();
    if !rest.is_empty() {
        return Err(Reason::FrameSizeError);
    }
    Ok(parameters
        .iter()
        .map(|&[a, b, c, d, e, f]| (u16::from_be_bytes([a, b]), u32::from_be_bytes([c, d, e, f]))))
}

/// Appends the head of a frame.
pub fn put_head(out: &mut BytesMut, length: usize, kind: Kind, flags: u8, stream: u32) {
    debug_assert!(
        length <= PAYLOAD_MAX,
        "a payload that the peer need not take"
    );
    let [.., a, b, c] = length.to_be_bytes();
    let [d, e, f, g] = stream.to_be_bytes();
    out.put_slice(&[a, b, c, kind as u8, flags, d, e, f, g]);
}

/// Appends SETTINGS with these parameters.
pub fn put_settings(out: &mut BytesMut, parameters: &[(u16, u32)]) {
    put_head(out, parameters.len() * 6, Kind::Settings, 0, 0);
    for (parameter, value) in parameters {
        out.put_u16(*parameter);
        out.put_u32(*value);
    }
}

/// Appends the answer to SETTINGS.
pub fn put_settings_ack(out: &mut BytesMut) {
    put_head(out, 0, Kind::Settings, ACK, 0);
}

/// Appends a PING, or with [`ACK`] the answer to one.
pub fn put_ping(out: &mut BytesMut, flags: u8, payload: &[u8; 8]) {
    put_head(out, payload.len(), Kind::Ping, flags, 0);
    out.put_slice(payload);
}

/// Appends GOAWAY: streams above `last` are ignored.
pub fn put_go_away(out: &mut BytesMut, last: u32, reason: Reason) {
    put_head(out, 8, Kind::GoAway, 0, 0);
    out.put_u32(last);
    out.put_u32(reason as u32);
}

/// Appends RST_STREAM.
pub fn put_reset(out: &mut BytesMut, stream: u32, reason: Reason) {
    put_head(out, 4, Kind::Reset, 0, stream);
    out.put_u32(reason as u32);
}

/// Appends WINDOW_UPDATE.
pub fn put_window_update(out: &mut BytesMut, stream: u32, increment: u32) {
    put_head(out, 4, Kind::WindowUpdate, 0, stream);
    out.put_u32(increment);
}

/// Appends a field block, in as many frames as needed.
pub fn put_block(out: &mut BytesMut, stream: u32, end: bool, block: &[u8]) {
    let mut kind = Kind::Headers;
    let mut flags = if end { END_STREAM } else { 0 };
    let mut rest = block;
    out.reserve(HEAD_BYTES + block.len());
    loop {
        let (piece, behind) = rest.split_at(rest.len().min(PAYLOAD_MAX));
        if behind.is_empty() {
            flags |= END_HEADERS;
        }
        put_head(out, piece.len(), kind, flags, stream);
        out.put_slice(piece);
        if behind.is_empty() {
            return;
        }
        rest = behind;
        (kind, flags) = (Kind::Continuation, 0);
    }
}

/// The highest stream number; the bit above it is reserved.
pub const STREAM_MAX: u32 = 0x7fff_ffff;
const PRIORITY_BYTES: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_was_written() {
        let mut out = BytesMut::new();
        put_head(&mut out, 0x1234, Kind::Headers, END_STREAM | END_HEADERS, 5);
        assert_eq!(FrameHead::read(&out[..8]), None);
        let head = FrameHead::read(&out).unwrap();
        assert_eq!((head.length, head.stream), (0x1234, 5));
        assert_eq!(head.kind, Some(Kind::Headers));
        assert!(head.has(END_STREAM) && head.has(END_HEADERS) && !head.has(PADDED));
        let reserved = FrameHead::read(&[0, 0, 0, 99, 0, 0xff, 0xff, 0xff, 0xff]).unwrap();
        assert_eq!((reserved.kind, reserved.stream), (None, STREAM_MAX));
        for kind in 0..=9 {
            assert_eq!(Kind::of(kind).map(|kind| kind as u8), Some(kind));
        }
    }

    #[test]
    fn padding_and_priority_are_taken_off() {
        assert_eq!(data_of(0, b"abc"), Ok(0..3));
        assert_eq!(data_of(PADDED, b"\x02abcd"), Ok(1..3));
        assert_eq!(data_of(PADDED, b"\x00"), Ok(1..1));
        assert_eq!(data_of(PADDED, b""), Err(Reason::FrameSizeError));
        // As long as the payload with its own length: one too many.
        assert_eq!(data_of(PADDED, b"\x02a"), Err(Reason::ProtocolError));
        assert_eq!(data_of(PADDED, b"\x01a"), Ok(1..1));
        let both = b"\x01\x80\x00\x00\x03\x10xyz";
        assert_eq!(fragment_of(PADDED | PRIORITY, both), Ok((6..8, Some(3))));
        assert_eq!(
            fragment_of(PRIORITY, b"\x00\x00\x00\x03"),
            Err(Reason::FrameSizeError)
        );
        assert_eq!(fragment_of(0, b"xyz"), Ok((0..3, None)));
    }

    #[test]
    fn settings_are_pairs() {
        let mut out = BytesMut::new();
        let pairs = [(setting::INITIAL_WINDOW_SIZE, 70_000), (9, 1)];
        put_settings(&mut out, &pairs);
        let read: Vec<_> = settings(&out[HEAD_BYTES..]).unwrap().collect();
        assert_eq!(read, pairs);
        assert!(settings(&[0; 7]).is_err());
    }

    #[test]
    fn a_long_block_goes_out_in_several_frames() {
        for length in [0, 5, PAYLOAD_MAX, PAYLOAD_MAX + 1, 3 * PAYLOAD_MAX] {
            let mut out = BytesMut::from(&b"before"[..]);
            let block: Vec<u8> = (0..length).map(|n| n.to_le_bytes()[0]).collect();
            put_block(&mut out, 7, true, &block);
            assert_eq!(&out[..6], b"before");
            let mut rest = &out[6..];
            let mut read = Vec::new();
            let mut frames = 0;
            while let Some(head) = FrameHead::read(rest) {
                let (frame, behind) = rest.split_at(HEAD_BYTES + head.length);
                read.extend_from_slice(&frame[HEAD_BYTES..]);
                let first = frames == 0;
                let kind = if first {
                    Kind::Headers
                } else {
                    Kind::Continuation
                };
                assert_eq!((head.kind, head.stream), (Some(kind), 7));
                assert_eq!(head.has(END_STREAM), first);
                assert_eq!(head.has(END_HEADERS), behind.is_empty());
                rest = behind;
                frames += 1;
            }
            assert_eq!(read, block);
            assert_eq!(frames, length.div_ceil(PAYLOAD_MAX).max(1));
        }
    }
}
