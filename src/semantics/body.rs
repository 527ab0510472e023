//! Pieces of a body, and the trait of their sources.
//!
//! Trailers are [`Headers`], like the fields of a head: their spelling is kept from one HTTP/1.1
//! peer to the other.

use std::{
    fmt,
    task::{Context, Poll},
};

use bytes::Bytes;

use super::Headers;
use crate::failure::Failure;

/// A piece of a body.
#[derive(Clone, Debug)]
pub enum Frame {
    /// Some bytes.
    Data(Bytes),
    /// The trailer fields, after the last byte.
    Trailers(Headers),
}

/// The outcome of reading a body: a piece, its end, or the failure that cut it short.
pub type PolledFrame = Poll<Option<Result<Frame, Failure>>>;

/// Length of the rest of a body, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// This many bytes follow.
    Exact(u64),
    /// At least this many bytes follow.
    AtLeast(u64),
}

impl BodyLength {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self::AtLeast(0);

    /// The exact number of bytes, if it is known.
    pub fn exact(self) -> Option<u64> {
        match self {
            Self::Exact(bytes) => Some(bytes),
            Self::AtLeast(_) => None,
        }
    }

    /// The minimum number of bytes that follow.
    pub fn least(self) -> u64 {
        match self {
            Self::Exact(bytes) | Self::AtLeast(bytes) => bytes,
        }
    }
}

impl From<Option<u64>> for BodyLength {
    fn from(exact: Option<u64>) -> Self {
        exact.map_or(Self::UNKNOWN, Self::Exact)
    }
}

/// A body that is read piece by piece.
pub trait BodySource: fmt::Debug {
    /// Reads the next piece; none at the end.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> PolledFrame;

    /// Returns true if the whole body has been read. A body may end without this being true before.
    fn is_end(&self) -> bool;

    /// Length of the rest.
    fn length(&self) -> BodyLength;
}
