//! A body as far as a copy or a comparison needs it.

use std::{borrow::Cow, io::Read as _};

use aws_lc_rs::digest::{Context, SHA256};
use bytes::{Bytes, BytesMut};

/// Reads a body piece by piece, and keeps what is needed of it.
pub struct BodyReader {
    /// Digest of the bytes, where they are compared.
    digest: Option<Context>,
    length: u64,
    /// The bytes; none if they are not needed, or too many.
    kept: Option<BytesMut>,
    bytes_max: usize,
}

/// A whole body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodySeen {
    /// Its length in bytes.
    pub length: u64,
    /// The bytes, where they were kept.
    pub kept: Option<Bytes>,
    /// Digest of the bytes, where they are compared.
    digest: Option<Box<[u8]>>,
}

impl BodyReader {
    /// Begins with an empty body that is to be compared; keeps its bytes up to `bytes_max`.
    pub fn compared(bytes_max: usize) -> Self {
        Self {
            digest: Some(Context::new(&SHA256)),
            ..Self::kept(bytes_max)
        }
    }

    /// Begins with an empty body that is not compared; keeps its bytes up to `bytes_max`.
    pub fn kept(bytes_max: usize) -> Self {
        Self {
            digest: None,
            length: 0,
            kept: (bytes_max > 0).then(BytesMut::new),
            bytes_max,
        }
    }

    /// Reads a piece.
    pub fn read(&mut self, piece: &[u8]) {
        if let Some(digest) = &mut self.digest {
            digest.update(piece);
        }
        self.length += piece.len() as u64;
        if let Some(kept) = &mut self.kept {
            if kept.len() + piece.len() > self.bytes_max {
                self.kept = None;
            } else {
                kept.extend_from_slice(piece);
            }
        }
    }

    /// Length of what was read.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Ends the body.
    pub fn end(self) -> BodySeen {
        BodySeen {
            length: self.length,
            kept: self.kept.map(BytesMut::freeze),
            digest: self.digest.map(|it| it.finish().as_ref().into()),
        }
    }
}

impl std::fmt::Debug for BodyReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BodyReader")
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

impl BodySeen {
    /// Returns true if both are compared and have the same bytes.
    pub fn is_same(&self, other: &Self) -> bool {
        let digests = self.digest.as_ref().zip(other.digest.as_ref());
        self.length == other.length && digests.is_some_and(|(ours, theirs)| ours == theirs)
    }

    /// The bytes without their content coding; none if they were not kept, the coding is not known, or
    /// they would be more than `bytes_max`.
    pub(super) fn decoded(&self, coding: &[u8], bytes_max: usize) -> Option<Cow<'_, [u8]>> {
        let kept = self.kept.as_deref()?;
        let limit = bytes_max as u64 + 1;
        let mut out = Vec::new();
        let read = match coding.to_ascii_lowercase().as_slice() {
            b"" | b"identity" => return Some(Cow::Borrowed(kept)),
            b"gzip" | b"x-gzip" => flate2::read::MultiGzDecoder::new(kept)
                .take(limit)
                .read_to_end(&mut out),
            b"br" => brotli::Decompressor::new(kept, 4096)
                .take(limit)
                .read_to_end(&mut out),
            b"zstd" => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(kept).ok()?;
                decoder.window_log_max(WINDOW_BITS_MAX).ok()?;
                decoder.take(limit).read_to_end(&mut out)
            }
            _ => return None,
        };
        read.ok().filter(|bytes| *bytes <= bytes_max)?;
        Some(Cow::Owned(out))
    }
}

/// Largest window of zstd: 8 MiB, which decoders must support (RFC 8878 section 3.1.1.1.2).
const WINDOW_BITS_MAX: u32 = 23;

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn seen(bytes: &[u8], bytes_max: usize) -> BodySeen {
        let mut reader = BodyReader::compared(bytes_max);
        bytes.chunks(3).for_each(|piece| reader.read(piece));
        reader.end()
    }

    #[test]
    fn bodies_of_any_size_are_told_apart_and_only_small_ones_are_kept() {
        let (small, large) = (seen(b"abcd", 4), seen(b"abcde", 4));
        assert_eq!(small.kept.as_deref(), Some(&b"abcd"[..]));
        assert_eq!(large.kept, None);
        assert!(large.is_same(&seen(b"abcde", 0)));
        assert!(!large.is_same(&seen(b"abcdf", 0)));
    }

    #[test]
    fn a_body_that_nobody_compares_is_not_digested() {
        let mut reader = BodyReader::kept(4);
        reader.read(b"abcd");
        let kept = reader.end();
        assert_eq!(kept.kept.as_deref(), Some(&b"abcd"[..]));
        assert_eq!((kept.length, &kept.digest), (4, &None));
        assert!(!kept.is_same(&kept), "it says nothing about its bytes");
    }

    #[test]
    fn codings_are_undone_up_to_the_bound() {
        let text = [b'x'; 1000];
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&text).unwrap();
        let gzip = seen(&gzip.finish().unwrap(), 2000);
        assert_eq!(gzip.decoded(b"gzip", 1000).as_deref(), Some(&text[..]));
        assert_eq!(gzip.decoded(b"gzip", 999), None, "a bomb is not unpacked");
        assert_eq!(gzip.decoded(b"deflate", 1000), None);
        assert_eq!(gzip.decoded(b"br", 1000), None);
        let zstd = seen(&zstd::encode_all(&text[..], 1).unwrap(), 2000);
        assert_eq!(zstd.decoded(b"ZSTD", 1000).as_deref(), Some(&text[..]));
    }
}
