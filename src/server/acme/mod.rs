//! Orders certificates from CAs, and renews them in time (ACME, RFC 8555).
//!
//! A service of control. It looks every half second at what the snapshot asks for; work on disk and
//! with a CA is done in tasks, one order at a time for each directory, so that a CA that does not
//! answer holds up nothing else, neither another CA nor a reload nor the end of the process. What is issued
//! is written to a file; the watch on certificates takes it up from there like any other.
//!
//! Owns the seats of the certificates. What outlives a reload is in the registry, what outlives the
//! process is on the disk.

mod job;
mod plan;
mod seat;

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use self::seat::Seat;
use super::{
    disk::Disk,
    service::{Ended, Services, Stop},
};
use crate::{
    state::{AcmeCertificate, Snapshot},
    telemetry::{events::Events, metrics::ControlMetrics},
    tls::Challenges,
    worker::SharedState,
};

/// Starts to order what the snapshot in use asks for.
pub(super) fn start(
    services: &mut Services,
    shared: &Arc<SharedState>,
    events: &Arc<Events>,
    challenges: &Arc<Challenges>,
) {
    let shared = Arc::clone(shared);
    let tools = Rc::new(Tools {
        events: Arc::clone(events),
        challenges: Arc::clone(challenges),
        metrics: shared.metrics.control(),
        disk: Disk::new("certificate orders"),
    });
    services.start("certificate orders", move |stop| {
        follow(Arc::clone(&shared), Rc::clone(&tools), stop)
    });
}

/// Tools that all orders share.
struct Tools {
    events: Arc<Events>,
    challenges: Arc<Challenges>,
    metrics: ControlMetrics,
    disk: Disk,
}

async fn follow(shared: Arc<SharedState>, tools: Rc<Tools>, stop: Stop) -> Ended {
    let mut seats: HashMap<PathBuf, Seat> = HashMap::new();
    let mut looks = stop.looks(LOOK);
    while looks.next().await {
        let wanted = match shared.is_draining() {
            // Who takes over has the listening sockets, which the CA calls.
            true => HashMap::new(),
            false => wanted(&shared.snapshot()),
        };
        seats.retain(|file, _| wanted.contains_key(file));
        let ordering = seats.values().filter_map(Seat::ordering);
        let mut ordering: HashSet<PathBuf> = ordering.map(Path::to_owned).collect();
        for (file, certificate) in wanted {
            let seat = seats.entry(file).or_insert_with(|| Seat::new(&certificate));
            seat.look(&certificate, &mut ordering, &tools);
        }
    }
    Ok(())
}

/// The certificates that listeners ask for, each once.
fn wanted(snapshot: &Snapshot) -> HashMap<PathBuf, Arc<AcmeCertificate>> {
    let listeners = snapshot.listeners.iter();
    let certificates = listeners.filter_map(|listener| listener.acme.as_ref());
    let by_file = certificates.map(|it| (it.order.certificate(), Arc::clone(it)));
    by_file.collect()
}

const LOOK: Duration = Duration::from_millis(500);
