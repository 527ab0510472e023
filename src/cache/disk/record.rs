//! One stored answer as the bytes of a file.
//!
//! A file that was cut short or changed is no answer: both parts have a checksum, and every length
//! is compared with what is there.

use std::sync::Arc;

use bytes::{Buf, Bytes};
use flate2::Crc;
use http::{HeaderValue, StatusCode};

use crate::{
    cache::{Content, Entry, Freshness, Key, Meta, vary::Varies},
    semantics::{Headers, token::is_token},
};

/// A stored answer, its key, and the time at which it was asked for.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) key: Bytes,
    /// Nanoseconds since 1970.
    pub(super) asked: u64,
    pub(super) entry: Entry,
}

/// Returns the bytes that stand before the body.
pub(super) fn head(key: &Key, asked: u64, entry: &Entry) -> Vec<u8> {
    let meta = &entry.meta;
    let mut head = vec![0; PRELUDE_BYTES];
    text(&mut head, key.bytes());
    for number in [
        asked,
        meta.since,
        meta.initial_age,
        meta.freshness.lifetime,
        meta.freshness.while_revalidate,
        meta.freshness.if_error,
    ] {
        head.extend_from_slice(&number.to_le_bytes());
    }
    head.extend_from_slice(&meta.status.as_u16().to_le_bytes());
    let flags = u8::from(meta.freshness.explicit) | u8::from(meta.freshness.no_cache) << 1;
    head.push(flags);
    text(&mut head, meta.cohort.as_bytes());
    count(&mut head, meta.varies.pairs().count());
    for (name, value) in meta.varies.pairs() {
        text(&mut head, name);
        head.push(value.is_some().into());
        text(&mut head, value.unwrap_or_default());
    }
    fields(&mut head, &meta.headers);
    match &entry.content.trailers {
        Some(trailers) => fields(&mut head, trailers),
        None => count(&mut head, 0),
    }
    let (head_crc, mut body_crc) = (sum(&head[PRELUDE_BYTES..]), Crc::new());
    for piece in entry.content.pieces() {
        body_crc.update(piece);
    }
    let head_bytes = u32::try_from(head.len() - PRELUDE_BYTES).unwrap_or(u32::MAX);
    let mut prelude = Vec::with_capacity(PRELUDE_BYTES);
    prelude.extend_from_slice(MAGIC);
    prelude.extend_from_slice(&head_bytes.to_le_bytes());
    prelude.extend_from_slice(&head_crc.to_le_bytes());
    prelude.extend_from_slice(&entry.content.length().to_le_bytes());
    prelude.extend_from_slice(&body_crc.sum().to_le_bytes());
    head[..PRELUDE_BYTES].copy_from_slice(&prelude);
    head
}

/// Reads a file; none if it is not exactly what was written.
pub(super) fn read(mut file: Bytes) -> Option<Record> {
    let magic = take(&mut file, MAGIC.len())?;
    let head_bytes = file.try_get_u32_le().ok()?;
    let head_crc = file.try_get_u32_le().ok()?;
    let body_bytes = file.try_get_u64_le().ok()?;
    let body_crc = file.try_get_u32_le().ok()?;
    let mut head = take(&mut file, usize::try_from(head_bytes).ok()?)?;
    let whole = magic[..] == *MAGIC && file.len() as u64 == body_bytes;
    if !whole || sum(&head) != head_crc || sum(&file) != body_crc {
        return None;
    }
    let key = take_text(&mut head)?;
    let mut number = || head.try_get_u64_le().ok();
    let (asked, since, initial_age) = (number()?, number()?, number()?);
    let (lifetime, while_revalidate, if_error) = (number()?, number()?, number()?);
    let status = StatusCode::from_u16(head.try_get_u16_le().ok()?).ok()?;
    let flags = head.try_get_u8().ok()?;
    let cohort = take_text(&mut head)?;
    let varies = take_varies(&mut head)?;
    let headers = take_fields(&mut head)?;
    let trailers = take_fields(&mut head)?;
    if !head.is_empty() {
        return None;
    }
    let meta = Meta {
        status,
        freshness: Freshness {
            lifetime,
            explicit: flags & 1 != 0,
            while_revalidate,
            if_error,
            no_cache: flags & 2 != 0,
        },
        since,
        initial_age,
        varies,
        cohort: std::str::from_utf8(&cohort).ok()?.into(),
        tags: Meta::tags_of(&headers),
        headers,
    };
    Some(Record {
        key,
        asked,
        entry: Entry {
            meta: Arc::new(meta),
            content: Arc::new(Content::of_whole(&file, Some(trailers))),
        },
    })
}

fn text(head: &mut Vec<u8>, bytes: &[u8]) {
    count(head, bytes.len());
    head.extend_from_slice(bytes);
}

fn count(head: &mut Vec<u8>, count: usize) {
    // Heads are far shorter; what is not would be refused when it is read.
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    head.extend_from_slice(&count.to_le_bytes());
}

fn fields(head: &mut Vec<u8>, headers: &Headers) {
    count(head, headers.len());
    for (name, value) in headers.iter() {
        text(head, name);
        text(head, value.as_bytes());
    }
}

fn take(from: &mut Bytes, length: usize) -> Option<Bytes> {
    (from.len() >= length).then(|| from.split_to(length))
}

fn take_text(from: &mut Bytes) -> Option<Bytes> {
    let length = from.try_get_u32_le().ok()?;
    take(from, usize::try_from(length).ok()?)
}

fn take_varies(from: &mut Bytes) -> Option<Varies> {
    let pairs = from.try_get_u32_le().ok()?;
    let mut all = Vec::new();
    for _ in 0..pairs {
        let name = take_text(from)?;
        let present = from.try_get_u8().ok()? != 0;
        let value = take_text(from)?;
        all.push((name[..].into(), present.then(|| value[..].into())));
    }
    Some(Varies::of_pairs(all))
}

fn take_fields(from: &mut Bytes) -> Option<Headers> {
    let lines = from.try_get_u32_le().ok()?;
    let mut headers = Headers::new();
    for _ in 0..lines {
        let name = take_text(from)?;
        let value = HeaderValue::from_bytes(&take_text(from)?).ok()?;
        if !is_token(&name) {
            return None;
        }
        headers.append(&name[..], value);
    }
    Some(headers)
}

fn sum(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// First bytes of a file; another form gets another number.
const MAGIC: &[u8; 8] = b"SLUICE01";
/// Bytes before the head: the magic, lengths and checksums.
const PRELUDE_BYTES: usize = 8 + 4 + 4 + 8 + 4;

#[cfg(test)]
mod tests;
