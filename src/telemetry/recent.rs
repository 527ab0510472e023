//! Records of recent exchanges, for `why`, `/requests` and the dry run of a reload.
//!
//! Each worker has a ring of its own, with a part for exchanges that failed: however many others
//! come after them, they stay. It is behind a lock that only a reader on the admin side
//! contends for, and the worker never waits for it: while a reader holds the ring, the record is
//! left out.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::UNIX_EPOCH;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::access_log::Line;
use crate::semantics::secret_names::SecretNames;

/// Summary of an exchange that has ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecentExchange {
    /// Identity of the request, as in `x-request-id`.
    pub request_id: String,
    /// Start, in milliseconds of Unix time.
    pub time_unix_ms: u64,
    /// Name of the listener.
    pub listener: String,
    /// Address of the client.
    pub client: String,
    /// Protocol that it spoke: `HTTP/1.1`, `HTTP/2.0` …
    #[serde(default)]
    pub protocol: String,
    /// Request method.
    pub method: String,
    /// Scheme, authority, path and query.
    pub url: String,
    /// Request headers as they were routed, secrets masked; empty if the head is not in the sample
    /// that is kept.
    pub headers: Vec<(String, String)>,
    /// Status sent to the client.
    pub status: u16,
    /// Reason why the proxy answered itself or cut the answer, if it did.
    pub reason: Option<String>,
    /// More about the reason, if a filter refused.
    #[serde(default)]
    pub reason_detail: Option<String>,
    /// Name of the authenticated client.
    #[serde(default)]
    pub user: Option<String>,
    /// Route that matched.
    pub route: Option<String>,
    /// Pool that was used.
    pub pool: Option<String>,
    /// Endpoint that answered.
    pub endpoint: Option<String>,
    /// Version of that endpoint.
    pub version: Option<String>,
    /// Version that the client asked for, where its route allows that.
    #[serde(default)]
    pub version_asked: Option<String>,
    /// Use of the cache, on a route that has one: `hit`, `miss` and kin.
    #[serde(default)]
    pub cache: Option<String>,
    /// Each attempt.
    pub attempts: Vec<RecentAttempt>,
    /// Reason why the last try, which failed, was not followed by another.
    pub not_retried: Option<String>,
    /// Total duration in milliseconds.
    pub total_ms: f64,
    /// Generation of the configuration that was used.
    pub generation: u64,
    /// Time of its end since the epoch in nanoseconds, for the order.
    #[serde(skip)]
    pub(crate) ended_ns: u128,
}

/// Summary of one attempt.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecentAttempt {
    /// Endpoint that was tried.
    pub endpoint: String,
    /// Status, or the word of the failure.
    pub outcome: String,
    /// Duration until the outcome, in milliseconds.
    pub ms: f64,
    /// Wait before it, in milliseconds.
    pub waited_ms: f64,
    /// True for an attempt made beside another that was slow.
    #[serde(default)]
    pub hedge: bool,
    /// True for an attempt of a subrequest by a filter.
    #[serde(default)]
    pub subrequest: bool,
}

impl RecentExchange {
    /// Returns true if the proxy or an endpoint failed: 5xx, or an answer cut short.
    fn has_failed(&self) -> bool {
        self.status >= 500 || (self.reason.is_some() && !(400..500).contains(&self.status))
    }
}

impl RecentExchange {
    /// Keeps what a line of the access log has, with `***` in place of secrets.
    pub fn of(line: &Line<'_>, secrets: &SecretNames) -> Self {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let of_field = |wanted| {
            let mut fields = line.fields.iter();
            let (_, value) = fields.find(|(name, _)| *name == wanted)?;
            Some(String::from_utf8_lossy(value).into_owned())
        };
        let since_epoch = line.time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            request_id: line.request_id.to_owned(),
            time_unix_ms: u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX),
            listener: line.listener.to_owned(),
            client: line
                .client
                .map_or_else(String::new, |client| client.to_string()),
            protocol: line.protocol.to_owned(),
            method: line.method.to_owned(),
            url: format!(
                "{}://{}{}",
                line.scheme,
                line.host,
                secrets.masked_url(line.path)
            ),
            headers: Vec::new(),
            status: line.status,
            reason: owned(line.reason),
            reason_detail: of_field("reason_detail"),
            user: owned(line.user),
            route: owned(line.route),
            pool: owned(line.pool),
            endpoint: owned(line.endpoint),
            version: owned(line.version),
            version_asked: of_field("version_asked"),
            cache: of_field("cache"),
            attempts: line
                .attempts
                .iter()
                .map(|attempt| RecentAttempt {
                    endpoint: attempt.endpoint.to_owned(),
                    outcome: attempt.outcome.to_owned(),
                    ms: attempt.took.as_secs_f64() * 1000.0,
                    waited_ms: attempt.waited.as_secs_f64() * 1000.0,
                    hedge: attempt.hedge,
                    subrequest: attempt.subrequest,
                })
                .collect(),
            not_retried: owned(line.not_retried),
            total_ms: line.total.as_secs_f64() * 1000.0,
            generation: 0,
            ended_ns: since_epoch.as_nanos(),
        }
    }
}

/// The rings of all workers.
#[derive(Debug)]
pub struct Recent {
    capacity: usize,
    rings: Mutex<Vec<Arc<RecentRing>>>,
}

/// The last exchanges of one worker.
#[derive(Debug)]
pub struct RecentRing {
    capacity: usize,
    exchanges: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// Those that the proxy failed to serve.
    failed: VecDeque<Arc<RecentExchange>>,
    others: VecDeque<Arc<RecentExchange>>,
}

impl Recent {
    /// Makes rings of `capacity` exchanges, and as many failed ones, for each worker that asks.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            rings: Mutex::default(),
        }
    }

    /// Makes the ring of one worker.
    pub fn worker(&self) -> Arc<RecentRing> {
        let ring = Arc::new(RecentRing::new(self.capacity));
        self.rings().push(Arc::clone(&ring));
        ring
    }

    /// The last `count` exchanges of all workers, newest first.
    pub fn last(&self, count: usize) -> Vec<RecentExchange> {
        let rings = self.rings().clone();
        let mut all: Vec<_> = rings.iter().flat_map(|ring| ring.last(count)).collect();
        all.sort_by_key(|exchange| (exchange.time_unix_ms, exchange.ended_ns));
        // Of one moment the one recorded later comes first, too.
        all.reverse();
        all.truncate(count);
        all.into_iter().map(Arc::unwrap_or_clone).collect()
    }

    /// The exchange with this request id, if it is still kept.
    pub fn by_id(&self, request_id: &str) -> Option<RecentExchange> {
        let rings = self.rings().clone();
        rings.iter().find_map(|ring| ring.by_id(request_id))
    }

    fn rings(&self) -> std::sync::MutexGuard<'_, Vec<Arc<RecentRing>>> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RecentRing {
    fn new(capacity: usize) -> Self {
        Self {
            capacity,
            exchanges: Mutex::default(),
        }
    }

    /// Records an exchange; `make` is called only if the ring is free. Never waits.
    pub fn push(&self, make: impl FnOnce() -> RecentExchange) {
        let mut exchanges = match self.exchanges.try_lock() {
            Ok(exchanges) => exchanges,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        if self.capacity == 0 {
            return;
        }
        let exchange = make();
        let part = match exchange.has_failed() {
            true => &mut exchanges.failed,
            false => &mut exchanges.others,
        };
        if part.len() >= self.capacity {
            part.pop_front();
        }
        part.push_back(Arc::new(exchange));
    }

    /// The last `count` exchanges of this worker, oldest first. The ring is held for copies of
    /// pointers only.
    pub fn last(&self, count: usize) -> Vec<Arc<RecentExchange>> {
        let kept = self.lock();
        let newest = |part: &VecDeque<Arc<RecentExchange>>| {
            let skip = part.len().saturating_sub(count);
            part.iter().skip(skip).cloned().collect::<Vec<_>>()
        };
        let mut all = newest(&kept.others);
        all.extend(newest(&kept.failed));
        drop(kept);
        all.sort_by_key(|exchange| (exchange.time_unix_ms, exchange.ended_ns));
        let surplus = all.len().saturating_sub(count);
        all.drain(..surplus);
        all
    }

    /// The exchange with this request id, if it is still kept.
    pub fn by_id(&self, request_id: &str) -> Option<RecentExchange> {
        let kept = self.lock();
        let mut newest_first = kept.others.iter().rev().chain(kept.failed.iter().rev());
        newest_first
            .find(|exchange| exchange.request_id == request_id)
            .map(|exchange| RecentExchange::clone(exchange))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.exchanges
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(id: &str, time_unix_ms: u64) -> RecentExchange {
        RecentExchange {
            request_id: id.to_owned(),
            time_unix_ms,
            ..RecentExchange::default()
        }
    }

    #[test]
    fn rings_of_all_workers_are_merged_newest_first() {
        let recent = Recent::new(2);
        let (one, two) = (recent.worker(), recent.worker());
        one.push(|| exchange("a", 1));
        two.push(|| exchange("b", 2));
        one.push(|| exchange("c", 3));
        one.push(|| exchange("d", 4));
        let ids: Vec<_> = recent.last(10).into_iter().map(|e| e.request_id).collect();
        assert_eq!(ids, ["d", "c", "b"]);
        assert_eq!(recent.by_id("b").map(|e| e.time_unix_ms), Some(2));
        assert_eq!(recent.by_id("a"), None);
    }

    #[test]
    fn what_failed_stays_while_others_pass() {
        let ring = RecentRing::new(2);
        let failed = |id, time| RecentExchange {
            status: 503,
            ..exchange(id, time)
        };
        ring.push(|| failed("old", 1));
        ring.push(|| failed("bad", 2));
        ring.push(|| failed("worse", 3));
        for time in 4..100 {
            ring.push(|| exchange("fine", time));
        }
        let ids = |count| {
            let last = ring.last(count).into_iter();
            last.map(|exchange| exchange.request_id.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(ids(10), ["bad", "worse", "fine", "fine"]);
        assert_eq!(ids(1), ["fine"]);
        assert!(ring.by_id("bad").is_some() && ring.by_id("old").is_none());
    }

    #[test]
    fn a_worker_does_not_wait_for_a_reader() {
        let ring = RecentRing::new(4);
        let reading = ring.lock();
        ring.push(|| exchange("lost", 1));
        drop(reading);
        assert_eq!(ring.last(4), []);
    }
}
