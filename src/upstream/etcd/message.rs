//! Messages of etcd's API (version 3) that are used here.
//!
//! Numbers of fields are those of `rpc.proto` and `kv.proto`.

use bytes::Bytes;

use super::{
    EtcdError,
    wire::{Fields, Garbled, Writer},
};

/// A key with its value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyValue {
    /// The key.
    pub key: Bytes,
    /// The value.
    pub value: Bytes,
    /// The revision of its last change.
    pub changed_at: i64,
    /// The lease that it ends with; 0 for none.
    pub lease: i64,
}

/// Part of the keys with a prefix.
#[derive(Debug, Default)]
pub(super) struct RangeAnswer {
    pub(super) revision: i64,
    pub(super) pairs: Vec<KeyValue>,
    pub(super) has_more: bool,
}

/// A change of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It has this value.
    Put(KeyValue),
    /// It is gone, or its lease is.
    Deleted(Bytes),
}

/// A message of a watch.
#[derive(Debug, Default)]
pub(super) struct WatchAnswer {
    pub(super) changes: Vec<Change>,
    pub(super) canceled: bool,
    /// The first revision that is left, if the wanted one is not.
    pub(super) compacted_to: i64,
    pub(super) reason: String,
    /// More of the same revision follows.
    pub(super) is_part: bool,
}

/// Returns the end of the range of keys that begin with `prefix`.
pub(super) fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    // All keys.
    vec![0]
}

/// A part of a range, as of a revision (0: now). An empty `end` means the key alone.
pub(super) fn range(key: &[u8], end: &[u8], limit: i64, revision: i64) -> Vec<u8> {
    written_range(key, end, limit, revision).done()
}

fn written_range(key: &[u8], end: &[u8], limit: i64, revision: i64) -> Writer {
    let request = Writer::default().bytes(1, key).bytes(2, end);
    request.int(3, limit).int(4, revision)
}

pub(super) fn watch(key: &[u8], end: &[u8], from: i64) -> Vec<u8> {
    let create = Writer::default().bytes(1, key).bytes(2, end).int(3, from);
    let create = create.flag(8, true);
    Writer::default().message(1, &create).done()
}

/// Asks a watch to report, also if nothing changed.
pub(super) fn progress() -> Vec<u8> {
    Writer::default().message(3, &Writer::default()).done()
}

pub(super) fn login(user: &str, password: &str) -> Vec<u8> {
    let request = Writer::default().bytes(1, user.as_bytes());
    request.bytes(2, password.as_bytes()).done()
}

impl RangeAnswer {
    pub(super) fn read(message: &Bytes) -> Result<Self, EtcdError> {
        let mut answer = Self::default();
        for field in Fields(message) {
            match field? {
                (1, header) => answer.revision = revision(header.bytes())?,
                (2, pair) => answer.pairs.push(pair_of(message, pair.bytes())?),
                (3, more) => answer.has_more = more.int() != 0,
                _ => {}
            }
        }
        Ok(answer)
    }
}

impl WatchAnswer {
    pub(super) fn read(message: &Bytes) -> Result<Self, EtcdError> {
        let mut answer = Self::default();
        for field in Fields(message) {
            match field? {
                (4, canceled) => answer.canceled = canceled.int() != 0,
                (5, revision) => answer.compacted_to = revision.int(),
                (6, reason) => {
                    answer.reason = String::from_utf8_lossy(reason.bytes()).into_owned();
                }
                (7, part) => answer.is_part = part.int() != 0,
                (11, event) => answer.changes.push(change(message, event.bytes())?),
                _ => {}
            }
        }
        Ok(answer)
    }
}

/// Reads the token of a login.
pub(super) fn token(message: &Bytes) -> Result<String, EtcdError> {
    for field in Fields(message) {
        if let (2, token) = field? {
            return Ok(String::from_utf8_lossy(token.bytes()).into_owned());
        }
    }
    Err(EtcdError::GARBLED)
}

fn change(message: &Bytes, event: &[u8]) -> Result<Change, Garbled> {
    let (mut is_delete, mut pair) = (false, KeyValue::default());
    for field in Fields(event) {
        match field? {
            (1, kind) => is_delete = kind.int() == 1,
            (2, bytes) => pair = pair_of(message, bytes.bytes())?,
            _ => {}
        }
    }
    Ok(if is_delete {
        Change::Deleted(pair.key)
    } else {
        Change::Put(pair)
    })
}

fn pair_of(message: &Bytes, bytes: &[u8]) -> Result<KeyValue, Garbled> {
    let mut pair = KeyValue::default();
    for field in Fields(bytes) {
        match field? {
            (1, key) => pair.key = message.slice_ref(key.bytes()),
            (3, revision) => pair.changed_at = revision.int(),
            (5, value) => pair.value = message.slice_ref(value.bytes()),
            (6, lease) => pair.lease = lease.int(),
            _ => {}
        }
    }
    Ok(pair)
}

pub(super) fn revision(header: &[u8]) -> Result<i64, Garbled> {
    for field in Fields(header) {
        if let (3, revision) = field? {
            return Ok(revision.int());
        }
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_the_next_key_that_does_not_have_it() {
        assert_eq!(prefix_end(b"/a/"), b"/a0");
        assert_eq!(prefix_end(b"a\xff"), b"b");
        assert_eq!(prefix_end(b"\xff\xff"), b"\0");
        assert_eq!(prefix_end(b""), b"\0");
    }

    #[test]
    fn a_change_is_a_put_or_a_delete() {
        let pair = || Writer::default().bytes(1, b"k").int(3, 7).bytes(5, b"v");
        let put = Writer::default().message(2, &pair());
        let delete = Writer::default().int(1, 1).message(2, &pair());
        let message = Writer::default().message(11, &put).message(11, &delete);
        let answer = WatchAnswer::read(&message.int(5, 9).done().into()).unwrap();
        let [Change::Put(put), Change::Deleted(gone)] = &answer.changes[..] else {
            panic!("{answer:?}");
        };
        assert_eq!((&put.value[..], put.changed_at), (&b"v"[..], 7));
        assert_eq!((&gone[..], answer.compacted_to), (&b"k"[..], 9));
        assert!(WatchAnswer::read(&Bytes::from_static(b"\x5a\x05")).is_err());
    }
}
