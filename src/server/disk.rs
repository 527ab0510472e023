//! Disk access of background services: one task at a time, each with a timeout.

use std::{cell::RefCell, io, time::Duration};

use tokio::{
    sync::oneshot::{self, error::TryRecvError},
    time::timeout,
};

use super::errand;

/// Disk access of one service, which outlives its runs: while a task hangs, no other is started.
#[derive(Debug)]
pub(super) struct Disk {
    name: &'static str,
    /// Closed when the task that was given up ends after all.
    hanging: RefCell<Option<oneshot::Receiver<()>>>,
}

/// Reasons why the disk gave no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum DiskError {
    /// A task takes too long.
    #[error("the disk does not answer")]
    Hangs,
    /// A task panicked.
    #[error("reading the disk panicked; this is a bug")]
    Panicked,
    /// The system cannot make a thread.
    #[error("no thread to read the disk with: {0}")]
    Thread(#[from] io::Error),
}

impl Disk {
    /// Makes the disk access of the service of this name.
    pub(super) fn new(name: &'static str) -> Self {
        Self {
            name,
            hanging: RefCell::new(None),
        }
    }

    /// Runs `work`, which may block, and waits for it up to a timeout.
    pub(super) async fn ask<T, F>(&self, work: F) -> Result<T, DiskError>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        if self.still_hangs() {
            return Err(DiskError::Hangs);
        }
        let (ends, ending) = oneshot::channel();
        let answer = errand::send(self.name, move || {
            let _ends = ends;
            work()
        })?;
        match timeout(PATIENCE, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(DiskError::Panicked),
            Err(_) => {
                *self.hanging.borrow_mut() = Some(ending);
                Err(DiskError::Hangs)
            }
        }
    }

    fn still_hangs(&self) -> bool {
        let mut hanging = self.hanging.borrow_mut();
        let hangs = |ending: &mut oneshot::Receiver<()>| {
            matches!(ending.try_recv(), Err(TryRecvError::Empty))
        };
        if hanging.as_mut().is_some_and(hangs) {
            return true;
        }
        *hanging = None;
        false
    }
}

/// Maximum wait for a task on the disk.
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_disk_that_hangs_is_given_up_and_asked_again_once_it_is_back() {
        let disk = Disk::new("test");
        assert_eq!(disk.ask(|| 5).await.unwrap(), 5);
        let panics = disk.ask(|| -> () { panic!("on purpose") }).await;
        assert!(matches!(panics, Err(DiskError::Panicked)));
        let (go_on, hang) = mpsc::channel::<()>();
        tokio::time::pause();
        let hangs = disk.ask(move || hang.recv()).await;
        assert!(matches!(hangs, Err(DiskError::Hangs)));
        tokio::time::resume();
        assert!(matches!(disk.ask(|| 6).await, Err(DiskError::Hangs)));
        go_on.send(()).unwrap();
        let again = async {
            loop {
                if let Ok(answer) = disk.ask(|| 7).await {
                    return answer;
                }
                tokio::task::yield_now().await;
            }
        };
        assert_eq!(timeout(PATIENCE, again).await.unwrap(), 7);
    }
}
