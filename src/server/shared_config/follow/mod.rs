//! The service that follows the store, and keeps the state of this proxy in it.

mod consul;
mod etcd;

use std::{os::unix::process::parent_id, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep},
};

use super::{
    Member, Newest, Store,
    place::{Place, Stored},
    store::{members, process, process_named},
};
use crate::{
    resilience::restart::STEADY,
    server::{
        control::Request,
        outages::Outages,
        service::{Ended, Stop},
    },
    telemetry::metrics::SharedGauge,
    upstream::{consul::ConsulSession, discovery::Reconnect, etcd::Cluster},
};

/// Follows the store.
pub(super) struct Follower {
    pub(super) newest: Newest,
    pub(super) requests: mpsc::Sender<Request>,
    pub(super) up: SharedGauge,
    pub(super) outages: Arc<Outages>,
}

/// The store, the state of this proxy to be shown in it, and the end of the service.
struct Session<'a> {
    store: Arc<Store>,
    /// The store with other secrets.
    stores: &'a mut watch::Receiver<Arc<Store>>,
    /// The session that holds the state of this proxy in Consul: kept from connection to connection.
    held: &'a mut Option<ConsulSession>,
    told: &'a mut watch::Receiver<Option<Member>>,
    stop: &'a Stop,
    /// True if the store answered last.
    is_up: &'a mut bool,
    /// True if another proxy of this name was told.
    has_twin: &'a mut bool,
}

/// Reasons why a connection is given up.
enum Over {
    /// The service is told to stop.
    Stopped,
    /// There are other secrets.
    Renewed,
    /// The store failed.
    Failed(String),
}

impl Follower {
    pub(super) async fn run(
        self: Arc<Self>,
        mut stores: watch::Receiver<Arc<Store>>,
        mut told: watch::Receiver<Option<Member>>,
        stop: Stop,
    ) -> Ended {
        let mut store = Arc::clone(&stores.borrow_and_update());
        let mut cluster = cluster(&store.place);
        let mut held = None;
        let servers = cluster.as_ref().map_or(1, Cluster::servers);
        let mut reconnect = Reconnect::among(servers);
        let (mut is_up, mut has_twin) = (true, false);
        loop {
            tokio::select! {
                biased;
                () = stop.told() => return Ok(()),
                Ok(()) = stores.changed() => {
                    store = Arc::clone(&stores.borrow_and_update());
                    cluster = self::cluster(&store.place);
                    reconnect.succeeded();
                }
                () = reconnect.wait() => {}
            }
            let began = Instant::now();
            let session = Session {
                store: Arc::clone(&store),
                stores: &mut stores,
                held: &mut held,
                told: &mut told,
                stop: &stop,
                is_up: &mut is_up,
                has_twin: &mut has_twin,
            };
            let following = async {
                match (&store.place, &mut cluster) {
                    (Place::Consul(target), _) => self.follow_consul(target, session).await,
                    (Place::Etcd(_), Some(cluster)) => self.follow_etcd(cluster, session).await,
                    // There is one from the start.
                    (Place::Etcd(_), None) => Over::Stopped,
                }
            };
            let late = async {
                stop.told().await;
                sleep(LEAVE_MAX * 2).await;
            };
            let over = tokio::select! {
                over = Box::pin(following) => over,
                () = late => Over::Stopped,
            };
            let why = match over {
                Over::Failed(why) => why,
                Over::Stopped => return Ok(()),
                Over::Renewed => {
                    tracing::info!(store = %store.name(), "the store of the shared configuration is asked with other secrets");
                    stores.mark_changed();
                    continue;
                }
            };
            if began.elapsed() >= STEADY {
                reconnect.succeeded();
            }
            if !reconnect.failed() {
                continue;
            }
            self.outages.note::<()>(AWAY, &Err(&why));
            if is_up {
                is_up = false;
                self.up.set(0);
                let store = store.name();
                tracing::warn!(%store, %why, "the store of the shared configuration is away; the configuration stays");
            }
        }
    }

    /// Notes that the store answers.
    fn answers(&self, session: &mut Session<'_>) {
        self.up.set(1);
        self.outages.over(AWAY);
        if !std::mem::replace(session.is_up, true) {
            let store = session.store.name();
            tracing::info!(%store, "the store of the shared configuration answers again");
        }
        session.told.mark_changed();
    }

    /// Keeps a new text, and asks for a reload.
    async fn hear(&self, store: &Store, found: Option<&Stored>) {
        let Some(found) = found else {
            let store = store.name();
            tracing::error!(%store, "the shared configuration does not exist in its store: configuration unchanged");
            return;
        };
        match store.part_of(&found.value, found.revision) {
            Ok(part) => {
                if self.newest.set(part) {
                    // Control is gone only at the end.
                    let _ = self.requests.send(Request::StoreChanged).await;
                }
            }
            Err(error) => tracing::error!(%error, "configuration unchanged"),
        }
    }

    /// Tells that another proxy has the name of this one.
    fn look_for_twins(&self, listed: &[Stored], session: &mut Session<'_>) {
        // The process before an upgrade is about to leave.
        let ours = [process(), process_named(parent_id())];
        let mut others = members(listed).filter(|it| !ours.contains(&it.process));
        let twin = others.find(|it| it.state != "draining");
        if let Some(twin) = &twin
            && !*session.has_twin
        {
            let (name, other) = (&session.store.member, &twin.process);
            tracing::warn!(
                name,
                other,
                "another proxy of the fleet has the same config.name; each needs one of its own \
                 (a proxy that died stays in the list for up to 30 s)"
            );
        }
        *session.has_twin = twin.is_some();
        let alone = match &twin {
            Some(twin) => Err(format!("{} has \"{}\" too", twin.process, twin.name)),
            None => Ok(()),
        };
        self.outages.note(SAME_NAME, &alone);
    }

    /// Tells that the state of this proxy cannot be written.
    fn is_refused(store: &Store, message: &str) {
        let key = store.member_key();
        tracing::warn!(%key, %message, "the state of this proxy cannot be written to the store");
    }
}

/// Two proxies of one name are one to whoever reads the list.
const SAME_NAME: &str = "another proxy of the fleet has the same config.name";

/// Returns the servers of etcd, if the store is there.
fn cluster(place: &Place) -> Option<Cluster> {
    match place {
        Place::Etcd(settings) => Some(Cluster::new(Arc::clone(settings))),
        Place::Consul(_) => None,
    }
}

/// Time after which a proxy that is gone leaves the list.
const LEASE: Duration = Duration::from_secs(15);
const KEEP: Duration = Duration::from_secs(5);
/// Time for leaving the list at the end.
const LEAVE_MAX: Duration = Duration::from_millis(500);
/// The outage of the store.
const AWAY: &str = "the store of the shared configuration is away";
