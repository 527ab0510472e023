//! Certificates that are renewed on disk: noticed, checked, and swapped in.
//!
//! The control thread looks at the files every second. Links are followed, so that a
//! mounted secret that is replaced by a link is noticed; and a look needs no events,
//! which some file systems do not send. A change counts once it has been the same for
//! two looks: chain and key are seldom written at once. What cannot be used leaves the
//! old in use, and is told in log, event and metric.
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

use super::{
    Shared,
    expiry::{Expiries, Subject},
    task,
};
use crate::{
    state::Snapshot,
    telemetry::{
        events::Events,
        metrics::{ControlMetrics, SharedGauge, names},
    },
    tls::{Certificate, ClientTls, ServerTls, Stamps, TicketKeys, TlsFault},
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

/// What a look saw, and whether it has been judged.
struct Seen {
    stamps: Stamps,
    judged: bool,
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
            } else if self.is_due(owner, stamps) {
                let result = held.clone().reload().await;
                self.tell(owner, result, events);
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

    /// Whether the files have been the same for two looks and not been judged yet.
    fn is_due(&mut self, owner: &Owner, stamps: Stamps) -> bool {
        match self.seen.get_mut(owner) {
            Some(seen) if seen.stamps == stamps => !std::mem::replace(&mut seen.judged, true),
            _ => {
                let judged = false;
                self.seen.insert(owner.clone(), Seen { stamps, judged });
                false
            }
        }
    }

    fn tell(&self, owner: &Owner, result: Result<(), TlsFault>, events: &Events) {
        let (kind, name) = owner.words();
        let word = if result.is_ok() {
            "succeeded"
        } else {
            "failed"
        };
        self.metrics
            .counter(&names::CERTIFICATE_RELOADS_TOTAL, [word])
            .inc();
        let mut what = json!({ "of": kind, "name": name, "result": word });
        match result {
            Ok(()) => tracing::info!(of = kind, name, "renewed certificates are in use"),
            Err(fault) => {
                what["error"] = fault.to_string().into();
                tracing::error!(
                    of = kind, name, error = %fault,
                    "changed certificates are refused; the old ones stay in use"
                );
            }
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

    async fn reload(self) -> Result<(), TlsFault> {
        let read = {
            let held = self.clone();
            move || held.read()
        };
        match tokio::task::spawn_blocking(read).await {
            Ok(result) => result,
            // Only a panic gets here; the files are then read again in this thread.
            Err(_) => self.read(),
        }
    }

    fn read(&self) -> Result<(), TlsFault> {
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
