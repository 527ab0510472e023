//! A bound on memory: a share of what there is, or a number of bytes.

use std::fmt;

use super::{ByteSize, Mismatch, Ratio};

/// A bound on the memory of the process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MemoryLimit {
    /// A share of what the control group allows or the machine has, whichever is less.
    Share(Ratio),
    /// A number of bytes; 0: no bound.
    Bytes(ByteSize),
}

impl MemoryLimit {
    /// The bound in bytes, where `available` are all that there are; 0: no bound.
    pub fn bytes(self, available: u64) -> u64 {
        match self {
            Self::Bytes(size) => size.bytes(),
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "a share from 0 to 1 of a number stays in its range; to the byte does not matter"
            )]
            Self::Share(share) => (available as f64 * share.get()) as u64,
        }
    }

    /// Parses a percentage or a size.
    ///
    /// # Errors
    ///
    /// Refuses what is neither, and bounds below which no process could serve.
    pub fn parse(text: &str) -> Result<Self, Mismatch> {
        if text.ends_with('%') {
            return Ratio::parse(text).and_then(Self::of_share);
        }
        let size = ByteSize::parse(text);
        let size = size.map_err(|_| {
            Mismatch::new(
                format!("\"{text}\" is neither a size nor a share"),
                EXPECTED,
            )
        })?;
        Self::of_size(size)
    }

    /// Takes a plain number of bytes.
    ///
    /// # Errors
    ///
    /// As [`Self::parse`].
    pub fn from_integer(number: i64) -> Result<Self, Mismatch> {
        ByteSize::from_integer(number).and_then(Self::of_size)
    }

    /// Takes a share from 0 to 1.
    ///
    /// # Errors
    ///
    /// As [`Self::parse`].
    pub fn from_number(number: f64) -> Result<Self, Mismatch> {
        Ratio::from_number(number).and_then(Self::of_share)
    }

    fn of_share(share: Ratio) -> Result<Self, Mismatch> {
        if share.get() < SHARE_MIN {
            let message = format!("a share of {share} leaves no room to serve");
            return Err(Mismatch::new(message, "at least 1%; 0 turns the limit off"));
        }
        Ok(Self::Share(share))
    }

    fn of_size(size: ByteSize) -> Result<Self, Mismatch> {
        if size.bytes() != 0 && size < BYTES_MIN {
            let message = format!("{size} leaves no room to serve");
            return Err(Mismatch::new(
                message,
                format!("at least {BYTES_MIN}; 0 turns the limit off"),
            ));
        }
        Ok(Self::Bytes(size))
    }
}

impl fmt::Display for MemoryLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Share(share) => share.fmt(f),
            Self::Bytes(size) => size.fmt(f),
        }
    }
}

const EXPECTED: &str = "a share such as \"80%\" or a size such as \"2GiB\"; 0 turns the limit off";
const SHARE_MIN: f64 = 0.01;
/// About what the process needs before the first connection.
const BYTES_MIN: ByteSize = ByteSize(16 << 20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_sizes_are_read() {
        let limit = MemoryLimit::parse("80%").unwrap();
        assert_eq!(
            (limit.bytes(1000), limit.to_string().as_str()),
            (800, "80%")
        );
        let limit = MemoryLimit::parse("2GiB").unwrap();
        assert_eq!(
            (limit.bytes(1000), limit.to_string().as_str()),
            (2 << 30, "2GiB")
        );
        assert_eq!(MemoryLimit::from_number(0.5).unwrap().bytes(10), 5);
        assert_eq!(MemoryLimit::from_integer(0).unwrap().bytes(1000), 0);
    }

    #[test]
    fn what_leaves_no_room_is_refused() {
        for written in ["0%", "0.5%", "1MiB", "", "lots", "101%"] {
            assert!(MemoryLimit::parse(written).is_err(), "{written}");
        }
        assert!(MemoryLimit::from_integer(-1).is_err());
        assert!(MemoryLimit::from_number(2.0).is_err());
    }
}
