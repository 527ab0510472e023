//! Threads that call the system's resolver.
//!
//! They are detached: the runtimes do not know them, so that neither a request nor the end of the
//! process waits for one that is stuck. A thread ends after some time without work.

use std::{
    collections::VecDeque,
    fmt, io,
    net::{SocketAddr, ToSocketAddrs as _},
    sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use tokio::time::Instant;

use super::cache::{Cache, Change, Step};
use crate::telemetry::log::LogLimit;

/// Cache, pending look-ups, and the threads that make them.
pub(super) struct Lookups {
    state: Mutex<State>,
    more: Condvar,
    resolve: Resolve,
}

#[derive(Debug, Default)]
struct State {
    cache: Cache,
    /// Names to look up; each at most once, so no longer than the cache.
    queue: VecDeque<Arc<str>>,
    threads: usize,
    waiting: usize,
}

/// Resolves a name; the port has no meaning.
pub(super) type Resolve = fn(&str) -> io::Result<Vec<SocketAddr>>;

/// Calls the system's resolver.
pub(super) fn system(name: &str) -> io::Result<Vec<SocketAddr>> {
    Ok((name, 0).to_socket_addrs()?.collect())
}

impl Lookups {
    pub(super) fn new(resolve: Resolve) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            more: Condvar::new(),
            resolve,
        })
    }

    /// Returns the step to take for a name; begins a look-up if one is needed. Does not block.
    pub(super) fn ask(self: &Arc<Self>, name: &Arc<str>, now: Instant) -> Step {
        let mut state = self.lock();
        let (step, look_up) = state.cache.ask(name, now);
        if !look_up {
            return step;
        }
        state.queue.push_back(Arc::clone(name));
        if state.queue.len() > state.waiting && state.threads < THREADS_MAX {
            self.start_thread(&mut state);
        }
        if state.threads == 0 {
            // The system gives no thread: its shortage ends, so does the look-up.
            state.queue.clear();
            state.cache.answered(name, None, now);
        }
        drop(state);
        self.more.notify_one();
        step
    }

    /// Calls `look` with the cache.
    pub(super) fn cache<T>(&self, look: impl FnOnce(&mut Cache) -> T) -> T {
        look(&mut self.lock().cache)
    }

    fn start_thread(self: &Arc<Self>, state: &mut State) {
        let lookups = Arc::clone(self);
        let builder = thread::Builder::new().name("resolver".to_owned());
        let started = builder.stack_size(STACK).spawn(move || lookups.work());
        match started {
            Ok(_) => state.threads += 1,
            // Each request for a new name may meet the same shortage.
            Err(error) => {
                if let Some(passed_over) = NO_THREAD.due((), Instant::now()) {
                    tracing::warn!(%error, passed_over, "cannot start a thread to look up names");
                }
            }
        }
    }

    /// Resolves one name after the other until there are none for a while.
    fn work(&self) {
        while let Some(name) = self.next() {
            let found = (self.resolve)(&name).and_then(|found| match found.is_empty() {
                true => Err(io::Error::other("the name has no address")),
                false => Ok(found),
            });
            let (addresses, error) = match found {
                Ok(addresses) => (Some(addresses), None),
                Err(error) => (None, Some(error)),
            };
            let now = Instant::now();
            let change = self.cache(|cache| cache.answered(&name, addresses, now));
            match (change, error) {
                (Change::Failing, Some(error)) => {
                    tracing::warn!(%name, %error, "a name of an endpoint does not resolve");
                }
                (Change::Recovered, _) => tracing::info!(%name, "a name resolves again"),
                _ => {}
            }
        }
    }

    fn next(&self) -> Option<Arc<str>> {
        let mut state = self.lock();
        loop {
            if let Some(name) = state.queue.pop_front() {
                return Some(name);
            }
            state.waiting += 1;
            let waited = self.more.wait_timeout(state, UNUSED_FOR);
            let (after, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = after;
            state.waiting -= 1;
            if timeout.timed_out() && state.queue.is_empty() {
                state.threads -= 1;
                return None;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Lookups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookups").finish_non_exhaustive()
    }
}

static NO_THREAD: LazyLock<LogLimit<()>> = LazyLock::new(LogLimit::default);

/// Maximum number of look-ups at once. Each stuck name takes one, for as long as the system tries.
pub(super) const THREADS_MAX: usize = 32;
/// Time without work after which a thread ends.
const UNUSED_FOR: Duration = Duration::from_secs(10);
/// Stack size that resolver modules of the system may need.
const STACK: usize = 512 * 1024;
