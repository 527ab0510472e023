//! Certificates that are renewed on disk: detects the change, verifies the files and swaps them in.
//!
//! The control thread looks at the files every second. Links are followed, so that a mounted secret
//! that is replaced by a link is noticed; and this needs no file events, which some file systems do
//! not send. A change counts once it has been the same for two looks: chain and key are seldom
//! written at once. Files that never come to rest are read after some seconds, as they are. If files cannot be used, the old content stays in use, and the fault is
//! reported in log, event and metric. They are tried again nevertheless: a file may become
//! readable, or a certificate valid, without another change.
//!
//! Each look also reads the clock: certificates close to their expiry are reported every day.
//!
//! Owns the last seen stamps of each file.

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    certificate_gauges::Gauges,
    disk::{Disk, DiskError},
    expiry::{Dated, Expiries, Subject},
    named_files::RESTLESS_MAX,
    outages::Outages,
    renewed,
    service::{Ended, Services, Stop},
};
use crate::{
    state::Snapshot,
    telemetry::{
        events::Events,
        metrics::{ControlMetrics, names},
    },
    tls::{Certificate, ClientTls, Renewal, RevocationLists, ServerTls, Stamps, TicketKeys},
    worker::SharedState,
};

/// Starts the watch on the files, and the rotation of the ticket keys.
pub(super) fn start(
    services: &mut Services,
    shared: &Arc<SharedState>,
    events: &Arc<Events>,
    tickets: &Arc<TicketKeys>,
    outages: &Arc<Outages>,
) {
    let (shared, events) = (Arc::clone(shared), Arc::clone(events));
    let outages = Arc::clone(outages);
    let disk = Rc::new(Disk::new("certificates"));
    services.start("certificate watch", move |stop| {
        let outages = Arc::clone(&outages);
        let watch = Watch::new(shared.metrics.control(), Rc::clone(&disk), outages);
        watch.run(Arc::clone(&shared), Arc::clone(&events), stop)
    });
    let tickets = Arc::clone(tickets);
    // On its own: a disk that hangs must not keep a key in use.
    services.start("ticket keys", move |stop| {
        let tickets = Arc::clone(&tickets);
        async move {
            let mut looks = stop.looks(LOOK);
            while looks.next().await {
                tickets.rotate(Instant::now());
            }
            Ok(())
        }
    });
}

struct Watch {
    metrics: ControlMetrics,
    /// Files that differed from those in use at the last look.
    seen: HashMap<Owner, Seen>,
    gauges: Gauges,
    expiries: Expiries,
    disk: Rc<Disk>,
    outages: Arc<Outages>,
    /// Owners whose files are refused, as readiness has it.
    refused: HashSet<Owner>,
}

/// Stamps seen at a look, and the result of reading the files.
struct Seen {
    stamps: Stamps,
    /// Time since when they have been changing without a rest.
    restless: Instant,
    /// Time of the next reading.
    due: Instant,
    /// Wait after that.
    wait: Duration,
    /// Messages logged about it.
    told: Vec<String>,
}

/// Owner of the files.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Owner {
    Listener(Arc<str>),
    Pool(Arc<str>),
}

/// Content read from files.
#[derive(Clone)]
enum Held {
    Server(Arc<ServerTls>),
    Client(Arc<ClientTls>),
}

impl Watch {
    fn new(metrics: ControlMetrics, disk: Rc<Disk>, outages: Arc<Outages>) -> Self {
        Self {
            metrics,
            seen: HashMap::new(),
            gauges: Gauges::default(),
            expiries: Expiries::default(),
            disk,
            outages,
            refused: HashSet::new(),
        }
    }

    /// Watches the files of every listener and pool.
    async fn run(mut self, shared: Arc<SharedState>, events: Arc<Events>, stop: Stop) -> Ended {
        let mut looks = stop.looks(LOOK);
        while looks.next().await {
            let snapshot = shared.snapshot();
            tokio::select! {
                () = stop.told() => break,
                looked = self.look(&snapshot, &events) => looked?,
            }
        }
        Ok(())
    }

    async fn look(&mut self, snapshot: &Snapshot, events: &Events) -> Result<(), DiskError> {
        let all = held(snapshot);
        let holders: Vec<Held> = all.iter().map(|(_, held)| held.clone()).collect();
        let look = move || holders.iter().map(Held::stamps).collect::<Vec<_>>();
        for ((owner, held), stamps) in all.iter().zip(self.disk.ask(look).await?) {
            if stamps == held.in_use() {
                self.seen.remove(owner);
            } else if self.is_due(owner, stamps, Instant::now()) {
                let held = held.clone();
                let renewal = self.disk.ask(move || held.read()).await?;
                self.tell(owner, &renewal, events);
            }
        }
        self.seen
            .retain(|owner, _| all.iter().any(|(it, _)| it == owner));
        self.note();
        self.gauges.show(&self.metrics, snapshot);
        let subjects = all.iter().flat_map(|(owner, held)| {
            let (kind, name) = owner.words();
            let certificates = held.certificates().into_iter().map(Dated::Certificate);
            let lists = held.revocation_lists().map(Dated::Revocations);
            certificates.chain(lists).map(move |content| Subject {
                kind,
                name: name.to_owned(),
                content,
            })
        });
        self.expiries.tell(subjects, SystemTime::now(), events);
        Ok(())
    }

    /// Returns true if the files are to be read now. Once they have been the same for two looks: at
    /// once, then at growing intervals for as long as they cannot be used. Else after
    /// [`RESTLESS_MAX`].
    fn is_due(&mut self, owner: &Owner, stamps: Stamps, now: Instant) -> bool {
        match self.seen.get_mut(owner) {
            Some(seen) if seen.stamps == stamps => {
                let due = now >= seen.due;
                seen.restless = now;
                if due {
                    seen.due = now + seen.wait;
                    seen.wait = (seen.wait * 2).min(RETRY_MAX);
                }
                due
            }
            Some(seen) => {
                // Somebody may write them again and again.
                let due = now >= seen.restless + RESTLESS_MAX;
                if due {
                    seen.restless = now;
                }
                (seen.stamps, seen.due, seen.wait) = (stamps, now, LOOK);
                due
            }
            None => {
                let seen = Seen {
                    stamps,
                    restless: now,
                    due: now,
                    wait: LOOK,
                    told: Vec::new(),
                };
                self.seen.insert(owner.clone(), seen);
                false
            }
        }
    }

    /// Reports the result of reading changed files; a lasting fault is reported once.
    fn tell(&mut self, owner: &Owner, renewal: &Renewal, events: &Events) {
        let (of, name) = owner.words();
        if !renewal.renewed.is_empty() {
            let renewed = renewal.renewed.iter();
            let renewed: Vec<_> = renewed.flat_map(|it| renewed::tell(of, name, it)).collect();
            self.publish(owner, "succeeded", ("renewed", renewed.into()), events);
        }
        renewed::tell_warnings(of, name, &renewal.warnings);
        let faults: Vec<String> = renewal.faults.iter().map(ToString::to_string).collect();
        let seen = self.seen.get_mut(owner);
        let told = seen.map(|seen| std::mem::replace(&mut seen.told, faults.clone()));
        let told = told.unwrap_or_default();
        for fault in faults.iter().filter(|fault| !told.contains(fault)) {
            tracing::error!(
                of, name, error = %fault,
                "changed certificate files are refused; the old ones stay in use"
            );
            self.publish(owner, "failed", ("error", fault.as_str().into()), events);
        }
    }

    fn publish(&self, owner: &Owner, result: &str, more: (&str, Value), events: &Events) {
        let (of, name) = owner.words();
        self.metrics
            .counter(&names::CERTIFICATE_RELOADS_TOTAL, [result])
            .inc();
        let mut what = json!({ "of": of, "name": name, "result": result });
        what[more.0] = more.1;
        events.publish("certificates", "proxy", what);
    }

    /// Has readiness list whose files are refused, and nobody else.
    fn note(&mut self) {
        let before = std::mem::take(&mut self.refused);
        for (owner, seen) in &self.seen {
            if let Some(fault) = seen.told.first() {
                self.outages.note::<()>(owner.refused(), &Err(fault));
                self.refused.insert(owner.clone());
            }
        }
        for owner in before.difference(&self.refused) {
            self.outages.over(owner.refused());
        }
    }
}

impl Owner {
    fn words(&self) -> (&'static str, &str) {
        match self {
            Self::Listener(name) => ("listener", name),
            Self::Pool(name) => ("pool", name),
        }
    }

    /// The words of readiness while its files are refused.
    fn refused(&self) -> String {
        let (of, name) = self.words();
        format!("{of} {name}: its changed certificate files are refused, the old ones stay in use,")
    }
}

impl Held {
    fn in_use(&self) -> Stamps {
        match self {
            Self::Server(tls) => tls.stamps(),
            Self::Client(tls) => tls.stamps(),
        }
    }

    fn certificates(&self) -> Vec<Arc<Certificate>> {
        match self {
            Self::Server(tls) => tls.certificates(),
            Self::Client(tls) => tls.certificate().into_iter().collect(),
        }
    }

    fn revocation_lists(&self) -> Option<Arc<RevocationLists>> {
        match self {
            Self::Server(tls) => tls.revocation_lists(),
            Self::Client(_) => None,
        }
    }

    /// Returns the current stamps of the files; blocks on the disk.
    fn stamps(&self) -> Stamps {
        match self {
            Self::Server(tls) => Stamps::of(&tls.files()),
            Self::Client(tls) => Stamps::of(&tls.files()),
        }
    }

    fn read(&self) -> Renewal {
        match self {
            Self::Server(tls) => tls.reload(),
            Self::Client(tls) => tls.reload(),
        }
    }
}

fn held(snapshot: &Snapshot) -> Vec<(Owner, Held)> {
    let listeners = snapshot.listeners.iter().filter_map(|listener| {
        let tls = Arc::clone(listener.tls.as_ref()?);
        Some((
            Owner::Listener(Arc::clone(&listener.name)),
            Held::Server(tls),
        ))
    });
    let pools = snapshot.pools.iter().filter_map(|pool| {
        let tls = Arc::clone(pool.tls.as_ref()?);
        Some((Owner::Pool(Arc::clone(&pool.name)), Held::Client(tls)))
    });
    listeners.chain(pools).collect()
}

const LOOK: Duration = Duration::from_secs(1);
/// Longest time between two readings of files that cannot be used.
const RETRY_MAX: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::Metrics;

    #[test]
    fn files_of_no_use_are_read_again_at_growing_intervals() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pem");
        std::fs::write(&path, "1").unwrap();
        let disk = Rc::new(Disk::new("test"));
        let mut watch = Watch::new(Metrics::new(100).control(), disk, Arc::default());
        let owner = Owner::Listener("web".into());
        let start = Instant::now();
        let mut read = Vec::new();
        for second in 0..40 {
            let now = start + LOOK * second;
            if watch.is_due(&owner, Stamps::of(&[&path]), now) {
                read.push(second);
            }
        }
        assert_eq!(read, [1, 2, 4, 8, 16, 26, 36]);
        std::fs::write(&path, "22").unwrap();
        assert!(!watch.is_due(&owner, Stamps::of(&[&path]), start + LOOK * 40));
        assert!(watch.is_due(&owner, Stamps::of(&[&path]), start + LOOK * 41));
    }

    #[test]
    fn files_that_never_come_to_rest_are_read_in_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pem");
        let disk = Rc::new(Disk::new("test"));
        let mut watch = Watch::new(Metrics::new(100).control(), disk, Arc::default());
        let owner = Owner::Listener("web".into());
        let start = Instant::now();
        let mut read = Vec::new();
        for second in 0..17 {
            std::fs::write(&path, "x".repeat(second as usize + 1)).unwrap();
            if watch.is_due(&owner, Stamps::of(&[&path]), start + LOOK * second) {
                read.push(second);
            }
        }
        assert_eq!(read, [5, 10, 15]);
    }
}
