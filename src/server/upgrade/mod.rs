//! The upgrade of the binary: another process takes over, and no connection is lost between.
//!
//! The old process starts the new one with its own arguments and passes it the listening sockets
//! over a socket pair that only the two of them have. The new one loads, checks and binds as at
//! any start, and says that it is ready; until then the old one serves as if nothing was. It then
//! hands over its state, the new one accepts, and the old one drains. Whatever goes wrong before
//! leaves the old one serving.
//!
//! [`message`] is what they say, [`sections`] the state that goes over, [`successor`] the side of
//! the old process, [`predecessor`] that of the new one.

mod cancel;
mod carried;
mod link;
mod message;
mod output;
pub(super) mod predecessor;
mod program;
mod sections;
mod successor;

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use super::{
    StartError,
    control::{Control, Request},
    errand,
    registration::Registrations,
};
use crate::{
    admin::model::{UpgradeRefusal, UpgradeReport, UpgradeRequest},
    config::value::BindAddress,
    state::Snapshot,
};

pub(super) use message::Sections;
pub(super) use program::Program;
pub(super) use successor::Farewell;

use cancel::Cancel;
use predecessor::{News, Predecessor};
use sections::State;
use successor::{Failed, Handover, Successor};

/// Receiver of the outcome of an upgrade.
pub(super) type Answer = oneshot::Sender<Result<UpgradeReport, UpgradeRefusal>>;

/// A request for an upgrade.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// The program; by default that of this process, as it now stands on disk.
    pub(super) binary: Option<PathBuf>,
    /// Maximum time until the new process is ready.
    pub(super) patience: Option<Duration>,
    pub(super) answer: Option<Answer>,
}

/// The upgrade under way, if there is one, and what upgrades start from.
#[derive(Debug)]
pub(super) struct Upgrades {
    /// None in an embedding program.
    program: Option<Program>,
    /// Counts the processes, from the first that was not started by an upgrade.
    process_generation: u64,
    under_way: Option<UnderWay>,
    /// Upgrade that starts after the current reload.
    next: Option<Wanted>,
}

#[derive(Debug)]
struct UnderWay {
    outcome: oneshot::Receiver<Result<Successor, Failed>>,
    binary: String,
    answer: Option<Answer>,
    cancel: Cancel,
}

/// An upgrade that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) outcome: Result<Successor, Failed>,
    pub(super) binary: String,
    answer: Option<Answer>,
}

impl Wanted {
    /// An upgrade that the admin API asks for.
    pub(super) fn by(request: UpgradeRequest, answer: Answer) -> Self {
        let patience = request.timeout_ms.map(u64::from);
        Self {
            binary: request.binary,
            patience: patience.map(Duration::from_millis),
            answer: Some(answer),
        }
    }
}

impl Upgrades {
    pub(super) fn new(program: Option<Program>, process_generation: u64) -> Self {
        Self {
            program,
            process_generation,
            under_way: None,
            next: None,
        }
    }

    /// Waits for the end of the upgrade under way. Cancel safe.
    pub(super) async fn ended(&mut self) -> Ended {
        let Some(under_way) = &mut self.under_way else {
            return std::future::pending().await;
        };
        let outcome = (&mut under_way.outcome).await;
        let outcome = outcome.unwrap_or_else(|_| {
            Err(Failed {
                reason: "handing over panicked; this is a bug".to_owned(),
                output: Vec::new(),
            })
        });
        let under_way = self.under_way.take();
        let (binary, answer) = under_way.map_or_else(Default::default, |it| (it.binary, it.answer));
        Ended {
            outcome,
            binary,
            answer,
        }
    }

    /// Gives up the upgrade under way, since the process ends.
    pub(super) async fn cancel(&mut self) {
        self.next = None;
        if let Some(under_way) = &self.under_way {
            under_way.cancel.now();
            let _ = tokio::time::timeout(CANCEL_PATIENCE, self.ended()).await;
        }
    }

    fn refusal(&self, draining: bool) -> Option<UpgradeRefusal> {
        let why = if draining {
            return Some(UpgradeRefusal::Stopping);
        } else if self.under_way.is_some() || self.next.is_some() {
            "an upgrade is under way already"
        } else if self.program.is_none() {
            "the proxy is embedded in another program, which has to start its own successor"
        } else if std::process::id() == 1 {
            "the proxy is the first process of its container, which ends with it; replace the \
             container instead"
        } else {
            return None;
        };
        Some(UpgradeRefusal::NotNow(why.to_owned()))
    }
}

impl Control {
    /// Begins an upgrade, once the reload under way has ended, or says why not.
    pub(super) fn want_upgrade(&mut self, wanted: Wanted) {
        if let Some(refusal) = self.upgrades.refusal(self.draining) {
            tracing::error!("upgrade refused: {refusal}");
            if let Some(answer) = wanted.answer {
                // Whoever asked may have gone away.
                let _ = answer.send(Err(refusal));
            }
            return;
        }
        if self.reloads.hold() {
            self.begin_upgrade(wanted);
        } else {
            self.upgrades.next = Some(wanted);
        }
    }

    /// Begins the upgrade that waits for the end of a reload, if there is one; true if so.
    pub(super) fn upgrade_after_reload(&mut self) -> bool {
        let Some(wanted) = self.upgrades.next.take() else {
            return false;
        };
        self.reloads.hold();
        self.begin_upgrade(wanted);
        true
    }

    fn begin_upgrade(&mut self, wanted: Wanted) {
        let program = self.upgrades.program.clone();
        let program = match (&wanted.binary, program) {
            (Some(path), Some(program)) => program.with_file(path).map_err(|error| {
                let path = path.display();
                format!("{path} is not started: {error}")
            }),
            (None, Some(program)) => Ok(program),
            (_, None) => Err("the program is not known".to_owned()),
        };
        let binary = match (&program, &wanted.binary) {
            (Ok(program), _) => program.path.display().to_string(),
            (Err(_), Some(path)) => path.display().to_string(),
            (Err(_), None) => String::new(),
        };
        let what = json!({ "state": "started", "binary": binary });
        self.events.publish("upgrade", "proxy", what);
        let cancel = Cancel::default();
        let outcome = program.and_then(|program| {
            let admin = self.admin_offer.clone();
            let handover = Handover {
                program,
                patience: wanted.patience.unwrap_or(READY_PATIENCE),
                process_generation: self.upgrades.process_generation + 1,
                shared: Arc::clone(&self.shared),
                tickets: Arc::clone(&self.tickets),
                admin: admin.into_iter().chain(self.metrics.offer()).collect(),
                cancel: cancel.clone(),
            };
            errand::send("upgrade", move || handover.run()).map_err(|error| error.to_string())
        });
        let outcome = outcome.unwrap_or_else(|reason| {
            let (failed, outcome) = oneshot::channel();
            let output = Vec::new();
            let _ = failed.send(Err(Failed { reason, output }));
            outcome
        });
        self.upgrades.under_way = Some(UnderWay {
            outcome,
            binary,
            answer: wanted.answer,
            cancel,
        });
    }

    /// Tells what came of an upgrade. The new process, if it serves; then this one must drain.
    pub(super) fn upgraded(&mut self, ended: Ended) -> Option<Successor> {
        let Ended {
            outcome,
            binary,
            answer,
        } = ended;
        let report = match &outcome {
            Ok(successor) => UpgradeReport::succeeded(binary, successor.pid, &successor.version),
            Err(failed) => UpgradeReport::failed(binary, failed.reason.clone(), &failed.output),
        };
        self.gauges.upgraded(report.result.word());
        let what = serde_json::to_value(&report).unwrap_or_default();
        self.events.publish("upgrade", "proxy", what);
        match &outcome {
            Ok(Successor { pid, version, .. }) => {
                tracing::info!(
                    pid,
                    version,
                    "upgrade: the new process serves; this one drains"
                );
            }
            Err(Failed { reason, output }) => {
                tracing::error!("upgrade failed, this process goes on serving: {reason}");
                for line in output {
                    tracing::error!("the new process wrote: {line}");
                }
            }
        }
        if let Some(answer) = answer {
            // Whoever asked may have gone away.
            let _ = answer.send(match outcome {
                Ok(_) => Ok(report),
                Err(_) => Err(UpgradeRefusal::Failed(Box::new(report))),
            });
        }
        match outcome {
            Ok(successor) => Some(successor),
            Err(_) => {
                if let Some(next) = self.reloads.release() {
                    self.want_reload(next);
                }
                None
            }
        }
    }

    /// Leaves to the new process what it has taken; gives what tells it how the drain goes on.
    pub(super) fn leave_to(&mut self, mut successor: Successor) -> Option<Farewell> {
        self.draining = true;
        self.decisions.hand_over();
        self.registrations
            .hand_over(successor.registered.as_deref());
        self.notify.hand_over(successor.pid);
        self.shared.sockets.pass_on(&successor.taken);
        let offers = self.admin_offer.clone().into_iter();
        for (address, offer) in offers.chain(self.metrics.offer()) {
            if successor.taken.contains(&address) {
                offer.pass_on();
            }
        }
        self.metrics.close();
        if let Some(admin) = self.admin.take() {
            admin.close();
        }
        successor.begin(self.shared.open_connections());
        match successor.accompany(&self.shared) {
            Ok(farewell) => Some(farewell),
            Err(error) => {
                tracing::error!(%error, "the new process is not told how the drain goes on");
                None
            }
        }
    }

    /// Says to the process before that this one is ready, and waits to be told to serve.
    ///
    /// # Errors
    /// That it must not serve.
    pub(super) async fn take_over(
        &self,
        mut predecessor: Predecessor,
        snapshot: &Snapshot,
    ) -> Result<(Predecessor, Sections), StartError> {
        let registered = Registrations::wanted_by(snapshot);
        let committed = errand::send("take over", move || {
            let sections = predecessor.ready(registered);
            sections.map(|sections| (predecessor, sections))
        })?;
        let panicked = |_| StartError::TakeOver(io::Error::other("it panicked; this is a bug"));
        let committed = committed.await.map_err(panicked)?;
        committed.map_err(StartError::TakeOver)
    }

    /// Serves, and hears how the drain of the process before goes on.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn follow(
        &self,
        predecessor: Predecessor,
        requests: mpsc::Sender<Request>,
    ) -> Result<(), StartError> {
        let (pid, version) = (predecessor.pid, predecessor.version.clone());
        tracing::info!(pid, version, "upgrade: took over from the process before");
        let followed = predecessor.follow(move |news| {
            // The end of this process ends this as well.
            let _ = requests.blocking_send(Request::Predecessor(news));
        });
        Ok(followed?)
    }

    /// Follows what the process before says.
    pub(super) fn hear_predecessor(&mut self, news: News) {
        match news {
            News::Draining(connections, sections) => {
                // The manager has been told of this process by now.
                if self
                    .board
                    .predecessor()
                    .is_some_and(|it| it.connections.is_none())
                {
                    self.notify.ready("serving");
                }
                self.board.predecessor_drains(connections);
                self.take_up_state(sections);
            }
            News::Gone => {
                let Some(gone) = self.board.predecessor_ended() else {
                    return;
                };
                if gone.connections.is_none() {
                    self.notify.ready("serving");
                }
                let pid = gone.pid;
                tracing::info!(pid, "upgrade: the process before has ended");
                let what = json!({ "state": "predecessor_ended", "pid": pid });
                self.events.publish("upgrade", "proxy", what);
            }
        }
    }

    /// Takes up what the process before knew.
    pub(super) fn take_up_state(&self, sections: Sections) {
        let snapshot = self.shared.snapshot();
        let state = State {
            snapshot: &snapshot,
            metrics: &self.shared.metrics,
            tickets: &self.tickets,
        };
        state.take_up(sections);
    }
}

/// An address as the two processes speak it.
fn spoken_address(address: &BindAddress) -> String {
    address.to_string()
}

/// Default maximum time until a new process is ready.
const READY_PATIENCE: Duration = Duration::from_secs(45);
/// Maximum wait of a stopping process for the end of a cancelled upgrade.
const CANCEL_PATIENCE: Duration = Duration::from_secs(2);
