//! Work that may wait for a disk, on a thread of its own.
//!
//! The thread is abandoned if it takes too long: nothing joins it, and the end of the process does
//! not wait for it.

use std::{io, thread, time::Duration};

use tokio::{
    sync::oneshot::{self, error::TryRecvError},
    time::timeout,
};

/// Errands of one kind, one after the other.
#[derive(Debug, Default)]
pub(super) struct InTurn(Option<oneshot::Receiver<()>>);

impl InTurn {
    /// None is under way.
    pub(super) const fn new() -> Self {
        Self(None)
    }

    /// Returns true while the last one is under way.
    pub(super) fn is_busy(&mut self) -> bool {
        let busy = |it: &mut oneshot::Receiver<()>| it.try_recv() == Err(TryRecvError::Empty);
        // An answer that was taken must not be waited for.
        self.0.take_if(|it| !busy(it));
        self.0.is_some()
    }

    /// Begins one, as [`send`] does; for when the last one has ended.
    ///
    /// # Errors
    /// If the system cannot make a thread.
    pub(super) fn send(
        &mut self,
        name: &str,
        work: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        self.0 = None;
        self.0 = Some(send(name, work)?);
        Ok(())
    }

    /// Waits for the one under way, up to a timeout.
    pub(super) async fn settle(&mut self, patience: Duration) {
        if let Some(under_way) = self.0.take() {
            let _ = timeout(patience, under_way).await;
        }
    }
}

/// Runs `work` on a thread called `name`; the answer is an error if it panics.
///
/// # Errors
/// If the system cannot make a thread.
pub(super) fn send<T, F>(name: &str, work: F) -> io::Result<oneshot::Receiver<T>>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    let (done, answer) = oneshot::channel();
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            // Nobody may wait any more.
            let _ = done.send(work());
        })?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_errand_that_has_ended_holds_up_neither_the_next_nor_the_end() {
        let mut writes = InTurn::new();
        assert!(!writes.is_busy());
        let (go, gone) = std::sync::mpsc::channel::<()>();
        let wait = move || {
            let _ = gone.recv();
        };
        writes.send("first", wait).unwrap();
        assert!(writes.is_busy());
        drop(go);
        while writes.is_busy() {
            tokio::task::yield_now().await;
        }
        assert!(!writes.is_busy());
        writes.settle(Duration::from_secs(5)).await;
        writes.send("second", || ()).unwrap();
        writes.settle(Duration::from_secs(5)).await;
        assert!(!writes.is_busy());
    }
}
