//! Attackers at work, and a thread that burns CPU in their place.

use std::{
    fs,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::{
    sync::oneshot,
    task::JoinSet,
    time::{Instant, sleep},
};

use super::attacks::{Attack, Target};

/// Attackers, on a thread of their own.
pub(super) struct Attackers {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
    /// The file with the CPU time of the thread.
    schedule: Arc<OnceLock<String>>,
}

impl Attackers {
    pub(super) fn start(attacks: &[Attack], target: &Arc<Target>) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (attacks, target) = (attacks.to_vec(), Arc::clone(target));
        let schedule = Arc::new(OnceLock::new());
        let own = Arc::clone(&schedule);
        let work = move || {
            let thread = fs::read_link("/proc/thread-self").unwrap();
            let _ = own.set(format!("/proc/{}/schedstat", thread.display()));
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let mut attackers = JoinSet::new();
                for Attack {
                    connections,
                    connection,
                    ..
                } in attacks
                {
                    for _ in 0..connections {
                        let target = Arc::clone(&target);
                        attackers.spawn(async move {
                            loop {
                                connection(Arc::clone(&target)).await;
                                sleep(Duration::from_millis(20)).await;
                            }
                        });
                    }
                }
                let _ = stopped.await;
                attackers.shutdown().await;
            });
        };
        Self {
            stop: Some(stop),
            thread: Some(thread::spawn(work)),
            schedule,
        }
    }

    /// CPU time that they have used; none before they run.
    pub(super) fn cpu(&self) -> Duration {
        let Some(file) = self.schedule.get() else {
            return Duration::ZERO;
        };
        // Its first number is the time on a CPU, in nanoseconds.
        let text = fs::read_to_string(file).unwrap();
        let first = text.split_whitespace().next().unwrap();
        Duration::from_nanos(first.parse().unwrap())
    }
}

impl Drop for Attackers {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A thread that burns a share of a core.
pub(super) struct Burning {
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Burning {
    /// `share` of each millisecond.
    pub(super) fn start(share: f64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let busy = STEP.mul_f64(share.min(1.0));
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let begin = Instant::now();
                while begin.elapsed() < busy {
                    std::hint::spin_loop();
                }
                if let Some(rest) = STEP.checked_sub(begin.elapsed()) {
                    thread::park_timeout(rest);
                }
            }
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Burning {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

const STEP: Duration = Duration::from_millis(1);
