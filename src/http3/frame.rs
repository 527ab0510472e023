//! Heads of frames, and the few frames that a server sends (RFC 9114 section 7).

use bytes::BufMut;

use super::varint;

/// Type of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bytes of a body.
    Data,
    /// A field block.
    Headers,
    /// Withdrawal of a pushed answer.
    CancelPush,
    /// Settings of the connection.
    Settings,
    /// Announcement of a pushed answer.
    PushPromise,
    /// The end of new requests.
    GoAway,
    /// The pushed answers that the client takes.
    MaxPushId,
    /// A type of HTTP/2 that HTTP/3 has not.
    OfHttp2,
    /// A type that this version does not know: passed over.
    Unknown,
}

/// Type and length of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHead {
    /// The type.
    pub kind: Kind,
    /// Number of bytes that follow.
    pub length: u64,
}

impl FrameHead {
    /// Reads the head at the front; returns it with the number of its bytes, or none if it is
    /// incomplete.
    pub fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        let (number, first) = varint::read(bytes)?;
        let (length, second) = varint::read(bytes.get(first..)?)?;
        let kind = Kind::of(number);
        Some((Self { kind, length }, first + second))
    }
}

impl Kind {
    fn of(number: u64) -> Self {
        match number {
            0x0 => Self::Data,
            0x1 => Self::Headers,
            0x3 => Self::CancelPush,
            0x4 => Self::Settings,
            0x5 => Self::PushPromise,
            0x7 => Self::GoAway,
            0xd => Self::MaxPushId,
            0x2 | 0x6 | 0x8 | 0x9 => Self::OfHttp2,
            _ => Self::Unknown,
        }
    }
}

/// Writes the head of a DATA frame.
pub fn put_data(length: usize, out: &mut impl BufMut) {
    out.put_u8(0x0);
    varint::put(length as u64, out);
}

/// Writes a HEADERS frame.
pub fn put_headers(block: &[u8], out: &mut impl BufMut) {
    out.put_u8(0x1);
    varint::put(block.len() as u64, out);
    out.put_slice(block);
}

/// Writes the beginning of a control stream: its type, and settings, which are the greatest size of
/// a request's fields and a table of no bytes for their compression.
pub fn put_control(fields_max: u64, out: &mut Vec<u8>) {
    let mut settings = Vec::new();
    for (setting, value) in [
        (setting::QPACK_MAX_TABLE_CAPACITY, 0),
        (setting::MAX_FIELD_SECTION_SIZE, fields_max),
        (setting::QPACK_BLOCKED_STREAMS, 0),
    ] {
        varint::put(setting, &mut settings);
        varint::put(value, &mut settings);
    }
    out.push(0x0);
    out.push(0x4);
    varint::put(settings.len() as u64, out);
    out.extend_from_slice(&settings);
}

/// Writes a GOAWAY frame: requests on `stream` and later ones are not taken.
pub fn put_go_away(stream: u64, out: &mut Vec<u8>) {
    let mut id = Vec::new();
    varint::put(stream, &mut id);
    out.push(0x7);
    varint::put(id.len() as u64, out);
    out.extend_from_slice(&id);
}

/// Identifiers of settings (RFC 9114 section 7.2.4.1, RFC 9204 section 5).
pub mod setting {
    /// Bytes of the table that the peer's encoder may use.
    pub const QPACK_MAX_TABLE_CAPACITY: u64 = 0x1;
    /// Maximum size of a field section.
    pub const MAX_FIELD_SECTION_SIZE: u64 = 0x6;
    /// Streams that may wait for additions to the table.
    pub const QPACK_BLOCKED_STREAMS: u64 = 0x7;
}

/// The largest number of bytes of a frame's head.
pub const HEAD_BYTES_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_once_they_are_complete() {
        let mut out = Vec::new();
        put_headers(&[7; 300], &mut out);
        let (head, bytes) = FrameHead::read(&out).unwrap();
        assert_eq!((head.kind, head.length, bytes), (Kind::Headers, 300, 3));
        assert_eq!(FrameHead::read(&out[..2]), None);
        assert_eq!(FrameHead::read(&[]), None);
    }

    #[test]
    fn types_of_http2_and_unknown_ones_are_told_apart() {
        let kinds = [0x2, 0x6, 0x8, 0x9, 0x21, 0xd].map(Kind::of);
        let [.., grease, push] = kinds;
        assert!(kinds[..4].iter().all(|kind| *kind == Kind::OfHttp2));
        assert_eq!((grease, push), (Kind::Unknown, Kind::MaxPushId));
    }
}
