//! Signals of the system to the process, and the thread that receives them.
//!
//! Signals are taken first of all, by a thread that does nothing else: a signal during the start,
//! or while control is busy, kills nothing and is not lost. That thread also ends the process if
//! control does not: two seconds after a request to stop during the start, [`SECOND_STOP_PATIENCE`]
//! after a second request, at once after a third.
//!
//! As the first process of a container it also reaps orphaned processes, which nobody else does.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use rustix::process::{WaitOptions, wait};
use tokio::{
    runtime,
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

/// Request of a signal, other than to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// SIGHUP: read the configuration.
    Reload,
    /// SIGUSR1: reopen log files.
    Reopen,
    /// SIGUSR2: hand over to a new binary.
    Upgrade,
}

/// Signals of the process, as received by control; none in an embedding program.
#[derive(Debug)]
pub struct Signals {
    asked: Option<mpsc::Receiver<Asked>>,
    /// Number of SIGTERM and SIGINT received.
    stops: watch::Receiver<u32>,
    serving: Arc<AtomicBool>,
    /// Keeps the channel open if no thread sends.
    _stops: Option<watch::Sender<u32>>,
}

impl Signals {
    /// Takes over the signals of the process from here on.
    ///
    /// # Errors
    /// If the system cannot make a descriptor or thread for it.
    pub fn take() -> io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let heard = {
            let _inside = runtime.enter();
            Heard::new()?
        };
        let (ask, asked) = mpsc::channel(ASKED_MAX);
        let (stop, stops) = watch::channel(0);
        let serving = Arc::new(AtomicBool::new(false));
        let sentinel = Sentinel {
            ask,
            stop,
            serving: Arc::clone(&serving),
        };
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || runtime.block_on(sentinel.listen(heard)))?;
        Ok(Self {
            asked: Some(asked),
            stops,
            serving,
            _stops: None,
        })
    }

    /// No signals: they belong to the embedding program.
    pub(super) fn none() -> Self {
        let (stop, stops) = watch::channel(0);
        Self {
            asked: None,
            stops,
            serving: Arc::default(),
            _stops: Some(stop),
        }
    }

    /// Notes that the process serves: from now on, control ends it.
    pub(super) fn serving(&self) {
        self.serving.store(true, Ordering::Relaxed);
    }

    /// Waits for the next request. Cancel safe.
    pub(super) async fn next(&mut self) -> Asked {
        let next = match &mut self.asked {
            Some(asked) => asked.recv().await,
            None => None,
        };
        match next {
            Some(asked) => asked,
            None => std::future::pending().await,
        }
    }

    /// Waits until the process was told to stop this many times.
    pub(super) fn stopped(&self, times: u32) -> impl Future<Output = ()> + use<> {
        let mut stops = self.stops.clone();
        async move {
            if stops.wait_for(|stops| *stops >= times).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

struct Sentinel {
    ask: mpsc::Sender<Asked>,
    stop: watch::Sender<u32>,
    serving: Arc<AtomicBool>,
}

/// Signals received since this was made.
struct Heard {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    user1: Signal,
    user2: Signal,
    /// Only as the first process of a container.
    child: Option<Signal>,
}

impl Heard {
    fn new() -> io::Result<Self> {
        let is_first = std::process::id() == 1;
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            user1: signal(SignalKind::user_defined1())?,
            user2: signal(SignalKind::user_defined2())?,
            child: is_first.then(|| signal(SignalKind::child())).transpose()?,
        })
    }
}

impl Sentinel {
    async fn listen(self, mut heard: Heard) {
        let mut end: Option<Instant> = None;
        loop {
            let over = async {
                match end {
                    Some(end) => sleep_until(end).await,
                    None => std::future::pending().await,
                }
            };
            let child = async {
                match &mut heard.child {
                    Some(child) => child.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = heard.terminate.recv() => end = self.stop(),
                _ = heard.interrupt.recv() => end = self.stop(),
                _ = heard.hangup.recv() => self.ask(Asked::Reload),
                _ = heard.user1.recv() => self.ask(Asked::Reopen),
                _ = heard.user2.recv() => self.ask(Asked::Upgrade),
                _ = child => reap(),
                () = over => {
                    self.end_by_force();
                    end = None;
                }
            }
        }
    }

    /// Counts a request to stop; returns the time by which control must have ended the process.
    fn stop(&self) -> Option<Instant> {
        let mut times = 0;
        self.stop.send_modify(|stops| {
            *stops += 1;
            times = *stops;
        });
        let patience = match times {
            1 if self.serving.load(Ordering::Relaxed) => return None,
            1 => START_PATIENCE,
            2 => SECOND_STOP_PATIENCE,
            _ => Duration::ZERO,
        };
        Some(Instant::now() + patience)
    }

    fn ask(&self, asked: Asked) {
        // So many of them wait that this one changes nothing.
        let _ = self.ask.try_send(asked);
    }

    fn end_by_force(&self) {
        if *self.stop.borrow() == 1 && self.serving.load(Ordering::Relaxed) {
            // It began to serve after all, and drains.
            return;
        }
        tracing::error!("received a stop signal, but something does not end: ending by force");
        // The log is written by a thread of its own.
        thread::park_timeout(LAST_LINES);
        std::process::exit(1);
    }
}

/// Reaps every process that has ended.
fn reap() {
    while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
}

/// Maximum number of signals that wait for control; more of them request the same again.
const ASKED_MAX: usize = 16;
/// Time that a start goes on after a request to stop.
const START_PATIENCE: Duration = Duration::from_secs(2);
/// Time that the process has after the second request to stop.
const SECOND_STOP_PATIENCE: Duration = Duration::from_secs(3);
const LAST_LINES: Duration = Duration::from_millis(100);

/// Waits for a part of the start; returns true if the process is told to stop before its end.
pub(super) async fn is_stopped_meanwhile(
    part: impl Future<Output = ()>,
    signals: &mut Signals,
) -> bool {
    tokio::select! {
        () = part => false,
        () = signals.stopped(1) => {
            tracing::info!("stopped before the start was complete");
            true
        }
    }
}
