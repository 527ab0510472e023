//! Access mode of a file: `"0660"`.

use std::fmt;

use super::Mismatch;

/// The permission bits of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileMode(u32);

impl FileMode {
    /// Only its owner may read and write it.
    pub const PRIVATE: Self = Self(0o600);

    /// Parses three octal digits, with or without a leading zero.
    ///
    /// # Errors
    ///
    /// Refuses other digits, and bits that have no meaning for a socket.
    pub fn parse(text: &str) -> Result<Self, Mismatch> {
        let digits = text.strip_prefix('0').filter(|rest| rest.len() == 3);
        let digits = digits.unwrap_or(text);
        let is_octal = digits.len() == 3 && digits.bytes().all(|b| (b'0'..=b'7').contains(&b));
        let bits = u32::from_str_radix(digits, 8).ok().filter(|_| is_octal);
        bits.map(Self).ok_or_else(|| {
            let message = format!("\"{text}\" is not a file mode");
            Mismatch::new(message, "three octal digits, such as \"0660\"")
        })
    }

    /// Gives the bits.
    pub fn bits(self) -> u32 {
        self.0
    }
}

impl fmt::Display for FileMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_octal_digits_are_a_mode() {
        for (text, bits) in [("0660", 0o660), ("660", 0o660), ("0007", 7), ("000", 0)] {
            let mode = FileMode::parse(text).unwrap();
            assert_eq!(mode.bits(), bits);
            assert_eq!(FileMode::parse(&mode.to_string()).unwrap(), mode);
        }
        for text in ["", "6", "66", "1660", "0o660", "888", "+66", "rw-"] {
            assert!(FileMode::parse(text).is_err(), "{text}");
        }
    }
}
