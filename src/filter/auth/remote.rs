//! Documents that come from a URL and are fetched again and again: keys of tokens, and what a
//! provider says of itself.
//!
//! Control fetches; workers read, and may ask for the next fetch when a token names a key that is
//! not there. A fetch on demand comes at most every [`DEMAND_PAUSE`], whoever asks.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use tokio::{sync::watch, time::Instant};

use crate::{
    config::value::{HttpUrl, Jwks},
    timer,
};

/// Keys from one URL.
pub type RemoteKeys = Remote<Jwks>;

/// A document from one URL.
#[derive(Debug)]
pub struct Remote<T> {
    /// The URL.
    pub url: HttpUrl,
    /// File of the authorities that may certify its server; none: the system's.
    pub ca: Option<PathBuf>,
    /// Time between two fetches.
    pub refresh: Duration,
    /// The last good one, none before the first; the number of the fetch.
    newest: watch::Sender<(u64, Option<Arc<T>>)>,
    is_wanted: AtomicBool,
    fetches: Mutex<Fetches>,
}

#[derive(Debug, Default)]
struct Fetches {
    /// Start of the last one.
    last: Option<Instant>,
    /// Failures in a row.
    failed: u32,
    /// Time of the first of them, and why the last one failed.
    trouble: Option<(SystemTime, String)>,
    is_under_way: bool,
}

impl<T> Remote<T> {
    /// Has nothing yet.
    pub fn new(url: HttpUrl, ca: Option<PathBuf>, refresh: Duration) -> Self {
        Self {
            url,
            ca,
            refresh,
            newest: watch::Sender::new((0, None)),
            is_wanted: AtomicBool::new(false),
            fetches: Mutex::default(),
        }
    }

    /// The last good one.
    pub(super) fn now(&self) -> Option<Arc<T>> {
        self.newest.borrow().1.clone()
    }

    /// Waits for the next fetch, if one may be made for the asking, and returns the last good one.
    pub(super) async fn next(&self) -> Option<Arc<T>> {
        let mut newest = self.newest.subscribe();
        let may_ask = {
            let fetches = self.fetches.lock().unwrap_or_else(PoisonError::into_inner);
            fetches.is_under_way
                || fetches
                    .last
                    .is_none_or(|last| last.elapsed() >= DEMAND_PAUSE)
        };
        if may_ask {
            self.is_wanted.store(true, Ordering::Relaxed);
            let fetched = newest.changed();
            // However it ends: what is known counts.
            let _ = timer::until(timer::now() + PATIENCE, fetched).await;
        }
        self.now()
    }

    /// Begins a fetch, if one is due.
    pub fn begin(&self, now: Instant) -> bool {
        let mut fetches = self.fetches.lock().unwrap_or_else(PoisonError::into_inner);
        let since = fetches.last.map(|last| now - last);
        // One that never came to its end is given up.
        if fetches.is_under_way && since.is_some_and(|since| since < GIVEN_UP) {
            return false;
        }
        let pause = match fetches.failed {
            0 => self.refresh,
            failed => (RETRY * 2_u32.pow((failed - 1).min(6))).min(self.refresh),
        };
        let is_wanted = self.is_wanted.load(Ordering::Relaxed);
        let due = since.is_none_or(|since| since >= pause || (is_wanted && since >= DEMAND_PAUSE));
        if due {
            self.is_wanted.store(false, Ordering::Relaxed);
            fetches.is_under_way = true;
            fetches.last = Some(now);
        }
        due
    }

    /// Since when fetches fail, and why the last one did; none while they do not.
    pub fn trouble(&self) -> Option<(SystemTime, String)> {
        let fetches = self.fetches.lock().unwrap_or_else(PoisonError::into_inner);
        fetches.trouble.clone()
    }

    /// Ends a fetch; the last good one stays if there is no new one. Returns true if it failed
    /// after one that did not, or the other way round.
    pub fn end(&self, new: Result<T, String>) -> bool {
        let mut fetches = self.fetches.lock().unwrap_or_else(PoisonError::into_inner);
        fetches.is_under_way = false;
        let had_failed = fetches.failed > 0;
        match &new {
            Ok(_) => (fetches.failed, fetches.trouble) = (0, None),
            Err(why) => {
                fetches.failed = fetches.failed.saturating_add(1);
                let since = fetches.trouble.take().map(|(since, _)| since);
                let since = since.unwrap_or_else(SystemTime::now);
                fetches.trouble = Some((since, why.clone()));
            }
        }
        let has_failed = fetches.failed > 0;
        drop(fetches);
        self.newest.send_modify(|(number, newest)| {
            *number += 1;
            if let Ok(new) = new {
                *newest = Some(Arc::new(new));
            }
        });
        had_failed != has_failed
    }
}

/// Time that a request waits for a fetch.
const PATIENCE: Duration = Duration::from_secs(3);
/// Time between two fetches for the asking.
const DEMAND_PAUSE: Duration = Duration::from_secs(5);
/// Longer than any fetch lasts.
const GIVEN_UP: Duration = Duration::from_secs(30);
/// Time before the first fetch after a failed one; it doubles with each.
const RETRY: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn fetches_are_paced() {
        let url = HttpUrl::parse("http://127.0.0.1:1/keys").unwrap();
        let keys = RemoteKeys::new(url, None, Duration::from_secs(600));
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        assert!(keys.begin(start));
        assert!(!keys.begin(after(20)), "one at a time");
        assert!(keys.end(Err("late".to_owned())));
        assert!(!keys.begin(after(1)));
        assert!(keys.begin(after(2)));
        assert!(!keys.end(Err("late".to_owned())));
        assert!(keys.begin(after(6)));
        assert!(keys.end(Ok(Jwks::default())));
        assert!(keys.now().is_some());
        keys.is_wanted.store(true, Ordering::Relaxed);
        assert!(!keys.begin(after(10)));
        assert!(keys.begin(after(11)));
        assert!(keys.end(Err("late".to_owned())));
        assert!(keys.now().is_some(), "the last good ones stay");
        let (since, why) = keys.trouble().unwrap();
        assert_eq!(why, "late");
        assert!(!keys.end(Err("gone".to_owned())));
        assert_eq!(keys.trouble(), Some((since, "gone".to_owned())));
    }
}
