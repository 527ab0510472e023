//! Single keys: read, written under a lease, or only if nobody else has written.

use std::time::Duration;

use super::{
    Channel, EtcdError,
    message::{self, KeyValue, RangeAnswer},
    wire::{Fields, Writer},
};

/// A key and the revision of the store when it was read.
#[derive(Debug, Default)]
pub struct Read {
    /// The revision of the store.
    pub revision: i64,
    /// The key, if it exists.
    pub pair: Option<KeyValue>,
}

/// A lease: keys under it go when it is not kept alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease(i64);

impl Lease {
    /// Returns true if this key goes with the lease.
    #[must_use]
    pub fn holds(self, pair: &KeyValue) -> bool {
        pair.lease == self.0
    }
}

/// A value to write.
#[derive(Clone, Copy, Debug)]
pub struct Put<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The value.
    pub value: &'a [u8],
}

/// A condition of a transaction.
#[derive(Clone, Copy, Debug)]
pub enum Condition<'a> {
    /// The key was last changed at this revision; 0: it does not exist.
    ChangedAt(&'a [u8], i64),
    /// The key goes with this lease.
    HeldBy(&'a [u8], Lease),
}

/// A change in a transaction.
#[derive(Clone, Copy, Debug)]
pub enum Act<'a> {
    /// Writes a key that stays.
    Put(Put<'a>),
    /// Writes a key that goes with a lease.
    PutUnder(Put<'a>, Lease),
    /// Removes a key.
    Delete(&'a [u8]),
}

impl Channel {
    /// Reads a key.
    ///
    /// # Errors
    /// The reason.
    pub async fn read(&self, key: &[u8]) -> Result<Read, EtcdError> {
        let request = message::range(key, &[], 0, 0);
        let answer = RangeAnswer::read(&self.call(RANGE, &request).await?)?;
        Ok(Read {
            revision: answer.revision,
            pair: answer.pairs.into_iter().next(),
        })
    }

    /// Writes a key that goes with a lease.
    ///
    /// # Errors
    /// The reason, also that the lease has ended.
    pub async fn put(&self, put: Put<'_>, lease: Lease) -> Result<(), EtcdError> {
        let request = written(put).int(3, lease.0).done();
        self.call(PUT, &request).await?;
        Ok(())
    }

    /// Writes keys if the first of them was last changed at `revision` (0: does not exist). Returns
    /// the new revision, or none if somebody else has written.
    ///
    /// # Errors
    /// The reason; it may be written nevertheless.
    pub async fn swap(&self, revision: i64, puts: &[Put<'_>]) -> Result<Option<i64>, EtcdError> {
        let key = puts.first().map(|put| put.key).unwrap_or_default();
        let acts: Vec<_> = puts.iter().copied().map(Act::Put).collect();
        let unchanged = Condition::ChangedAt(key, revision);
        self.commit(&[unchanged], &acts).await
    }

    /// Makes changes if all conditions hold. Returns the new revision, or none if one does not.
    ///
    /// # Errors
    /// The reason; the changes may be made nevertheless.
    pub async fn commit(
        &self,
        conditions: &[Condition<'_>],
        acts: &[Act<'_>],
    ) -> Result<Option<i64>, EtcdError> {
        let mut request = Writer::default();
        for condition in conditions {
            request = request.message(1, &compared(*condition));
        }
        for act in acts {
            let operation = match act {
                Act::Put(put) => Writer::default().message(2, &written(*put)),
                Act::PutUnder(put, lease) => {
                    Writer::default().message(2, &written(*put).int(3, lease.0))
                }
                Act::Delete(key) => Writer::default().message(3, &Writer::default().bytes(1, key)),
            };
            request = request.message(2, &operation);
        }
        let answer = self.call(TXN, &request.done()).await?;
        let (mut revision, mut succeeded) = (0, false);
        for field in Fields(&answer) {
            match field? {
                (1, header) => revision = message::revision(header.bytes())?,
                (2, value) => succeeded = value.int() != 0,
                _ => {}
            }
        }
        Ok(succeeded.then_some(revision))
    }

    /// Takes a lease that ends after this time, unless it is kept alive.
    ///
    /// # Errors
    /// The reason.
    pub async fn lease(&self, lasts: Duration) -> Result<Lease, EtcdError> {
        let seconds = i64::try_from(lasts.as_secs()).unwrap_or(i64::MAX);
        let request = Writer::default().int(1, seconds).done();
        let answer = self.call(LEASE_GRANT, &request).await?;
        for field in Fields(&answer) {
            if let (2, id) = field? {
                return Ok(Lease(id.int()));
            }
        }
        Err(EtcdError::GARBLED)
    }

    /// Keeps a lease for another of its times; returns false if it has ended.
    ///
    /// # Errors
    /// The reason.
    pub async fn keep(&self, lease: Lease) -> Result<bool, EtcdError> {
        let request = Writer::default().int(1, lease.0).done();
        let answer = self.call(LEASE_KEEP_ALIVE, &request).await?;
        for field in Fields(&answer) {
            if let (3, seconds) = field? {
                return Ok(seconds.int() > 0);
            }
        }
        Ok(false)
    }

    /// Ends a lease, with its keys.
    ///
    /// # Errors
    /// The reason; it ends by itself then.
    pub async fn end_lease(&self, lease: Lease) -> Result<(), EtcdError> {
        let request = Writer::default().int(1, lease.0).done();
        self.call(LEASE_REVOKE, &request).await?;
        Ok(())
    }
}

fn written(put: Put<'_>) -> Writer {
    Writer::default().bytes(1, put.key).bytes(2, put.value)
}

fn compared(condition: Condition<'_>) -> Writer {
    match condition {
        Condition::ChangedAt(key, revision) => Writer::default()
            .int(2, MODIFIED)
            .bytes(3, key)
            .always_int(6, revision),
        Condition::HeldBy(key, lease) => Writer::default()
            .int(2, LEASE)
            .bytes(3, key)
            .always_int(8, lease.0),
    }
}

/// The part of a key that a comparison is about: the revision of its last change.
const MODIFIED: i64 = 2;
/// The part of a key that a comparison is about: its lease.
const LEASE: i64 = 4;
pub(super) const RANGE: &str = "/etcdserverpb.KV/Range";
const PUT: &str = "/etcdserverpb.KV/Put";
const TXN: &str = "/etcdserverpb.KV/Txn";
const LEASE_GRANT: &str = "/etcdserverpb.Lease/LeaseGrant";
const LEASE_KEEP_ALIVE: &str = "/etcdserverpb.Lease/LeaseKeepAlive";
const LEASE_REVOKE: &str = "/etcdserverpb.Lease/LeaseRevoke";
