//! Identities of traces and spans, as lower-case hexadecimal text.

use std::fmt;

/// Identity of a trace; not 0.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TraceId(u128);

/// Identity of a span; not 0.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SpanId(u64);

/// Decision on recording a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// It is recorded.
    Sampled,
    /// It is not.
    NotSampled,
    /// It is left to the receiver.
    Undecided,
}

impl TraceId {
    /// Makes an identity from random bits.
    pub fn new(random: u128) -> Self {
        Self(random.max(1))
    }

    /// Returns the bytes in network order.
    pub fn bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// Returns the text.
    pub fn text(self) -> [u8; 32] {
        hex(&self.bytes())
    }

    /// Returns the part that decides on sampling: the last eight bytes, which are random.
    pub fn low(self) -> u64 {
        u64::from_be_bytes(std::array::from_fn(|at| self.bytes()[at + 8]))
    }

    pub(super) fn read(text: &[u8]) -> Option<Self> {
        unhex(text).filter(|id| *id != 0).map(Self)
    }
}

impl SpanId {
    /// Makes an identity from random bits.
    pub fn new(random: u64) -> Self {
        Self(random.max(1))
    }

    /// Returns the identity of the span with this number below this one.
    #[must_use]
    pub fn below(self, number: u16) -> Self {
        // Odd, so that no two numbers have the same.
        Self::new(
            self.0
                .wrapping_add((u64::from(number) + 1).wrapping_mul(STEP)),
        )
    }

    /// Returns the bytes in network order.
    pub fn bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    /// Returns the text.
    pub fn text(self) -> [u8; 16] {
        hex(&self.bytes())
    }

    pub(super) fn read(text: &[u8]) -> Option<Self> {
        let id = u64::try_from(unhex(text)?).ok()?;
        (id != 0).then_some(Self(id))
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

fn hex<const N: usize, const M: usize>(bytes: &[u8; N]) -> [u8; M] {
    std::array::from_fn(|at| {
        let byte = bytes[at / 2];
        HEX[usize::from(if at % 2 == 0 { byte >> 4 } else { byte & 15 })]
    })
}

/// Reads lower-case digits, at most 32.
pub(super) fn unhex(text: &[u8]) -> Option<u128> {
    if text.is_empty() || text.len() > 32 {
        return None;
    }
    text.iter().try_fold(0, |number, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(digit))
    })
}

const HEX: &[u8; 16] = b"0123456789abcdef";
/// The golden ratio in 64 bits.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
