//! Constant requests from many connections, with a count of all failures.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::client::{Answer, Client};
use super::eventually::eventually;
use super::h2_client::H2Client;
use super::wire::End;

/// The request of each connection, in turn. The number makes each target unlike every other.
pub(crate) type Mix = fn(usize) -> (&'static str, String, &'static [u8]);

/// Load that runs until [`Load::stop`].
pub(crate) struct Load {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

/// Results of all requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdict {
    /// Requests that were answered with 200 and a complete body.
    pub(crate) fine: usize,
    /// Other answers, by status.
    pub(crate) statuses: BTreeMap<u16, usize>,
    /// Connections that ended while a request was under way or before the next one.
    pub(crate) closed: usize,
    /// Those of them and of `statuses` that were no POST, and so may be repeated.
    pub(crate) lost: usize,
    /// The first few faults, in detail.
    pub(crate) faults: Vec<String>,
}

struct Shared {
    address: SocketAddr,
    mix: Mix,
    stop: AtomicBool,
    next: AtomicUsize,
    verdict: Mutex<Verdict>,
}

impl Load {
    /// Starts this many HTTP/1.1 and HTTP/2 connections to this address.
    pub(crate) fn start(address: SocketAddr, h1: usize, h2: usize, mix: Mix) -> Self {
        let shared = Arc::new(Shared {
            address,
            mix,
            stop: AtomicBool::new(false),
            next: AtomicUsize::new(0),
            verdict: Mutex::default(),
        });
        let mut tasks = JoinSet::new();
        for _ in 0..h1 {
            tasks.spawn(h1_loop(Arc::clone(&shared)));
        }
        for _ in 0..h2 {
            tasks.spawn(h2_loop(Arc::clone(&shared)));
        }
        Self { shared, tasks }
    }

    /// Waits until this many more requests were answered.
    pub(crate) async fn goes_on(&self, more: usize) {
        let before = self.shared.verdict().fine;
        eventually("the load goes on", || async {
            (self.shared.verdict().fine >= before + more).then_some(())
        })
        .await;
    }

    /// Waits until this many more requests have ended, whatever way.
    pub(crate) async fn goes_through(&self, more: usize) {
        let ended = || {
            let verdict = self.shared.verdict();
            verdict.fine + verdict.closed + verdict.statuses.values().sum::<usize>()
        };
        let before = ended();
        eventually("the load goes through", || async {
            (ended() >= before + more).then_some(())
        })
        .await;
    }

    /// Lets every connection finish its request, and returns the results.
    pub(crate) async fn stop(mut self) -> Verdict {
        self.shared.stop.store(true, Ordering::SeqCst);
        while let Some(result) = self.tasks.join_next().await {
            result.expect("no panic in the load");
        }
        self.shared.verdict().clone()
    }
}

impl Shared {
    fn verdict(&self) -> std::sync::MutexGuard<'_, Verdict> {
        self.verdict.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self) -> bool {
        !self.stop.load(Ordering::SeqCst)
    }

    fn note(&self, what: &str, answer: &Answer) {
        let mut verdict = self.verdict();
        if answer.status == 200 && answer.end == End::Complete {
            verdict.fine += 1;
            return;
        }
        *verdict.statuses.entry(answer.status).or_default() += 1;
        verdict.fault(format!("{what}: {answer:?}"));
    }

    fn note_closed(&self, what: String) {
        let mut verdict = self.verdict();
        verdict.closed += 1;
        verdict.fault(what);
    }
}

impl Verdict {
    /// Checks that every request was answered well and that no connection was closed.
    #[track_caller]
    pub(crate) fn assert_clean(&self) {
        assert!(self.fine > 0, "the load was not idle");
        assert!(
            self.closed == 0 && self.statuses.is_empty(),
            "{} fine, {} closed, {:?}: {:#?}",
            self.fine,
            self.closed,
            self.statuses,
            self.faults
        );
    }

    fn fault(&mut self, what: String) {
        if !what.contains("POST ") {
            self.lost += 1;
        }
        if self.faults.len() < 10 {
            self.faults.push(what);
        }
    }
}

async fn h1_loop(shared: Arc<Shared>) {
    while shared.running() {
        let Ok(mut client) = Client::try_connect(shared.address).await else {
            shared.note_closed("connection refused".to_owned());
            sleep(PAUSE).await;
            continue;
        };
        while shared.running() {
            let (method, target, body) = shared.draw();
            client
                .send(super::client::request_bytes(method, &target, "", body))
                .await;
            match client.try_answer_to(method).await {
                Ok(answer) => {
                    let over = answer.field("connection") == "close";
                    shared.note(&format!("{method} {target}"), &answer);
                    if over {
                        shared.note_closed(format!("told to close after {method} {target}"));
                        break;
                    }
                }
                Err(end) => {
                    shared.note_closed(format!("{end:?} at {method} {target}"));
                    break;
                }
            }
            sleep(PAUSE).await;
        }
    }
}

async fn h2_loop(shared: Arc<Shared>) {
    while shared.running() {
        let mut client = H2Client::connect(shared.address).await;
        while shared.running() {
            let (method, target, body) = shared.draw();
            match client.request(method, &target, &[], body).await {
                Ok(answer) => shared.note(&format!("{method} {target}"), &answer),
                Err(fault) => {
                    shared.note_closed(format!("{fault:?} at {method} {target}"));
                    break;
                }
            }
            if !client.is_open() {
                shared.note_closed("HTTP/2 connection ended".to_owned());
                break;
            }
            sleep(PAUSE).await;
        }
    }
}

impl Shared {
    fn draw(&self) -> (&'static str, String, &'static [u8]) {
        (self.mix)(self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// Pause between two requests of one connection: this is load, not a benchmark.
const PAUSE: Duration = Duration::from_millis(2);
