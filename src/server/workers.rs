//! Threads of the workers: all of them start or none, and their end is noticed.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
    thread::JoinHandle,
    time::Duration,
};

use tokio::{
    runtime::{self, LocalRuntime},
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{StartError, worker_thread::WorkerThread};
use crate::{
    task,
    worker::{Command, SharedState, Worker},
};

/// Starts one thread for each receiver, and waits until all of them run.
///
/// # Errors
/// The first worker that cannot start; those that did are told to end.
pub(super) async fn start(
    shared: &Arc<SharedState>,
    receivers: Vec<mpsc::Receiver<Command>>,
) -> Result<Vec<JoinHandle<()>>, StartError> {
    let mut threads = Vec::with_capacity(receivers.len());
    let mut started = Vec::with_capacity(receivers.len());
    let mut failed = None;
    for (index, commands) in receivers.into_iter().enumerate() {
        let (tell, told) = oneshot::channel();
        match start_one(index, shared, commands, tell) {
            Ok(thread) => threads.push(thread),
            Err(error) => {
                failed = Some(StartError::Worker(index, error));
                break;
            }
        }
        started.push(told);
    }
    for (index, told) in started.into_iter().enumerate() {
        let error = match timeout(PATIENCE, told).await {
            Ok(Ok(Ok(()))) => continue,
            Ok(Ok(Err(error))) => error,
            Ok(Err(_)) => io::Error::other("it panicked"),
            Err(_) => io::ErrorKind::TimedOut.into(),
        };
        failed.get_or_insert(StartError::Worker(index, error));
    }
    let Some(error) = failed else {
        return Ok(threads);
    };
    for place in &shared.workers {
        // One that has not started has no room for it and needs none.
        let _ = place.commands.try_send(Command::End);
    }
    Err(error)
}

fn start_one(
    index: usize,
    shared: &Arc<SharedState>,
    commands: mpsc::Receiver<Command>,
    started: oneshot::Sender<io::Result<()>>,
) -> io::Result<JoinHandle<()>> {
    let shared = Arc::clone(shared);
    std::thread::Builder::new()
        .name(format!("worker-{index}"))
        .spawn(move || {
            let ended = Ended(index, Arc::clone(&shared));
            let runtime = runtime::Builder::new_current_thread()
                .enable_all()
                .event_interval(EVENT_INTERVAL)
                .build_local(runtime::LocalOptions::default());
            match runtime {
                Ok(runtime) => run(runtime, async {
                    let thread = WorkerThread::new(Worker::new(index, shared));
                    let _ = started.send(Ok(()));
                    if task::caught(std::pin::pin!(thread.run(commands)))
                        .await
                        .is_err()
                    {
                        tracing::error!(index, "a worker panicked; this is a bug");
                    }
                }),
                Err(error) => {
                    let _ = started.send(Err(error));
                }
            }
            // Dropped after the runtime, and with it the sockets: nothing waits in them then.
            drop(ended);
        })
}

/// Runs a worker to its end. What another thread still reads from a disk for it, such as
/// certificates of a provider, is not waited for: a disk that hangs would hold up the process.
fn run(runtime: LocalRuntime, work: impl Future<Output = ()>) {
    runtime.block_on(work);
    runtime.shutdown_background();
}

/// Notes the end of a thread, for any reason.
struct Ended(usize, Arc<SharedState>);

impl Drop for Ended {
    fn drop(&mut self) {
        let Self(index, shared) = self;
        shared.workers[*index].ended.store(true, Ordering::Release);
    }
}

/// Number of tasks run between two polls of the sockets; fewer polls are fewer system calls.
const EVENT_INTERVAL: u32 = 512;
/// Maximum time for the start of a worker.
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_hangs_holds_up_no_end() {
        let mut builder = runtime::Builder::new_current_thread();
        let runtime = builder.build_local(runtime::LocalOptions::default());
        let (go, hangs) = std::sync::mpsc::channel::<()>();
        let (begun, begins) = oneshot::channel();
        run(runtime.unwrap(), async {
            let read = tokio::task::spawn_blocking(move || {
                begun.send(()).unwrap();
                let _ = hangs.recv();
            });
            begins.await.unwrap();
            drop(read);
        });
        // It would not get here.
        drop(go);
    }
}
