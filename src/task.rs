//! Tasks: each starts here, is named and counted, and has its panics reported.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::atomic::{AtomicI64, AtomicU64, Ordering},
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
use tokio::task::JoinHandle;

/// Number of tasks that have started and not ended, in the whole process.
pub static TASKS: AtomicI64 = AtomicI64::new(0);
/// Number of tasks and exchanges that ended in a panic.
pub static PANICS: AtomicU64 = AtomicU64::new(0);

/// Starts a task on this thread's local runtime.
///
/// A panic ends the task only, and is logged and counted.
pub fn spawn_local<F>(name: &'static str, future: F) -> JoinHandle<()>
where
    F: Future<Output = ()> + 'static,
{
    tokio::task::spawn_local(Task {
        name,
        future,
        guard: TaskGuard::new(),
    })
}

/// Starts a task on the runtime that this is called on, also outside of a local one.
///
/// A panic ends the task only, and is logged and counted.
pub fn spawn<F>(name: &'static str, future: F) -> JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    tokio::task::spawn(Task {
        name,
        future,
        guard: TaskGuard::new(),
    })
}

pin_project! {
    /// A task, as the runtime sees it. A type of its own, since an `async` block would have room
    /// for the future twice: as argument, and where it runs.
    struct Task<F> {
        name: &'static str,
        #[pin]
        future: F,
        guard: TaskGuard,
    }
}

impl<F: Future<Output = ()>> Future for Task<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        match poll_caught(this.future, cx) {
            Ok(polled) => polled,
            Err(Panicked) => {
                tracing::error!(task = this.name, "a task panicked; this is a bug");
                Poll::Ready(())
            }
        }
    }
}

/// The future panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Panicked;

/// Runs a future, and turns its panic into an error, which is counted.
///
/// Takes it pinned: the walk of a request is large, and moving it would be expensive.
///
/// # Errors
/// [`Panicked`] if the future panicked; it is not polled again.
pub async fn caught<F: Future>(mut future: Pin<&mut F>) -> Result<F::Output, Panicked> {
    std::future::poll_fn(|cx| match poll_caught(future.as_mut(), cx) {
        Ok(polled) => polled.map(Ok),
        Err(panicked) => Poll::Ready(Err(panicked)),
    })
    .await
}

fn poll_caught<F: Future>(
    future: Pin<&mut F>,
    cx: &mut Context<'_>,
) -> Result<Poll<F::Output>, Panicked> {
    let polled = std::panic::catch_unwind(AssertUnwindSafe(|| future.poll(cx)));
    polled.map_err(|_| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        Panicked
    })
}

struct TaskGuard;

impl TaskGuard {
    fn new() -> Self {
        TASKS.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Drop for TaskGuard {
    fn drop(&mut self) {
        TASKS.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_its_task_only() {
        let local = tokio::task::LocalSet::new();
        local
            .run_until(async {
                let before = PANICS.load(Ordering::Relaxed);
                let task = spawn_local("test", async { panic!("on purpose") });
                assert!(task.await.is_ok());
                assert_eq!(PANICS.load(Ordering::Relaxed), before + 1);
                assert_eq!(caught(std::pin::pin!(async { 5 })).await, Ok(5));
            })
            .await;
    }
}
