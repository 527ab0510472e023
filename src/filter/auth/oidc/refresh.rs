//! Refreshes of sessions, each made once however many requests come with the same cookie.
//!
//! A provider may give each refresh token a single use, and end the session of who uses it twice.
//! So the first request fetches new tokens and the others wait for it; and who comes a little later
//! with the old cookie gets what was fetched.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_lc_rs::digest::{SHA256, digest};
use tokio::{sync::watch, time::Instant};

use super::{provider::NoTokens, session::Session};
use crate::timer;

/// Result of a refresh; none while it is under way.
pub(super) type Outcome = Option<Result<Arc<Session>, NoTokens>>;

/// Refreshes by the hash of their token.
#[derive(Debug, Default)]
pub(super) struct Refreshes(Mutex<HashMap<[u8; 32], Refresh>>);

#[derive(Debug)]
struct Refresh {
    began: Instant,
    outcome: watch::Receiver<Outcome>,
}

impl Refreshes {
    /// Joins the refresh with this token, or starts it. None if there are too many.
    pub(super) fn join(
        &self,
        token: &str,
        start: impl FnOnce(watch::Sender<Outcome>),
    ) -> Option<watch::Receiver<Outcome>> {
        let now = timer::now();
        let key = key_of(token);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get(&key)
            && known.counts(now)
        {
            return Some(known.outcome.clone());
        }
        if all.len() >= REFRESHES_MAX {
            all.retain(|_, refresh| refresh.counts(now));
        }
        if all.len() >= REFRESHES_MAX {
            return None;
        }
        let (tell, outcome) = watch::channel(None);
        let refresh = Refresh {
            began: now,
            outcome: outcome.clone(),
        };
        all.insert(key, refresh);
        drop(all);
        start(tell);
        Some(outcome)
    }
}

impl Refresh {
    fn counts(&self, now: Instant) -> bool {
        let time = match &*self.outcome.borrow() {
            Some(Err(NoTokens::Unavailable(_))) => PAUSE,
            // Its task is gone without a word.
            None if self.outcome.has_changed().is_err() => return false,
            Some(_) | None => GRACE,
        };
        now < self.began + time
    }
}

fn key_of(token: &str) -> [u8; 32] {
    let mut key = [0; 32];
    key.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    key
}

/// Refreshes that are remembered.
const REFRESHES_MAX: usize = 1024;
/// Time for which the old cookie gets what was fetched. Longer than any refresh lasts.
const GRACE: Duration = Duration::from_secs(60);
/// Time before the next attempt, where the provider cannot be asked.
const PAUSE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_refresh_serves_all_and_a_failed_one_is_made_again() {
        let refreshes = Refreshes::default();
        let mut told = None;
        let first = refreshes.join("token", |tell| told = Some(tell)).unwrap();
        let other = refreshes
            .join("token", |_| panic!("it is under way"))
            .unwrap();
        assert!(first.borrow().is_none() && other.borrow().is_none());
        let failed = Err(NoTokens::Unavailable("it is away".to_owned()));
        told.take().unwrap().send_replace(Some(failed));
        refreshes.join("token", |_| panic!("too early")).unwrap();
        tokio::time::advance(PAUSE).await;
        refreshes.join("token", |tell| told = Some(tell)).unwrap();
        // A task that ended without a word counts no longer.
        drop(told.take().unwrap());
        refreshes.join("token", |tell| told = Some(tell)).unwrap();
        let refused = Err(NoTokens::Refused("invalid_grant".to_owned()));
        told.unwrap().send_replace(Some(refused));
        tokio::time::advance(PAUSE).await;
        refreshes
            .join("token", |_| panic!("it is refused"))
            .unwrap();
    }
}
