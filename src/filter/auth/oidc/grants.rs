//! Requests for tokens, each made once however many requests of clients need its answer.
//!
//! A provider may give each code and each refresh token a single use, and end the session of who
//! uses it twice. So the first request asks for tokens and the others wait for its answer; and who
//! comes a little later with the same code or the old cookie gets what was fetched.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_lc_rs::digest::{SHA256, digest};
use tokio::{
    sync::{Semaphore, SemaphorePermit, watch},
    time::Instant,
};

use super::{provider::NoTokens, session::Session};
use crate::{task, timer};

/// Answer to a request for tokens; none while it is under way.
type Outcome = Option<Result<Arc<Session>, NoTokens>>;

/// Requests for tokens of one kind at one provider, for all workers.
#[derive(Debug)]
pub(super) struct Grants {
    /// By the hash of the code or token.
    asked: Mutex<HashMap<[u8; 32], Asked>>,
    /// Requests that are under way.
    calls: Semaphore,
    /// Time before the next attempt, where the provider cannot be asked.
    pause: Duration,
}

#[derive(Debug)]
struct Asked {
    began: Instant,
    outcome: watch::Receiver<Outcome>,
}

impl Grants {
    /// Nothing was asked for yet.
    pub(super) fn new(pause: Duration) -> Self {
        Self {
            asked: Mutex::default(),
            calls: Semaphore::new(CALLS_MAX),
            pause,
        }
    }

    /// A place for a request to the provider; none if too many are under way.
    pub(super) fn place(&self) -> Option<SemaphorePermit<'_>> {
        self.calls.try_acquire().ok()
    }

    /// The session that this code or token has become, if it has just done so.
    pub(super) fn known(&self, key: &str) -> Option<Arc<Session>> {
        let all = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = all.get(&key_of(key))?.outcome.borrow();
        let session = outcome.as_ref()?.as_ref().ok()?;
        Some(Arc::clone(session))
    }

    /// Returns the answer to the request with this code or token, and makes it if nobody has.
    ///
    /// # Errors
    /// The reason why there are no tokens, or no answer within this time. The request goes on then:
    /// who comes again gets its answer.
    pub(super) async fn once<F>(
        &self,
        key: &str,
        time: Duration,
        ask: impl FnOnce() -> F,
    ) -> Result<Arc<Session>, NoTokens>
    where
        F: Future<Output = Result<Session, NoTokens>> + 'static,
    {
        let joined = self.join(key, |tell| {
            // A task of its own: that one client leaves must not waste what can be used once.
            let asking = ask();
            task::spawn_local("oidc tokens", async move {
                let outcome = asking.await;
                tell.send_replace(Some(outcome.map(Arc::new)));
            });
        });
        let away = |why: &str| NoTokens::Unavailable(why.to_owned());
        let mut outcome = joined.ok_or_else(|| away("too many requests to it are under way"))?;
        let told = outcome.wait_for(Option::is_some);
        match timer::until(timer::now() + time, told).await {
            Ok(Ok(told)) => match &*told {
                Some(Ok(session)) => Ok(Arc::clone(session)),
                Some(Err(why)) => Err(why.clone()),
                None => Err(away("the answer is lost")),
            },
            Ok(Err(_)) => Err(away("the answer is lost")),
            Err(_) => Err(away("it does not answer in time")),
        }
    }

    /// Joins the request with this key, or starts it. None if too many are under way.
    fn join(
        &self,
        key: &str,
        start: impl FnOnce(watch::Sender<Outcome>),
    ) -> Option<watch::Receiver<Outcome>> {
        let now = timer::now();
        let key = key_of(key);
        let mut all = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get(&key)
            && known.counts(now, self.pause)
        {
            return Some(known.outcome.clone());
        }
        if all.len() >= ASKED_MAX {
            make_room(&mut all, |asked| asked.counts(now, self.pause))?;
        }
        let (tell, outcome) = watch::channel(None);
        let asked = Asked {
            began: now,
            outcome: outcome.clone(),
        };
        all.insert(key, asked);
        drop(all);
        start(tell);
        Some(outcome)
    }
}

/// Forgets what does not count any longer, else the oldest that has an answer. None if all are
/// under way.
fn make_room(all: &mut HashMap<[u8; 32], Asked>, counts: impl Fn(&Asked) -> bool) -> Option<()> {
    all.retain(|_, asked| counts(asked));
    if all.len() >= ASKED_MAX {
        let ended = all
            .iter()
            .filter(|(_, asked)| asked.outcome.borrow().is_some());
        let (oldest, _) = ended.min_by_key(|(_, asked)| asked.began)?;
        let oldest = *oldest;
        all.remove(&oldest);
    }
    Some(())
}

impl Asked {
    fn counts(&self, now: Instant, pause: Duration) -> bool {
        let time = match &*self.outcome.borrow() {
            Some(Err(NoTokens::Unavailable(_))) => pause,
            // Its task is gone without a word.
            None if self.outcome.has_changed().is_err() => return false,
            Some(_) | None => GRACE,
        };
        now < self.began + time
    }
}

fn key_of(text: &str) -> [u8; 32] {
    let mut key = [0; 32];
    key.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    key
}

/// Requests of one kind to one provider at once.
const CALLS_MAX: usize = 32;
/// Answers that are remembered.
const ASKED_MAX: usize = 1024;
/// Time for which they are. Longer than any request lasts.
const GRACE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn one_request_serves_all_and_a_failed_one_is_made_again() {
        let grants = Grants::new(PAUSE);
        let mut told = None;
        let first = grants.join("token", |tell| told = Some(tell)).unwrap();
        let other = grants.join("token", |_| panic!("it is under way")).unwrap();
        assert!(first.borrow().is_none() && other.borrow().is_none());
        told.take().unwrap().send_replace(Some(Err(away())));
        grants.join("token", |_| panic!("too early")).unwrap();
        tokio::time::advance(PAUSE).await;
        grants.join("token", |tell| told = Some(tell)).unwrap();
        // A task that ended without a word counts no longer.
        drop(told.take().unwrap());
        grants.join("token", |tell| told = Some(tell)).unwrap();
        told.unwrap().send_replace(Some(Err(refused())));
        tokio::time::advance(PAUSE).await;
        grants.join("token", |_| panic!("it is refused")).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn refused_requests_without_end_keep_no_other_out() {
        let grants = Grants::new(PAUSE);
        let mut pending = Vec::new();
        let under_way = grants.join("under way", |tell| pending.push(tell)).unwrap();
        for number in 0..2 * ASKED_MAX {
            let ends = |tell: watch::Sender<Outcome>| drop(tell.send_replace(Some(Err(refused()))));
            grants.join(&number.to_string(), ends).unwrap();
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert!(grants.asked.lock().unwrap().len() <= ASKED_MAX);
        grants
            .join("under way", |_| panic!("it was forgotten"))
            .unwrap();
        // Full of those that are under way, it takes no more.
        for number in 0..ASKED_MAX - 1 {
            grants
                .join(&format!("slow {number}"), |tell| pending.push(tell))
                .unwrap();
        }
        assert!(grants.join("one more", |_| panic!("it is full")).is_none());
        drop(under_way);
    }

    fn away() -> NoTokens {
        NoTokens::Unavailable("it is away".to_owned())
    }

    fn refused() -> NoTokens {
        NoTokens::Refused("invalid_grant".to_owned())
    }
}
