//! Values that must not be printed.

use std::fmt;

use super::Mismatch;

/// A secret. It never prints as anything but `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    value: Result<String, Mismatch>,
    written: bool,
}

impl Secret {
    /// Takes a secret that is written in the file itself.
    pub fn written(text: &str) -> Self {
        Self {
            value: Ok(text.to_owned()),
            written: true,
        }
    }

    /// Takes a secret that was kept elsewhere.
    pub fn fetched(text: String) -> Self {
        let empty = || Mismatch::new("the secret is empty", "");
        Self {
            value: if text.is_empty() {
                Err(empty())
            } else {
                Ok(text)
            },
            written: false,
        }
    }

    /// Notes that the secret is missing.
    pub fn missing(why: Mismatch) -> Self {
        Self {
            value: Err(why),
            written: false,
        }
    }

    /// Tells whether it is written in the file itself.
    pub fn is_written(&self) -> bool {
        self.written
    }

    /// Gives the secret.
    ///
    /// # Errors
    ///
    /// Says that it is missing or empty.
    pub fn reveal(&self) -> Result<&str, &Mismatch> {
        self.value.as_deref()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// Text printed in place of a secret.
pub const MASK: &str = "***";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::written("hunter2");
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
        assert_eq!(secret.reveal(), Ok("hunter2"));
        assert!(Secret::fetched(String::new()).reveal().is_err());
    }
}
