//! The frames of a request's stream, in the order that a message has (RFC 9114 section 4.1).

use bytes::{Buf, Bytes};

use super::{
    Code,
    frame::{FrameHead, HEAD_BYTES_MAX, Kind},
};

/// Reads the stream of a request, piece by piece. Keeps no more of it than a field block within the
/// limit.
#[derive(Debug)]
pub struct MessageReader {
    part: Part,
    state: State,
    /// Start of a frame's head, or a field block.
    kept: Vec<u8>,
    /// Largest field block that is kept.
    block_max: usize,
}

/// Part of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// The head comes.
    Head,
    /// The body comes, or trailers.
    Body,
    /// Nothing comes any more.
    Over,
}

/// Place within a frame; numbers are the bytes to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Between frames, or in the head of one.
    Between,
    Block(usize),
    Data(u64),
    /// A frame that is passed over.
    Skip(u64),
}

/// Something read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A field block of so many bytes begins; it will be kept.
    BlockBegins(usize),
    /// A whole field block: the head, or after it the trailers.
    Block(Vec<u8>),
    /// A field block that is larger than the limit begins. Nothing after it is read.
    TooLarge,
    /// Bytes of the body.
    Data(Bytes),
    /// A body frame without bytes.
    Empty,
    /// A frame of an unknown type begins.
    Unknown,
}

impl MessageReader {
    /// Makes a reader that keeps field blocks of up to `block_max` bytes.
    pub fn new(block_max: usize) -> Self {
        Self {
            part: Part::Head,
            state: State::Between,
            kept: Vec::new(),
            block_max,
        }
    }

    /// Reads on; none once all of `bytes` is read.
    ///
    /// # Errors
    /// The violation, which ends the connection.
    pub fn read(&mut self, bytes: &mut Bytes) -> Result<Option<Event>, Code> {
        while !bytes.is_empty() {
            let event = match self.state {
                State::Between => self.begin(bytes)?,
                State::Block(left) => self.keep(left, bytes),
                State::Data(left) => {
                    let piece = bytes.split_to(up_to(left, bytes.len()));
                    self.state = next(left - piece.len() as u64, State::Data);
                    Some(Event::Data(piece))
                }
                State::Skip(left) => {
                    let skipped = up_to(left, bytes.len());
                    bytes.advance(skipped);
                    self.state = next(left - skipped as u64, State::Skip);
                    None
                }
            };
            if event.is_some() {
                return Ok(event);
            }
        }
        Ok(None)
    }

    /// Ends the stream; returns true if the message has a head.
    ///
    /// # Errors
    /// [`Code::FrameError`] if it ends within a frame.
    pub fn end(&self) -> Result<bool, Code> {
        if self.state != State::Between || !self.kept.is_empty() {
            return Err(Code::FrameError);
        }
        Ok(self.part != Part::Head)
    }

    /// Reads the head of a frame.
    fn begin(&mut self, bytes: &mut Bytes) -> Result<Option<Event>, Code> {
        // Heads that come in pieces are few, and short.
        let before = self.kept.len();
        let room = HEAD_BYTES_MAX - before;
        let start = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        let found = if before == 0 {
            FrameHead::read(start)
        } else {
            self.kept.extend_from_slice(start);
            FrameHead::read(&self.kept)
        };
        let Some((head, length)) = found else {
            if before == 0 {
                self.kept.extend_from_slice(start);
            }
            let taken = start.len();
            bytes.advance(taken);
            return Ok(None);
        };
        bytes.advance(length - before);
        self.kept.clear();
        self.take(head)
    }

    fn take(&mut self, head: FrameHead) -> Result<Option<Event>, Code> {
        match (head.kind, self.part) {
            (Kind::Unknown, _) if head.length > SKIPPED_MAX => Err(Code::ExcessiveLoad),
            (Kind::Unknown, _) => {
                self.state = next(head.length, State::Skip);
                Ok(Some(Event::Unknown))
            }
            (Kind::Headers, Part::Head | Part::Body) => {
                self.part = match self.part {
                    Part::Head => Part::Body,
                    _ => Part::Over,
                };
                match usize::try_from(head.length) {
                    Ok(0) => Ok(Some(Event::Block(Vec::new()))),
                    Ok(length) if length <= self.block_max => {
                        self.state = State::Block(length);
                        Ok(Some(Event::BlockBegins(length)))
                    }
                    _ => {
                        self.state = State::Skip(head.length);
                        Ok(Some(Event::TooLarge))
                    }
                }
            }
            (Kind::Data, Part::Body) if head.length == 0 => Ok(Some(Event::Empty)),
            (Kind::Data, Part::Body) => {
                self.state = State::Data(head.length);
                Ok(None)
            }
            _ => Err(Code::FrameUnexpected),
        }
    }

    /// Keeps part of a field block.
    fn keep(&mut self, left: usize, bytes: &mut Bytes) -> Option<Event> {
        let count = left.min(bytes.len());
        self.kept
            .extend_from_slice(bytes.get(..count).unwrap_or_default());
        bytes.advance(count);
        if count < left {
            self.state = State::Block(left - count);
            return None;
        }
        self.state = State::Between;
        Some(Event::Block(std::mem::take(&mut self.kept)))
    }
}

fn up_to(left: u64, present: usize) -> usize {
    usize::try_from(left).map_or(present, |left| left.min(present))
}

fn next(left: u64, state: impl FnOnce(u64) -> State) -> State {
    if left == 0 {
        State::Between
    } else {
        state(left)
    }
}

/// Largest frame of an unknown type: a client sends those only to keep servers used to them.
const SKIPPED_MAX: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http3::frame::{put_data, put_headers};

    fn read(bytes: &[u8], piece: usize) -> Result<(Vec<Event>, bool), Code> {
        let mut reader = MessageReader::new(100);
        let mut events = Vec::new();
        for piece in bytes.chunks(piece) {
            let mut piece = Bytes::copy_from_slice(piece);
            while let Some(event) = reader.read(&mut piece)? {
                match (events.last_mut(), event) {
                    (Some(Event::Data(before)), Event::Data(more)) => {
                        *before = [&before[..], &more[..]].concat().into();
                    }
                    (_, event) => events.push(event),
                }
            }
        }
        Ok((events, reader.end()?))
    }

    fn message() -> Vec<u8> {
        let mut out = Vec::new();
        put_headers(b"head", &mut out);
        put_data(0, &mut out);
        // An unknown type of two bytes.
        out.extend_from_slice(&[0x40, 0x21, 2, 9, 9]);
        put_data(70, &mut out);
        out.extend_from_slice(&[b'x'; 70]);
        put_headers(b"trailers", &mut out);
        out
    }

    #[test]
    fn a_message_reads_the_same_in_pieces_of_any_size() {
        let whole = read(&message(), 1000).unwrap();
        assert!(whole.1);
        let expected = [
            Event::BlockBegins(4),
            Event::Block(b"head".to_vec()),
            Event::Empty,
            Event::Unknown,
            Event::Data(vec![b'x'; 70].into()),
            Event::BlockBegins(8),
            Event::Block(b"trailers".to_vec()),
        ];
        assert_eq!(whole.0, expected);
        for piece in 1..40 {
            assert_eq!(read(&message(), piece).unwrap(), whole, "{piece}");
        }
    }

    #[test]
    fn frames_out_of_order_end_the_connection() {
        let unexpected = Err(Code::FrameUnexpected);
        assert_eq!(read(&[0, 1, b'x'], 9), unexpected, "data before the head");
        for kind in [3, 4, 5, 7, 0xd, 2, 6, 8, 9] {
            assert_eq!(read(&[kind, 0], 9), unexpected, "{kind}");
        }
        let mut after = message();
        after.extend_from_slice(&[0, 1, b'x']);
        assert_eq!(read(&after, 9), unexpected, "data after trailers");
        let mut third = message();
        put_headers(b"more", &mut third);
        assert_eq!(read(&third, 9), unexpected);
    }

    #[test]
    fn an_end_within_a_frame_is_told_and_one_before_the_head_too() {
        let message = message();
        let whole = read(&message, 1000).unwrap().0.len();
        let mut ends = 0;
        for end in 0..message.len() {
            match read(&message[..end], 1000) {
                Err(Code::FrameError) => {}
                Ok((events, has_head)) => {
                    ends += 1;
                    assert_eq!(has_head, end > 0);
                    assert!(events.len() < whole);
                }
                Err(code) => panic!("{code:?} at {end}"),
            }
        }
        assert_eq!(ends, 5, "between frames");
    }

    #[test]
    fn what_is_too_large_is_not_kept() {
        let mut out = Vec::new();
        put_headers(&[1; 101], &mut out);
        assert_eq!(read(&out, 7).unwrap().0, [Event::TooLarge]);
        // An unknown frame of 2^30 bytes.
        assert_eq!(
            read(&[0x21, 0xc0, 0, 0, 0, 0x40, 0, 0, 0], 9),
            Err(Code::ExcessiveLoad)
        );
    }
}
