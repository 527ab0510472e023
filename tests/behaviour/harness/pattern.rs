//! Bodies too large to hold: made while they are sent, checked while they arrive.

use std::sync::LazyLock;

use bytes::Bytes;

/// Returns the bytes of such a body from `at` on, at most `most` and at most [`PIECE`].
pub(crate) fn piece(at: u64, most: u64) -> Bytes {
    let from = usize::try_from(at % PERIOD).expect("small");
    let length = usize::try_from(most.min(PIECE)).expect("small");
    TABLE.slice(from..from + length)
}

/// Follows an arriving body; keeps none of it.
#[derive(Debug, Default)]
pub(crate) struct Check {
    length: u64,
    differs_at: Option<u64>,
}

impl Check {
    /// Takes the next bytes.
    pub(crate) fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let expected = piece(self.length, bytes.len() as u64);
            let (now, rest) = bytes.split_at(expected.len());
            if self.differs_at.is_none() && now != expected {
                let same = now.iter().zip(&expected).take_while(|(a, b)| a == b);
                self.differs_at = Some(self.length + same.count() as u64);
            }
            self.length += now.len() as u64;
            bytes = rest;
        }
    }

    /// Describes the bytes received; [`whole`] of the length if every byte is right.
    pub(crate) fn verdict(&self) -> String {
        match self.differs_at {
            None => whole(self.length),
            Some(at) => format!("{} bytes, wrong from {at} on", self.length),
        }
    }
}

/// The verdict on an unchanged body of this length.
pub(crate) fn whole(length: u64) -> String {
    format!("{length} bytes as sent")
}

/// Largest piece made at once.
pub(crate) const PIECE: u64 = 128 << 10;
/// Number of bytes after which they repeat. A prime: no buffer's size divides it, so a lost,
/// doubled or misplaced block is noticed.
const PERIOD: u64 = 1_048_573;

/// One period and the beginning of the next, for cheap comparison.
static TABLE: LazyLock<Bytes> = LazyLock::new(|| {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    let mut table: Vec<u8> = (0..PERIOD).map(|_| next()).collect();
    let again = usize::try_from(PIECE).expect("small");
    table.extend_from_within(..again);
    table.into()
});

#[test]
fn a_body_is_known_by_every_byte_and_its_length() {
    let mut check = Check::default();
    let mut at = 0;
    while at < 3_000_000 {
        let piece = piece(at, 3_000_000 - at);
        check.take(&piece);
        at += piece.len() as u64;
    }
    assert_eq!(check.verdict(), whole(3_000_000));
    let mut torn = Check::default();
    torn.take(&piece(0, 70_000));
    torn.take(&piece(70_000 + 16_384, 1000));
    let verdict = torn.verdict();
    assert!(
        verdict.starts_with("71000 bytes, wrong from 7000"),
        "{verdict}"
    );
}
