//! Connection IDs that tell which worker a connection belongs to (RFC 9000 section 5.1).
//!
//! Only this process can read them: the worker is masked by a keyed hash, and another hash tells IDs
//! of the process from all others.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::LazyLock,
    time::Duration,
};

use aws_lc_rs::rand;
use quinn::{ConnectionId, ConnectionIdGenerator};

/// Makes the IDs of a worker's connections.
pub(super) struct WorkerIds(u8);

impl WorkerIds {
    /// Makes those of this worker.
    pub(super) fn new(worker: usize) -> Self {
        Self(worker.to_le_bytes()[0])
    }
}

impl ConnectionIdGenerator for WorkerIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut nonce = [0; NONCE];
        // Without randomness there are no keys either: no handshake comes to an end.
        let _ = rand::fill(&mut nonce);
        ConnectionId::new(&seal(nonce, self.0))
    }

    fn cid_len(&self) -> usize {
        LENGTH
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// Returns the worker of a datagram's connection; none if this process has not made its ID, as of a
/// new connection.
pub(super) fn worker_of(datagram: &[u8]) -> Option<usize> {
    let (first, rest) = datagram.split_first()?;
    let id = if first & LONG_HEADER == 0 {
        rest.get(..LENGTH)?
    } else {
        // Behind the version (RFC 8999 section 5.1).
        let (length, rest) = rest.get(VERSION..)?.split_first()?;
        rest.get(..usize::from(*length))?
    };
    let id: [u8; LENGTH] = id.try_into().ok()?;
    open(id).map(usize::from)
}

fn seal(nonce: [u8; NONCE], worker: u8) -> [u8; LENGTH] {
    let mut id = [0; LENGTH];
    let (head, tag) = id.split_at_mut(NONCE + 1);
    head[..NONCE].copy_from_slice(&nonce);
    head[NONCE] = worker ^ mask(nonce);
    tag.copy_from_slice(&KEY.hash_one((nonce, worker)).to_le_bytes()[..TAG]);
    id
}

fn open(id: [u8; LENGTH]) -> Option<u8> {
    let nonce = *id.first_chunk::<NONCE>()?;
    let worker = id[NONCE] ^ mask(nonce);
    (seal(nonce, worker) == id).then_some(worker)
}

fn mask(nonce: [u8; NONCE]) -> u8 {
    KEY.hash_one(nonce).to_le_bytes()[0]
}

/// The key of the process.
static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// Bytes of an ID: a random part, the worker, and what tells that this process has made it.
const LENGTH: usize = NONCE + 1 + TAG;
const NONCE: usize = 7;
const TAG: usize = 4;
/// Bit of the first byte of a datagram that begins with a long header.
const LONG_HEADER: u8 = 0x80;
/// Bytes of the version in a long header.
const VERSION: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worker_is_read_from_both_kinds_of_headers() {
        for worker in [0, 1, 7, 255] {
            let id = WorkerIds::new(worker).generate_cid();
            assert_eq!(id.len(), LENGTH);
            let short = [&[0x40][..], &id[..], b"rest"].concat();
            assert_eq!(worker_of(&short), Some(worker));
            let length = u8::try_from(LENGTH).unwrap();
            let long = [&[0xc0, 0, 0, 0, 1, length][..], &id[..], b"rest"].concat();
            assert_eq!(worker_of(&long), Some(worker));
            for bent in 1..=LENGTH {
                let mut bytes = short.clone();
                bytes[bent] ^= 1;
                assert_eq!(worker_of(&bytes), None, "byte {bent}");
            }
        }
    }

    #[test]
    fn ids_of_others_and_short_datagrams_say_nothing() {
        assert_eq!(worker_of(&[]), None);
        assert_eq!(worker_of(&[0x40; LENGTH]), None);
        assert_eq!(worker_of(&[0x40; 100]), None);
        assert_eq!(worker_of(&[0xc0, 0, 0, 0, 1, 8, 1, 2]), None);
        assert_eq!(worker_of(&[0xc0, 0, 0, 0, 1, 0]), None);
    }
}
