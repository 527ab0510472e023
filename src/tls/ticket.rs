//! Session tickets (RFC 8446 section 4.6.1, RFC 5077), with which a client resumes a session at any
//! worker.
//!
//! [`TicketKeys`] are the process's own, shared by all workers, outlive reloads, and are passed to
//! the next process of an upgrade ([`PassedKeys`]). A new key is made every six hours; the previous
//! one still opens tickets, then it is dropped, and with it every session that it sealed.
//!
//! A ticket is bound to the listener that gave it and to its client authentication: a resumed
//! session presents no certificate, so a ticket from a listener that asks for none must not resume
//! a session at one that does. Nor does a session outlive its client's certificate.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwap;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use memchr::memmem;
use rustls::server::ProducesTickets;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Keys that tickets are sealed with.
#[derive(Debug)]
pub struct TicketKeys {
    ring: ArcSwap<Ring>,
    since: Mutex<Instant>,
}

#[derive(Debug)]
struct Ring {
    current: Option<Arc<TicketKey>>,
    previous: Option<Arc<TicketKey>>,
}

struct TicketKey {
    name: [u8; NAME_LEN],
    key: RandomizedNonceKey,
    /// The same key, for another process.
    bytes: [u8; KEY_LEN],
}

/// The keys as they go over to another process. Whoever has them can open sessions.
#[derive(Serialize, Deserialize)]
pub struct PassedKeys {
    /// Age of the first key.
    age_ms: u64,
    /// The current key, then the one before.
    keys: Vec<PassedKey>,
}

#[derive(Serialize, Deserialize)]
struct PassedKey {
    name: [u8; NAME_LEN],
    key: [u8; KEY_LEN],
}

impl TicketKeys {
    /// Makes the first key.
    pub fn new(now: Instant) -> Self {
        Self {
            ring: ArcSwap::from_pointee(Ring {
                current: TicketKey::generate(),
                previous: None,
            }),
            since: Mutex::new(now),
        }
    }

    /// Makes a new key if the current one has been in use long enough; called periodically by the
    /// control thread.
    pub fn rotate(&self, now: Instant) {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        if now < *since + ROTATION {
            return;
        }
        let old = self.ring.load_full();
        // After a long sleep the last key is too old to open anything.
        let stale = now >= *since + 2 * ROTATION;
        self.ring.store(Arc::new(Ring {
            current: TicketKey::generate(),
            previous: old.current.clone().filter(|_| !stale),
        }));
        *since = now;
    }

    /// The keys for another process.
    pub fn pass(&self, now: Instant) -> PassedKeys {
        let since = *self.since.lock().unwrap_or_else(PoisonError::into_inner);
        let age = now.saturating_duration_since(since).as_millis();
        let ring = self.ring.load();
        let keys = ring.current.iter().chain(&ring.previous);
        PassedKeys {
            age_ms: u64::try_from(age).unwrap_or(u64::MAX),
            keys: keys
                .map(|key| PassedKey {
                    name: key.name,
                    key: key.bytes,
                })
                .collect(),
        }
    }

    /// Goes on with the keys of another process; with its own if there are none.
    pub fn take(&self, passed: &PassedKeys, now: Instant) {
        let keys = passed.keys.iter();
        let mut keys = keys.filter_map(|key| TicketKey::new(key.name, key.key));
        let Some(current) = keys.next() else {
            return;
        };
        self.ring.store(Arc::new(Ring {
            current: Some(current),
            previous: keys.next(),
        }));
        let age = Duration::from_millis(passed.age_ms).min(ROTATION);
        let since = now.checked_sub(age).unwrap_or(now);
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    fn seal(&self, scope: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
        let ring = self.ring.load();
        let key = ring.current.as_ref()?;
        let mut sealed = plain.to_vec();
        let nonce = key
            .key
            .seal_in_place_append_tag(Aad::from(scope), &mut sealed)
            .ok()?;
        let mut ticket = Vec::with_capacity(NAME_LEN + NONCE_LEN + sealed.len());
        ticket.extend_from_slice(&key.name);
        ticket.extend_from_slice(nonce.as_ref());
        ticket.extend_from_slice(&sealed);
        Some(ticket)
    }

    fn open(&self, scope: &[u8], ticket: &[u8]) -> Option<Vec<u8>> {
        let (name, rest) = ticket.split_first_chunk::<NAME_LEN>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let ring = self.ring.load();
        let known = [&ring.current, &ring.previous];
        let key = known.into_iter().flatten().find(|key| key.name == *name)?;
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = key.key.open_in_place(nonce, Aad::from(scope), &mut sealed);
        let length = plain.ok()?.len();
        sealed.truncate(length);
        Some(sealed)
    }
}

impl TicketKey {
    /// Makes a key; none without randomness, in which case sessions are not resumed.
    fn generate() -> Option<Arc<Self>> {
        let mut name = [0; NAME_LEN];
        let mut key = [0; KEY_LEN];
        aws_lc_rs::rand::fill(&mut name).ok()?;
        aws_lc_rs::rand::fill(&mut key).ok()?;
        Self::new(name, key)
    }

    fn new(name: [u8; NAME_LEN], bytes: [u8; KEY_LEN]) -> Option<Arc<Self>> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, &bytes).ok()?;
        Some(Arc::new(Self { name, key, bytes }))
    }
}

impl fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketKey(***)")
    }
}

impl fmt::Debug for PassedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PassedKeys(***)")
    }
}

/// Seals and opens the tickets of one listener.
#[derive(Debug)]
pub(super) struct Tickets {
    pub(super) keys: Arc<TicketKeys>,
    /// Scope that a ticket is bound to.
    pub(super) scope: Vec<u8>,
    /// Clients are asked for certificates, and the tickets hold the certificates presented.
    pub(super) of_clients: bool,
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        u32::try_from(ROTATION.as_secs()).unwrap_or(u32::MAX)
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.keys.seal(&self.scope, plain)
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        let plain = self.keys.open(&self.scope, cipher)?;
        // No session outlives the certificate that let its client in: a full handshake
        // follows, in which the client must show one that counts.
        let over = self.of_clients && certificate_is_over(&plain, SystemTime::now());
        (!over).then_some(plain)
    }
}

/// Returns true if a session was made with a client's certificate that has expired since.
///
/// The library keeps the client's certificates in the session as received, the end entity's first,
/// and offers no access to them before the session is resumed.
fn certificate_is_over(session: &[u8], now: SystemTime) -> bool {
    let now = now.duration_since(UNIX_EPOCH).map_or(0, |it| it.as_secs());
    let mut starts = memmem::find_iter(session, LONG_SEQUENCE);
    let end = starts.find_map(|at| {
        let (_, certificate) = X509Certificate::from_der(session.get(at..)?).ok()?;
        Some(certificate.validity().not_after.timestamp())
    });
    end.is_some_and(|end| u64::try_from(end).unwrap_or(0) < now)
}

const NAME_LEN: usize = 16;
const KEY_LEN: usize = 32;
/// First bytes of a certificate: a sequence of 256 bytes or more, in DER.
const LONG_SEQUENCE: &[u8] = &[0x30, 0x82];
/// Time for which a key seals tickets; it opens them for as long again.
const ROTATION: Duration = Duration::from_secs(6 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_opens_until_its_key_is_forgotten() {
        let start = Instant::now();
        let keys = TicketKeys::new(start);
        let ticket = keys.seal(b"a", b"session").unwrap();
        assert_eq!(keys.open(b"a", &ticket).unwrap(), b"session");
        keys.rotate(start + ROTATION / 2);
        keys.rotate(start + ROTATION);
        let newer = keys.seal(b"a", b"newer").unwrap();
        assert_eq!(keys.open(b"a", &ticket).unwrap(), b"session");
        keys.rotate(start + 2 * ROTATION);
        assert_eq!(keys.open(b"a", &ticket), None);
        assert_eq!(keys.open(b"a", &newer).unwrap(), b"newer");
        keys.rotate(start + 10 * ROTATION);
        assert_eq!(keys.open(b"a", &newer), None, "slept through its time");
    }

    #[test]
    fn tickets_of_one_process_open_in_the_next_for_as_long_as_they_would_have() {
        let start = Instant::now();
        let old = TicketKeys::new(start);
        let first = old.seal(b"a", b"first").unwrap();
        old.rotate(start + ROTATION);
        let second = old.seal(b"a", b"second").unwrap();
        let now = start + ROTATION + ROTATION / 2;
        let passed = old.pass(now);
        assert_eq!(format!("{passed:?}"), "PassedKeys(***)");
        let passed = serde_json::to_string(&passed).unwrap();
        // The clock of another process may have begun at any time.
        let later = now + Duration::from_secs(86_400);
        let new = TicketKeys::new(later);
        new.take(&serde_json::from_str(&passed).unwrap(), later);
        assert_eq!(new.open(b"a", &first).unwrap(), b"first");
        assert_eq!(new.open(b"a", &second).unwrap(), b"second");
        new.rotate(later + ROTATION / 2);
        assert_eq!(new.open(b"a", &first), None);
        assert_eq!(new.open(b"a", &second).unwrap(), b"second");
    }

    #[test]
    fn a_ticket_of_another_scope_or_from_a_stranger_does_not_open() {
        let keys = TicketKeys::new(Instant::now());
        let ticket = keys.seal(b"open listener", b"session").unwrap();
        assert_eq!(keys.open(b"guarded listener", &ticket), None);
        for at in 0..ticket.len() {
            let mut bent = ticket.clone();
            bent[at] ^= 1;
            assert_eq!(keys.open(b"open listener", &bent), None, "byte {at}");
            assert_eq!(keys.open(b"open listener", &ticket[..at]), None);
        }
    }
}
