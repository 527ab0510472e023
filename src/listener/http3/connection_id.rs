//! Connection IDs that tell which socket a connection belongs to: that of a worker at an address
//! (RFC 9000 section 5.1).
//!
//! Only this process can read them: the socket is masked by a keyed hash, and another hash tells IDs
//! of the process from all others.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::LazyLock,
    time::Duration,
};

use aws_lc_rs::rand;
use quinn::{ConnectionId, ConnectionIdGenerator};

use crate::socket::mailbox::Home;

/// Makes the IDs of a socket's connections.
pub(super) struct SocketIds(pub(super) Home);

impl ConnectionIdGenerator for SocketIds {
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

/// Returns the socket of a datagram's connection; none if this process has not made its ID, as of a
/// new connection.
pub(super) fn home_of(datagram: &[u8]) -> Option<Home> {
    let (first, rest) = datagram.split_first()?;
    let id = if first & LONG_HEADER == 0 {
        rest.get(..LENGTH)?
    } else {
        // Behind the version (RFC 8999 section 5.1).
        let (length, rest) = rest.get(VERSION..)?.split_first()?;
        rest.get(..usize::from(*length))?
    };
    let id: [u8; LENGTH] = id.try_into().ok()?;
    open(id)
}

fn seal(nonce: [u8; NONCE], home: Home) -> [u8; LENGTH] {
    let mut id = [0; LENGTH];
    let (head, tag) = id.split_at_mut(NONCE + 2);
    let mask = mask(nonce);
    head[..NONCE].copy_from_slice(&nonce);
    head[NONCE] = home.worker ^ mask[0];
    head[NONCE + 1] = home.address ^ mask[1];
    let key = KEY.hash_one((nonce, home.worker, home.address));
    tag.copy_from_slice(&key.to_le_bytes()[..TAG]);
    id
}

fn open(id: [u8; LENGTH]) -> Option<Home> {
    let nonce = *id.first_chunk::<NONCE>()?;
    let mask = mask(nonce);
    let home = Home {
        worker: id[NONCE] ^ mask[0],
        address: id[NONCE + 1] ^ mask[1],
    };
    (seal(nonce, home) == id).then_some(home)
}

fn mask(nonce: [u8; NONCE]) -> [u8; 2] {
    let [worker, address, ..] = KEY.hash_one(nonce).to_le_bytes();
    [worker, address]
}

/// The key of the process.
static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// Bytes of an ID: a random part, worker and address, and what tells that this process has made it.
const LENGTH: usize = NONCE + 2 + TAG;
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
    fn the_socket_is_read_from_both_kinds_of_headers() {
        for (worker, address) in [(0, 0), (1, 0), (7, 3), (255, 255)] {
            let home = Home { address, worker };
            let id = SocketIds(home).generate_cid();
            assert_eq!(id.len(), LENGTH);
            let short = [&[0x40][..], &id[..], b"rest"].concat();
            assert_eq!(home_of(&short), Some(home));
            let length = u8::try_from(LENGTH).unwrap();
            let long = [&[0xc0, 0, 0, 0, 1, length][..], &id[..], b"rest"].concat();
            assert_eq!(home_of(&long), Some(home));
            for bent in 1..=LENGTH {
                let mut bytes = short.clone();
                bytes[bent] ^= 1;
                assert_eq!(home_of(&bytes), None, "byte {bent}");
            }
        }
    }

    #[test]
    fn ids_of_others_and_short_datagrams_say_nothing() {
        assert_eq!(home_of(&[]), None);
        assert_eq!(home_of(&[0x40; LENGTH]), None);
        assert_eq!(home_of(&[0x40; 100]), None);
        assert_eq!(home_of(&[0xc0, 0, 0, 0, 1, 8, 1, 2]), None);
        assert_eq!(home_of(&[0xc0, 0, 0, 0, 1, 0]), None);
    }
}
