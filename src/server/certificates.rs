//! Certificates that are renewed on disk: noticed, checked, and swapped in.
//!
//! The control thread looks at the files every second. Links are followed, so that a
//! mounted secret that is replaced by a link is noticed; and a look needs no events,
//! which some file systems do not send. A change counts once it has been the same for
//! two looks: chain and key are seldom written at once. What cannot be used leaves the
//! old in use, and is told in log, event and metric. It is tried again all the same: a file
//! may become readable, or a certificate's time begin, without another change.
//!
//! Each look also reads the clock: what is soon past its time is told every day.
//!
//! Owns the gauges of when certificates expire, and what it last saw of each file.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::expiry::{Expiries, Subject};
use crate::{
    state::Snapshot,
    task,
    telemetry::{
        events::Events,
        metrics::{ControlMetrics, SharedGauge, names},
    },
    tls::{Certificate, ClientTls, Renewal, ServerTls, Stamps, TicketKeys},
    worker::Shared,
};

/// Starts the watch as a task of the control thread.
pub(super) fn start(
    shared: &Arc<Shared>,
    events: &Arc<Events>,
    tickets: &Arc<TicketKeys>,
) -> tokio::task::JoinHandle<()> {
    let watch = watch(Arc::clone(shared), Arc::clone(events), Arc::clone(tickets));
    task::spawn_local("certificate watch", watch)
}

/// Watches the files of every listener and pool until the runtime ends.
async fn watch(shared: Arc<Shared>, events: Arc<Events>, tickets: Arc<TicketKeys>) {
    let mut watch = Watch {
        metrics: shared.metrics.control(),
        seen: HashMap::new(),
        shown: HashMap::new(),
        expiries: Expiries::default(),
    };
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        tickets.rotate(Instant::now());
        watch.look(&shared.snapshot(), &events).await;
    }
}

struct Watch {
    metrics: ControlMetrics,
    /// What the last look saw where it was not what is in use.
    seen: HashMap<Owner, Seen>,
    /// By listener or pool, and file. Kept, since a gauge lives as long as its handle.
    shown: HashMap<(String, PathBuf), SharedGauge>,
    expiries: Expiries,
}

/// What a look saw, and what came of reading it.
struct Seen {
    stamps: Stamps,
    /// When it is read next.
    due: Instant,
    /// How long to wait after that.
    wait: Duration,
    /// What was told of it.
    told: Vec<String>,
}

/// Whose files they are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Owner {
    Listener(Arc<str>),
    Pool(Arc<str>),
}

/// What is read from files.
#[derive(Clone)]
enum Held {
    Server(Arc<ServerTls>),
    Client(Arc<ClientTls>),
}

impl Watch {
    async fn look(&mut self, snapshot: &Snapshot, events: &Events) {
        let all = held(snapshot);
        for ((owner, held), stamps) in all.iter().zip(look_at(&all).await) {
            if stamps == held.in_use() {
                self.seen.remove(owner);
            } else if self.is_due(owner, stamps, Instant::now()) {
                let renewal = held.clone().reload().await;
                self.tell(owner, &renewal, events);
            }
        }
        self.seen
            .retain(|owner, _| all.iter().any(|(it, _)| it == owner));
        self.show(snapshot);
        let subjects = all.iter().flat_map(|(owner, held)| {
            let (kind, name) = owner.words();
            let certificates = held.certificates().into_iter();
            certificates.map(move |certificate| Subject {
                kind,
                name: name.to_owned(),
                certificate,
            })
        });
        self.expiries.tell(subjects, SystemTime::now(), events);
    }

    /// Whether the files have been the same for two looks, and are to be read now: at once,
    /// then at growing intervals for as long as they are of no use.
    fn is_due(&mut self, owner: &Owner, stamps: Stamps, now: Instant) -> bool {
        match self.seen.get_mut(owner) {
            Some(seen) if seen.stamps == stamps => {
                let due = now >= seen.due;
                if due {
                    seen.due = now + seen.wait;
                    seen.wait = (seen.wait * 2).min(RETRY_MAX);
                }
                due
            }
            _ => {
                let seen = Seen {
                    stamps,
                    due: now,
                    wait: LOOK,
                    told: Vec::new(),
                };
                self.seen.insert(owner.clone(), seen);
                false
            }
        }
    }

    /// Tells what came of reading changed files; a fault is told once for as long as it lasts.
    fn tell(&mut self, owner: &Owner, renewal: &Renewal, events: &Events) {
        let (of, name) = owner.words();
        if renewal.renewed > 0 {
            tracing::info!(of, name, "renewed certificates are in use");
            self.publish(owner, "succeeded", None, events);
        }
        let faults: Vec<String> = renewal.faults.iter().map(ToString::to_string).collect();
        let seen = self.seen.get_mut(owner);
        let told = seen.map(|seen| std::mem::replace(&mut seen.told, faults.clone()));
        let told = told.unwrap_or_default();
        for fault in faults.iter().filter(|fault| !told.contains(fault)) {
            tracing::error!(
                of, name, error = %fault,
                "changed certificates are refused; the old ones stay in use"
            );
            self.publish(owner, "failed", Some(fault), events);
        }
    }

    fn publish(&self, owner: &Owner, result: &str, error: Option<&str>, events: &Events) {
        let (of, name) = owner.words();
        self.metrics
            .counter(&names::CERTIFICATE_RELOADS_TOTAL, [result])
            .inc();
        let mut what = json!({ "of": of, "name": name, "result": result });
        if let Some(error) = error {
            what["error"] = error.into();
        }
        events.publish("certificates", "proxy", what);
    }

    /// Shows when the certificates of the listeners expire.
    fn show(&mut self, snapshot: &Snapshot) {
        let mut expiries: HashMap<(String, PathBuf), i64> = HashMap::new();
        for listener in &snapshot.listeners {
            let Some(tls) = &listener.tls else { continue };
            for certificate in tls.certificates() {
                let key = (listener.name.to_string(), certificate.files.chain.clone());
                expiries.insert(key, certificate.expires);
            }
        }
        self.shown.retain(|key, _| expiries.contains_key(key));
        for (key, expires) in expiries {
            let metrics = &self.metrics;
            let (listener, file) = &key;
            let make = || {
                let file = file.display().to_string();
                metrics.gauge(&names::CERTIFICATE_EXPIRY_SECONDS, [listener, &file])
            };
            match self.shown.get(&key) {
                Some(gauge) => gauge.set(expires),
                None => {
                    let gauge = make();
                    gauge.set(expires);
                    self.shown.insert(key, gauge);
                }
            }
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

    /// What the files look like now; blocks on the disk.
    fn stamps(&self) -> Stamps {
        match self {
            Self::Server(tls) => Stamps::of(&tls.files()),
            Self::Client(tls) => Stamps::of(&tls.files()),
        }
    }

    async fn reload(self) -> Renewal {
        let read = {
            let held = self.clone();
            move || held.read()
        };
        match tokio::task::spawn_blocking(read).await {
            Ok(renewal) => renewal,
            // Only a panic gets here; the files are then read again in this thread.
            Err(_) => self.read(),
        }
    }

    fn read(&self) -> Renewal {
        match self {
            Self::Server(tls) => tls.reload(),
            Self::Client(tls) => tls.reload(),
        }
    }
}

/// Looks at all files, on a thread for such things.
async fn look_at(all: &[(Owner, Held)]) -> Vec<Stamps> {
    let all: Vec<Held> = all.iter().map(|(_, held)| held.clone()).collect();
    let look = move || all.iter().map(Held::stamps).collect();
    // Only a panic would fail; the next look is a second away.
    tokio::task::spawn_blocking(look).await.unwrap_or_default()
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
/// The longest time between two readings of files that are of no use.
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
        let mut watch = Watch {
            metrics: Metrics::new(100).control(),
            seen: HashMap::new(),
            shown: HashMap::new(),
            expiries: Expiries::default(),
        };
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
}
