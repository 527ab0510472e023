//! Buckets in this process, for the keys of requests.

use std::{
    hash::{DefaultHasher, Hasher as _},
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Key, answer::Taken};
use crate::resilience::{Buckets, Gcra};

/// Buckets in this process. The registry keeps them over reloads.
#[derive(Debug)]
pub struct LocalRates {
    since: Instant,
    /// Secret beginning of what is hashed, so that nobody can choose keys that share a bucket.
    seed: [AtomicU64; 2],
    pub(super) buckets: Buckets,
}

/// Buckets for the next process of an upgrade.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct CarriedBuckets {
    seed: [u64; 2],
    /// The hash of each key, and the nanoseconds that it has used.
    used: Vec<(u64, u64)>,
}

impl CarriedBuckets {
    /// Number of keys.
    pub fn len(&self) -> usize {
        self.used.len()
    }

    /// Returns true without keys.
    pub fn is_empty(&self) -> bool {
        self.used.is_empty()
    }
}

impl LocalRates {
    /// Room for so many keys; times count from `now`.
    pub fn new(keys_max: usize, now: Instant) -> Self {
        Self {
            since: now,
            seed: [rand::random(), rand::random()].map(AtomicU64::new),
            buckets: Buckets::new(keys_max),
        }
    }

    /// Returns the buckets that are used most, at most so many, for the next process.
    pub fn carried(&self, gcra: Gcra, count: usize, now: Instant) -> CarriedBuckets {
        CarriedBuckets {
            seed: self.seed.each_ref().map(|it| it.load(Relaxed)),
            used: self.buckets.fullest(gcra, count, self.time(now)),
        }
    }

    /// Goes on with the buckets of another process. For one that has served nothing yet: what was
    /// used before has other hashes.
    pub fn take_over(&self, gcra: Gcra, carried: &CarriedBuckets, now: Instant) {
        for (own, seed) in self.seed.iter().zip(carried.seed) {
            own.store(seed, Relaxed);
        }
        let now = self.time(now);
        for (key, used_ns) in &carried.used {
            self.buckets.use_up_to_ns(gcra, *key, now, *used_ns);
        }
    }

    /// Takes one request out of a bucket.
    pub(super) fn take(&self, gcra: Gcra, key: &Key<'_>, now: Instant) -> Result<Taken, u64> {
        let hash = self.hash_of(key);
        let used_ns = self.buckets.take(gcra, hash, self.time(now))?;
        Ok(Taken { hash, used_ns })
    }

    /// Charges a request that was taken as so many.
    pub(super) fn charge(&self, gcra: Gcra, taken: &mut Taken, now: Instant, cost: u64) {
        let now = self.time(now);
        taken.used_ns = self.buckets.charge(gcra, taken.hash, now, cost);
    }

    pub(super) fn hash_of(&self, key: &Key<'_>) -> u64 {
        let mut hasher = DefaultHasher::new();
        for seed in &self.seed {
            hasher.write_u64(seed.load(Relaxed));
        }
        match key {
            Key::Bytes(bytes) => hasher.write(bytes),
            Key::Ip(IpAddr::V4(ip)) => hasher.write(&ip.octets()),
            Key::Ip(IpAddr::V6(network)) => hasher.write(&network.octets()),
        }
        hasher.finish()
    }

    pub(super) fn time(&self, now: Instant) -> u64 {
        let now = now.saturating_duration_since(self.since).as_nanos();
        u64::try_from(now).unwrap_or(u64::MAX)
    }
}
