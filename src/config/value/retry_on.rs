//! Conditions of a retry: `"connect"`, `"503"`, `"grpc:unavailable"`.

use std::fmt;

use http::StatusCode;

use super::{Mismatch, StatusSet};
use crate::config::value::nearest::alternatives;

/// One outcome of an attempt after which another may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RetryOn {
    /// No connection was made: nothing of the request was sent.
    Connect,
    /// The connection was reset before a byte of the response.
    Reset,
    /// The endpoint said that it did not process the stream (HTTP/2).
    RefusedStream,
    /// The attempt took longer than its timeout.
    Timeout,
    /// Any status from 500 to 599.
    ServerError,
    /// This status.
    Status(StatusCode),
    /// This gRPC status, in the head of the response.
    Grpc(GrpcCode),
}

impl RetryOn {
    /// The outcomes that have a word of their own, for editors; statuses and codes of gRPC are more.
    pub fn words() -> impl Iterator<Item = &'static str> {
        WORDS.iter().map(|(word, _)| *word)
    }

    /// Parses a word.
    ///
    /// # Errors
    ///
    /// Names the valid words.
    pub fn parse(text: &str) -> Result<Self, Mismatch> {
        if let Some((_, known)) = WORDS.iter().find(|(word, _)| *word == text) {
            return Ok(*known);
        }
        if let Some(code) = text.strip_prefix("grpc:") {
            return GrpcCode::parse(code).map(Self::Grpc);
        }
        let status = StatusCode::from_bytes(text.as_bytes())
            .ok()
            .filter(|status| StatusSet::parse(text).is_ok() && status.as_u16() >= 400);
        status.map(Self::Status).ok_or_else(|| {
            let mut words: Vec<_> = WORDS.iter().map(|(word, _)| *word).collect();
            words.extend(["503 (or any status from 400)", "grpc:unavailable"]);
            let message = format!("\"{text}\" is not an outcome to retry on");
            Mismatch::new(message, alternatives("allowed", text, &words))
        })
    }
}

impl fmt::Display for RetryOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => f.write_str(status.as_str()),
            Self::Grpc(code) => write!(f, "grpc:{}", code.word()),
            Self::Connect => f.write_str("connect"),
            Self::Reset => f.write_str("reset"),
            Self::RefusedStream => f.write_str("refused-stream"),
            Self::Timeout => f.write_str("timeout"),
            Self::ServerError => f.write_str("5xx"),
        }
    }
}

const WORDS: [(&str, RetryOn); 5] = [
    ("connect", RetryOn::Connect),
    ("reset", RetryOn::Reset),
    ("refused-stream", RetryOn::RefusedStream),
    ("timeout", RetryOn::Timeout),
    ("5xx", RetryOn::ServerError),
];

/// A gRPC status other than OK; the number is the one on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GrpcCode(u8);

impl GrpcCode {
    /// Gives the code of this name.
    ///
    /// # Errors
    ///
    /// Names the valid codes.
    pub fn parse(name: &str) -> Result<Self, Mismatch> {
        let index = GRPC_NAMES.iter().position(|known| *known == name);
        let code = index.and_then(|index| u8::try_from(index + 1).ok());
        code.map(Self).ok_or_else(|| {
            Mismatch::new(
                format!("\"{name}\" is not the name of a gRPC error"),
                alternatives("allowed", name, &GRPC_NAMES),
            )
        })
    }

    /// Gives the number on the wire.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Gives the name.
    pub fn word(self) -> &'static str {
        let index = usize::from(self.0).saturating_sub(1);
        GRPC_NAMES.get(index).copied().unwrap_or("unknown")
    }
}

/// The names of the codes 1 to 16.
const GRPC_NAMES: [&str; 16] = [
    "cancelled",
    "unknown",
    "invalid-argument",
    "deadline-exceeded",
    "not-found",
    "already-exists",
    "permission-denied",
    "resource-exhausted",
    "failed-precondition",
    "aborted",
    "out-of-range",
    "unimplemented",
    "internal",
    "unavailable",
    "data-loss",
    "unauthenticated",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_printed() {
        for text in [
            "connect",
            "reset",
            "refused-stream",
            "timeout",
            "5xx",
            "503",
            "429",
        ] {
            assert_eq!(RetryOn::parse(text).unwrap().to_string(), text);
        }
        let unavailable = RetryOn::parse("grpc:unavailable").unwrap();
        assert_eq!(unavailable.to_string(), "grpc:unavailable");
        assert!(matches!(unavailable, RetryOn::Grpc(code) if code.number() == 14));
    }

    #[test]
    fn successes_and_strangers_are_refused() {
        for text in ["", "200", "999", "grpc:ok", "grpc:", "conect", "6xx"] {
            assert!(RetryOn::parse(text).is_err(), "{text}");
        }
    }
}
