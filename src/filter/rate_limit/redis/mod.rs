//! Buckets in a Redis server, shared by several proxies.
//!
//! A decision is one call of a script. Each worker has one connection, on which the calls of all
//! its requests are pipelined; it is opened by the first call that needs it. A call is bounded by
//! the store's timeout, and a store that fails is left alone for a while ([`StoreBreaker`]):
//! whatever the server does, a request waits at most once, and never fails because of it.

mod link;
mod script;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ::redis::{Cmd, RedisConnectionInfo};
use aws_lc_rs::digest::{SHA256, digest};
use tokio::{sync::Notify, time::Instant};

use crate::{
    config::value::RedisUrl,
    resilience::{Gcra, StoreBreaker},
    task,
    tls::ClientTls,
};
use link::Link;

/// Settings of a store.
pub struct RedisSettings {
    /// Address of the server.
    pub url: RedisUrl,
    /// Its user, for the access control lists of Redis.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<String>,
    /// TLS, where the address asks for it.
    pub tls: Option<ClientTls>,
    /// Maximum wait of a request.
    pub timeout: Duration,
}

/// A Redis server, with this process's connections to it.
pub struct RedisStore {
    settings: RedisSettings,
    breaker: StoreBreaker,
    /// By worker; each is used by its worker only, but for its end.
    slots: Box<[Mutex<Slot>]>,
}

/// Connection of one worker.
#[derive(Default)]
struct Slot {
    link: Option<Arc<Link>>,
    /// Wakes those that wait for a connection that is being opened.
    opening: Option<Arc<Notify>>,
}

/// Result of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The server decided.
    Answered {
        /// True if the request passes.
        passes: bool,
        /// Nanoseconds of the bucket that are used.
        used_ns: u64,
    },
    /// It did not answer in time.
    Late,
    /// It cannot be reached, or refused.
    Failed,
    /// It was not asked, since it failed a moment ago.
    Skipped,
}

impl Asked {
    /// The word of metrics.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Answered { .. } => "answered",
            Self::Late => "late",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

impl RedisStore {
    /// Makes the store for so many workers; connects to nothing.
    pub fn new(settings: RedisSettings, workers: usize, now: Instant) -> Self {
        Self {
            settings,
            breaker: StoreBreaker::new(now),
            slots: (0..workers).map(|_| Mutex::default()).collect(),
        }
    }

    /// The state of its breaker.
    pub fn breaker(&self) -> &StoreBreaker {
        &self.breaker
    }

    /// Its address, without credentials.
    pub fn url(&self) -> &RedisUrl {
        &self.settings.url
    }

    /// Takes one request out of the bucket `key`.
    pub(super) async fn take(self: &Arc<Self>, worker: usize, key: &[u8], gcra: Gcra) -> Asked {
        let Some(slot) = self.slots.get(worker) else {
            return Asked::Skipped;
        };
        let now = Instant::now();
        if !self.breaker.may_ask(now) {
            return Asked::Skipped;
        }
        let call = script::take(key, gcra);
        let timeout = self.settings.timeout;
        match tokio::time::timeout(timeout, self.call(slot, worker, call)).await {
            Ok(Ok((passes, used_ns))) => {
                self.breaker.answered(Instant::now());
                Asked::Answered { passes, used_ns }
            }
            Ok(Err(Failed::Told)) => Asked::Failed,
            Ok(Err(Failed::Untold(cause))) => {
                self.fail(slot, || cause);
                Asked::Failed
            }
            Err(_) => {
                let late = || format!("no answer within {}", humantime::format_duration(timeout));
                self.fail(slot, late);
                Asked::Late
            }
        }
    }

    async fn call(
        self: &Arc<Self>,
        slot: &Mutex<Slot>,
        worker: usize,
        (quick, whole): (Cmd, impl FnOnce() -> Cmd),
    ) -> Result<(bool, u64), Failed> {
        let link = self.link(slot, worker).await?;
        let answer = match link.send(&quick).await {
            // The server has started anew, or was told to forget scripts.
            Err(error) if script::is_unknown(&error) => link.send(&whole()).await,
            answer => answer,
        };
        let answer = answer.map_err(|error| Failed::Untold(link::cause(&error)))?;
        script::read(answer).ok_or_else(|| Failed::Untold("an unexpected answer".to_owned()))
    }

    /// Returns the worker's connection; waits for one that is being opened.
    async fn link(
        self: &Arc<Self>,
        slot: &Mutex<Slot>,
        worker: usize,
    ) -> Result<Arc<Link>, Failed> {
        let opening = {
            let mut slot = lock(slot);
            if let Some(link) = &slot.link {
                return Ok(Arc::clone(link));
            }
            let known = slot.opening.clone();
            known.unwrap_or_else(|| {
                let opening = Arc::new(Notify::new());
                slot.opening = Some(Arc::clone(&opening));
                let store = Arc::clone(self);
                // It goes on when the request no longer waits: a handshake may take longer.
                task::spawn_local("redis connect", async move { store.open(worker).await });
                opening
            })
        };
        opening.notified().await;
        // The failure to open it was told by the task that tried.
        lock(slot).link.clone().ok_or(Failed::Told)
    }

    async fn open(&self, worker: usize) {
        let Some(slot) = self.slots.get(worker) else {
            return;
        };
        let opened = Link::open(&self.settings).await;
        let mut slot = lock(slot);
        match opened {
            Ok(link) => slot.link = Some(Arc::new(link)),
            Err(cause) => self.breaker.failed(Instant::now(), || cause),
        }
        if let Some(opening) = slot.opening.take() {
            opening.notify_waiters();
        }
    }

    /// Leaves the server alone, and ends the connection: its other calls fail at once, and none of
    /// their answers is mistaken for a later one.
    fn fail(&self, slot: &Mutex<Slot>, cause: impl FnOnce() -> String) {
        self.breaker.failed(Instant::now(), cause);
        if let Some(link) = lock(slot).link.take() {
            link.end();
        }
    }
}

/// Reasons why a call has no result.
enum Failed {
    /// The breaker knows.
    Told,
    /// The breaker is to be told of this cause.
    Untold(String),
}

impl RedisSettings {
    /// A text that is the same for the same settings. It does not contain the password.
    pub fn identity(&self) -> String {
        let hash = |secret: &String| format!("{:?}", digest(&SHA256, secret.as_bytes()));
        let (user, password) = (&self.username, self.password.as_ref().map(hash));
        let tls = self
            .tls
            .as_ref()
            .map(|tls| (tls.fingerprint(), tls.stamps()));
        format!(
            "{} {user:?} {password:?} {:?} {tls:?}",
            self.url, self.timeout
        )
    }

    fn info(&self) -> RedisConnectionInfo {
        let mut info = RedisConnectionInfo::default().set_db(self.url.database.into());
        if let Some(username) = &self.username {
            info = info.set_username(username);
        }
        if let Some(password) = &self.password {
            info = info.set_password(password);
        }
        info.set_skip_set_lib_name()
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisStore({})", self.settings.url)
    }
}

fn lock(slot: &Mutex<Slot>) -> MutexGuard<'_, Slot> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}
