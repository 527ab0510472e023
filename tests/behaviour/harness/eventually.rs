//! Waits for a state instead of for a time.

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

/// Maximum time for anything that should happen at once; generous because every test of the crate
/// may share two cores with every other.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// Asks until the answer is `Some`, and panics with `what` after the deadline.
pub(crate) async fn eventually<T, F>(what: impl Display, ask: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    eventually_in(DEADLINE, what, ask).await
}

/// The same with another deadline.
pub(super) async fn eventually_in<T, F>(
    time: Duration,
    what: impl Display,
    mut ask: impl FnMut() -> F,
) -> T
where
    F: Future<Output = Option<T>>,
{
    let end = Instant::now() + time;
    loop {
        if let Some(value) = ask().await {
            return value;
        }
        assert!(
            Instant::now() < end,
            "not within {}s: {what}",
            time.as_secs()
        );
        sleep(PAUSE).await;
    }
}

/// Awaits one future, and panics with `what` after the deadline.
pub(crate) fn within<T>(
    what: impl Display,
    future: impl Future<Output = T>,
) -> impl Future<Output = T> {
    within_time(DEADLINE, what, future)
}

/// Like [`within`], with another deadline.
pub(crate) async fn within_time<T>(
    time: Duration,
    what: impl Display,
    future: impl Future<Output = T>,
) -> T {
    match timeout(time, future).await {
        Ok(value) => value,
        Err(_) => panic!("not within {}s: {what}", time.as_secs()),
    }
}

/// A gate that a test opens once and others wait for.
#[derive(Clone)]
pub(crate) struct Gate(watch::Sender<bool>);

impl Gate {
    /// A closed gate.
    pub(crate) fn new() -> Self {
        Self(watch::channel(false).0)
    }

    /// Opens it for good.
    pub(crate) fn open(&self) {
        self.0.send_replace(true);
    }

    /// Returns when the gate is open.
    pub(crate) async fn wait(&self) {
        let mut receiver = self.0.subscribe();
        // The sender lives as long as `self`, so this cannot fail.
        let _ = receiver.wait_for(|open| *open).await;
    }
}

const PAUSE: Duration = Duration::from_millis(10);
