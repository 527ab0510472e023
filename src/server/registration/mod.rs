//! Registration of listeners in registries, where other services look for them.
//!
//! Part of the control thread. An entry is made when its listener accepts, and removed before the
//! listener closes. A task for each entry does the work and waits for the registry; control never
//! does, apart from the end of a drain, within a limit.

mod entry;

use std::{collections::HashMap, future::Future, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, timeout, timeout_at},
};

use super::board::Board;
use crate::{
    state::Snapshot,
    task,
    telemetry::{events::Events, metrics::ControlMetrics},
    upstream::registration::RegistrationSpec,
};
use entry::{End, Entry};

/// The entries of this process.
pub(super) struct Registrations {
    /// By listener.
    running: HashMap<Arc<str>, Running>,
    board: Arc<Board>,
    events: Arc<Events>,
    metrics: ControlMetrics,
    /// Time for a process that takes over to make its entries before others are removed.
    successor_enters: Duration,
}

/// The task of one entry, which ends without a word when this is dropped.
struct Running {
    spec: Arc<RegistrationSpec>,
    end: watch::Sender<Option<End>>,
    task: JoinHandle<()>,
}

impl Registrations {
    pub(super) fn new(board: &Arc<Board>, events: &Arc<Events>, metrics: ControlMetrics) -> Self {
        Self {
            running: HashMap::new(),
            board: Arc::clone(board),
            events: Arc::clone(events),
            metrics,
            successor_enters: Duration::ZERO,
        }
    }

    /// Enters the listeners of a snapshot that accept by now, and removes other entries. The
    /// returned future ends when those are out, or after [`LEAVE_MAX`].
    pub(super) fn follow(&mut self, snapshot: &Snapshot) -> impl Future<Output = ()> + use<> {
        let mut wanted: HashMap<&Arc<str>, &Arc<RegistrationSpec>> = HashMap::new();
        for listener in &snapshot.listeners {
            if let Some(spec) = &listener.registration {
                wanted.insert(&listener.name, spec);
            }
        }
        let gone = self
            .running
            .extract_if(|name, _| !wanted.contains_key(name));
        let gone: Vec<Running> = gone.map(|(_, running)| running).collect();
        let mut leaving: Vec<JoinHandle<()>> = gone.into_iter().map(Running::leaves).collect();
        for (name, spec) in wanted {
            let before = match self.running.get(name) {
                Some(running) if running.spec == *spec => continue,
                Some(_) => self.running.remove(name),
                None => None,
            };
            let (running, replaced) = self.start(name, spec, before);
            leaving.extend(replaced);
            self.running.insert(Arc::clone(name), running);
        }
        out(leaving)
    }

    fn start(
        &self,
        listener: &Arc<str>,
        spec: &Arc<RegistrationSpec>,
        before: Option<Running>,
    ) -> (Running, Option<JoinHandle<()>>) {
        let (end, ended) = watch::channel(None);
        let entry = Entry::new(
            listener,
            spec,
            &self.board,
            &self.events,
            &self.metrics,
            ended,
        );
        let (made, is_made) = watch::channel(false);
        let replaced = match before {
            // The new entry takes the place of the old one.
            Some(before) if spec.replaces(&before.spec) => {
                before.end.send_replace(Some(End::Stays));
                None
            }
            before => before.map(|before| {
                let replaced = replace(before, is_made);
                task::spawn_local("registration", replaced)
            }),
        };
        let task = task::spawn_local("registration", entry.run(made));
        let running = Running {
            spec: Arc::clone(spec),
            end,
            task,
        };
        (running, replaced)
    }

    /// The entries that a process with this snapshot makes, as the process before hears of them.
    pub(super) fn wanted_by(snapshot: &Snapshot) -> Vec<String> {
        let listeners = snapshot.listeners.iter();
        let specs = listeners.filter_map(|it| it.registration.as_ref());
        specs.map(|spec| spec.identity()).collect()
    }

    /// Removes all entries; the returned future ends when they are out, or after [`LEAVE_MAX`].
    pub(super) fn leave(&mut self) -> impl Future<Output = ()> + use<> {
        let all: Vec<Running> = self.running.drain().map(|(_, running)| running).collect();
        let wait = self.successor_enters;
        async move {
            if !all.is_empty() {
                sleep(wait).await;
            }
            out(all.into_iter().map(Running::leaves).collect()).await;
        }
    }

    /// Leaves the entries to the process that takes over, which makes the same ones. Of those that
    /// it does not make, if it said which ones it makes, [`Self::leave`] removes each.
    pub(super) fn hand_over(&mut self, made: Option<&[String]>) {
        let is_made =
            |running: &Running| made.is_none_or(|made| made.contains(&running.spec.identity()));
        for (_, running) in self.running.extract_if(|_, running| is_made(running)) {
            running.end.send_replace(Some(End::Stays));
        }
        self.successor_enters = HANDED_OVER_WAIT;
    }
}

impl Running {
    /// Removes the entry; returns the task that does.
    fn leaves(self) -> JoinHandle<()> {
        self.end.send_replace(Some(End::Leaves));
        self.task
    }
}

/// Removes an entry once the one that follows it is made, or after a while.
async fn replace(before: Running, mut is_made: watch::Receiver<bool>) {
    // One that is never made is told elsewhere.
    let _ = timeout(REPLACE_MAX, is_made.wait_for(|made| *made)).await;
    let _ = before.leaves().await;
}

/// Waits until entries are out. What is not out in time goes by itself.
async fn out(leaving: Vec<JoinHandle<()>>) {
    let deadline = Instant::now() + LEAVE_MAX;
    for leaving in leaving {
        let _ = timeout_at(deadline, leaving).await;
    }
}

/// Maximum time for which an entry stays that another one follows.
const REPLACE_MAX: Duration = Duration::from_secs(5);
/// Time for which an entry stays at an upgrade whose new process makes another one.
const HANDED_OVER_WAIT: Duration = Duration::from_secs(1);
/// Maximum time for the removal of entries.
const LEAVE_MAX: Duration = Duration::from_secs(2);
