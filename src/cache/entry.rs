//! Stored answers.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use http::StatusCode;

use super::{
    freshness::{self, Freshness},
    vary::Varies,
};
use crate::semantics::{Headers, Known, token::members};

/// A stored answer. What is shared with others is never changed: a validated answer is a new entry
/// with the same content.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) meta: Arc<Meta>,
    pub(crate) content: Arc<Content>,
}

/// The head of a stored answer, and what is known of its age.
#[derive(Debug)]
pub(crate) struct Meta {
    pub(crate) status: StatusCode,
    /// Without fields of the connection and without `Age`.
    pub(crate) headers: Headers,
    pub(crate) freshness: Freshness,
    /// Time at which it arrived, in seconds since 1970.
    pub(crate) since: u64,
    /// Age that it had then.
    pub(super) initial_age: u64,
    pub(super) varies: Varies,
    /// Version or pool that it came from, where users get different ones; empty elsewhere.
    pub(super) cohort: Box<str>,
    /// Names by which it can be purged.
    pub(super) tags: Box<[Box<str>]>,
}

/// The body of a stored answer.
#[derive(Debug, Default)]
pub(crate) struct Content {
    /// Pieces of at most [`PIECE_BYTES`].
    pieces: Box<[Bytes]>,
    length: u64,
    pub(crate) trailers: Option<Headers>,
}

/// Facts about an answer that arrives.
#[derive(Debug)]
pub(crate) struct Arrival<'a> {
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a Headers,
    pub(crate) freshness: Freshness,
    /// Head of the request that it answers.
    pub(crate) request: &'a Headers,
    pub(crate) cohort: &'a str,
    pub(crate) now: u64,
    /// Seconds that it took.
    pub(crate) delay: u64,
}

impl Meta {
    /// Makes the head to store for an answer.
    pub(crate) fn new(arrival: &Arrival<'_>) -> Self {
        let mut headers = Headers::new();
        for (name, value) in arrival.headers.iter() {
            // A copy of each line: the received head may be part of a large buffer.
            headers.append(name, value);
        }
        for name in [Known::Age, Known::SetCookie, Known::XRequestId] {
            headers.remove(name);
        }
        Self {
            status: arrival.status,
            freshness: arrival.freshness,
            since: arrival.now,
            initial_age: freshness::initial_age(arrival.headers, arrival.now, arrival.delay),
            varies: Varies::of(arrival.headers, arrival.request),
            cohort: arrival.cohort.into(),
            tags: tags(arrival.headers),
            headers,
        }
    }

    /// The names by which an answer with these fields can be purged.
    pub(super) fn tags_of(headers: &Headers) -> Box<[Box<str>]> {
        tags(headers)
    }

    /// The age, in seconds.
    pub(crate) fn age(&self, now: u64) -> u64 {
        self.initial_age + now.saturating_sub(self.since)
    }

    /// Returns true if it is the answer to a request with these fields, for a user of this version
    /// or pool.
    pub(crate) fn fits(&self, cohort: &str, request: &Headers) -> bool {
        *self.cohort == *cohort && self.varies.matches(request)
    }

    /// Returns true if both answer the same requests.
    pub(super) fn replaces(&self, other: &Self) -> bool {
        self.cohort == other.cohort && self.varies == other.varies
    }

    /// Returns true if it is never used without being validated.
    pub(crate) fn is_never_fresh(&self) -> bool {
        self.freshness.no_cache || self.freshness.lifetime == 0
    }

    /// Returns true if it has this tag.
    pub(super) fn has_tag(&self, tag: &str) -> bool {
        self.tags.iter().any(|it| **it == *tag)
    }

    /// Returns the head after a validation: the fields of the 304 replace the stored ones (RFC 9111
    /// section 3.2).
    pub(crate) fn validated(&self, answer: &Headers) -> Headers {
        let mut headers = self.headers.clone();
        let mut replaced: Vec<Vec<u8>> = Vec::new();
        for (name, value) in answer.iter() {
            let lower = name.to_ascii_lowercase();
            if is_kept(&lower) {
                continue;
            }
            if !replaced.contains(&lower) {
                headers.remove(name);
                replaced.push(lower);
            }
            headers.append(name, value);
        }
        headers
    }
}

/// Returns true for fields that describe the stored bytes, and that a 304 cannot change.
fn is_kept(name: &[u8]) -> bool {
    matches!(
        name,
        b"content-length"
            | b"content-encoding"
            | b"content-range"
            | b"content-md5"
            | b"etag"
            | b"transfer-encoding"
            | b"set-cookie"
    )
}

impl Entry {
    /// Bytes of memory.
    pub(super) fn weight(&self) -> usize {
        let meta = &self.meta;
        let head: usize = meta
            .headers
            .iter()
            .map(|(name, value)| name.len() + value.as_bytes().len() + 24)
            .sum();
        let tags: usize = meta.tags.iter().map(|tag| tag.len() + 16).sum();
        let body = usize::try_from(self.content.length).unwrap_or(usize::MAX);
        body.saturating_add(head + tags + meta.varies.weight() + ENTRY_BYTES)
    }
}

impl Content {
    /// Makes the content of pieces as they arrived. Copies them: each may be part of a larger
    /// buffer.
    pub(crate) fn new(arrived: &[Bytes], trailers: Option<Headers>) -> Self {
        let length: usize = arrived.iter().map(Bytes::len).sum();
        let mut pieces = Vec::with_capacity(length.div_ceil(PIECE_BYTES));
        let mut piece = Vec::with_capacity(length.min(PIECE_BYTES));
        let mut left = length;
        for mut bytes in arrived.iter().cloned() {
            while !bytes.is_empty() {
                let room = PIECE_BYTES - piece.len();
                let part = bytes.split_to(bytes.len().min(room));
                piece.extend_from_slice(&part);
                left -= part.len();
                if piece.len() == PIECE_BYTES || left == 0 {
                    let next = Vec::with_capacity(left.min(PIECE_BYTES));
                    pieces.push(Bytes::from(std::mem::replace(&mut piece, next)));
                }
            }
        }
        Self {
            pieces: pieces.into(),
            length: length as u64,
            trailers: trailers.filter(|it| !it.is_empty()),
        }
    }

    /// Makes the content of bytes that are for it alone.
    pub(super) fn of_whole(bytes: &Bytes, trailers: Option<Headers>) -> Self {
        let cuts = (0..bytes.len()).step_by(PIECE_BYTES);
        let pieces = cuts.map(|start| bytes.slice(start..bytes.len().min(start + PIECE_BYTES)));
        Self {
            pieces: pieces.collect(),
            length: bytes.len() as u64,
            trailers: trailers.filter(|it| !it.is_empty()),
        }
    }

    /// The bytes, in pieces.
    pub(super) fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }

    /// Number of bytes.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Returns the bytes from `range.start` to the end of their piece, and at most to `range.end`;
    /// nothing at the end.
    pub(crate) fn piece(&self, range: &Range<u64>) -> Bytes {
        let at = usize::try_from(range.start).unwrap_or(usize::MAX);
        let piece = self.pieces.get(at / PIECE_BYTES);
        let start = at % PIECE_BYTES;
        let wanted = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        piece.map_or_else(Bytes::new, |piece| {
            let end = start.saturating_add(wanted).min(piece.len());
            piece.slice(start.min(end)..end)
        })
    }
}

/// The names in `Cache-Tag` (a list with commas) and `Surrogate-Key` (with blanks); at most
/// [`TAGS_MAX`].
fn tags(headers: &Headers) -> Box<[Box<str>]> {
    let listed = headers
        .get_all("cache-tag")
        .flat_map(|line| members(line.as_bytes()));
    let spaced = headers.get_all("surrogate-key");
    let spaced = spaced.flat_map(|line| line.as_bytes().split(u8::is_ascii_whitespace));
    let names = listed.chain(spaced).filter(|name| !name.is_empty());
    let names = names.filter_map(|name| std::str::from_utf8(name).ok());
    names.take(TAGS_MAX).map(Box::from).collect()
}

/// Largest piece of a stored body.
const PIECE_BYTES: usize = 256 << 10;
/// Tags of an entry that count.
const TAGS_MAX: usize = 64;
/// Memory of an entry beside its bytes.
const ENTRY_BYTES: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_cut_into_pieces_that_are_read_at_any_place() {
        let text: Vec<u8> = (0..PIECE_BYTES * 2 + 1000)
            .map(|at| u8::try_from(at % 251).unwrap())
            .collect();
        let arrived: Vec<Bytes> = text.chunks(70_001).map(Bytes::copy_from_slice).collect();
        let content = Content::new(&arrived, None);
        assert_eq!(
            (content.length(), content.pieces.len()),
            (text.len() as u64, 3)
        );
        for (start, end) in [
            (0, text.len()),
            (5, 10),
            (PIECE_BYTES - 1, PIECE_BYTES + 1),
            (text.len() - 1, text.len()),
        ] {
            let mut range = start as u64..end as u64;
            let mut read = Vec::new();
            loop {
                let piece = content.piece(&range);
                if piece.is_empty() {
                    break;
                }
                range.start += piece.len() as u64;
                read.extend_from_slice(&piece);
            }
            assert!(read == text[start..end], "{start}");
        }
        assert!(Content::new(&[], None).piece(&(0..0)).is_empty());
    }

    #[test]
    fn tags_are_read_from_both_fields() {
        let headers =
            crate::semantics::headers::fields(&[("cache-tag", "a, b"), ("surrogate-key", "c  d")]);
        let found = tags(&headers);
        let found: Vec<&str> = found.iter().map(|it| &**it).collect();
        assert_eq!(found, ["a", "b", "c", "d"]);
    }
}
