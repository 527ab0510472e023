//! Boundaries of the messages in a gRPC body.

/// Follows messages to find their boundaries. Constant memory; reads only their heads.
#[derive(Debug, Default)]
pub(super) struct Messages {
    /// The five bytes before a message: flags and length.
    head: [u8; HEAD_LEN],
    count: usize,
    /// Bytes left of the message.
    left: usize,
}

/// Flags that no message has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WrongFlags;

impl Messages {
    /// Follows these bytes.
    ///
    /// # Errors
    /// The next bytes are not a message: a frame of trailers, or something unknown.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> Result<(), WrongFlags> {
        while !bytes.is_empty() {
            let skipped = self.left.min(bytes.len());
            self.left -= skipped;
            bytes = &bytes[skipped..];
            let Some((first, rest)) = bytes.split_first() else {
                break;
            };
            if self.count == 0 && *first > COMPRESSED {
                return Err(WrongFlags);
            }
            self.head[self.count] = *first;
            self.count += 1;
            bytes = rest;
            if self.count == HEAD_LEN {
                let [_, length @ ..] = self.head;
                // Saturating where that does not fit: nothing so long can come.
                self.left = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
                self.count = 0;
            }
        }
        Ok(())
    }

    /// Returns true if the last message is complete.
    pub(super) fn is_between(&self) -> bool {
        self.left == 0 && self.count == 0
    }
}

pub(super) const HEAD_LEN: usize = 5;
/// The flag of a message whose bytes are compressed; others have 0.
const COMPRESSED: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_end_where_their_length_says_however_they_are_cut() {
        let stream = [
            &[0, 0, 0, 0, 2][..],
            b"hi",
            &[1, 0, 0, 1, 0],
            &[7; 256],
            &[0; 5],
        ]
        .concat();
        let ends = [0, 7, 7 + 5 + 256, stream.len()];
        for cut in 1..20 {
            let mut messages = Messages::default();
            let mut fed = 0;
            for piece in stream.chunks(cut) {
                messages.feed(piece).unwrap();
                fed += piece.len();
                assert_eq!(messages.is_between(), ends.contains(&fed), "{cut}: {fed}");
            }
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for flags in [2, 0x80, 0x81, 0xff] {
            let mut messages = Messages::default();
            messages.feed(&[0, 0, 0, 0, 1, b'x']).unwrap();
            assert_eq!(messages.feed(&[flags]), Err(WrongFlags), "{flags}");
        }
    }
}
