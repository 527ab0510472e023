//! The service that follows the store, and keeps the state of this proxy in it.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};

use super::{Member, Newest, Store};
use crate::{
    resilience::Backoff,
    server::{
        control::Request,
        service::{Ended, Stop},
    },
    telemetry::metrics::SharedGauge,
    upstream::etcd::{Change, Channel, Cluster, EtcdError, KeyValue, Lease, Put, Watch, WatchStep},
};

/// Follows the store.
pub(super) struct Follower {
    pub(super) store: Arc<Store>,
    pub(super) newest: Newest,
    pub(super) requests: mpsc::Sender<Request>,
    pub(super) up: SharedGauge,
}

/// Reasons why a connection is given up.
enum Over {
    /// The service is told to stop.
    Stopped,
    /// The store failed.
    Failed(String),
}

impl From<EtcdError> for Over {
    fn from(error: EtcdError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl Follower {
    pub(super) async fn run(
        self: Arc<Self>,
        mut told: watch::Receiver<Option<Member>>,
        stop: Stop,
    ) -> Ended {
        let mut cluster = self.store.cluster();
        let (mut failures, mut is_up) = (0_u32, true);
        loop {
            let began = Instant::now();
            let session = self.session(&mut cluster, &mut told, &stop, &mut is_up);
            let late = async {
                stop.told().await;
                sleep(LEAVE_MAX * 2).await;
            };
            let over = tokio::select! {
                over = Box::pin(session) => over,
                () = late => Over::Stopped,
            };
            let Over::Failed(why) = over else {
                return Ok(());
            };
            if began.elapsed() > STEADY {
                failures = 0;
            }
            failures = failures.saturating_add(1);
            let is_round = failures.is_multiple_of(cluster.servers());
            if is_round && is_up {
                is_up = false;
                self.up.set(0);
                let store = self.store.name();
                tracing::warn!(%store, %why, "the store of the shared configuration is away; the configuration stays");
            }
            if is_round {
                let wait = BACKOFF.delay(failures / cluster.servers(), rand::random());
                tokio::select! {
                    () = sleep(wait) => {}
                    () = stop.told() => return Ok(()),
                }
            }
        }
    }

    /// Follows the store on one connection.
    async fn session(
        &self,
        cluster: &mut Cluster,
        told: &mut watch::Receiver<Option<Member>>,
        stop: &Stop,
        is_up: &mut bool,
    ) -> Over {
        let channel = match cluster.connect().await {
            Ok(channel) => channel,
            Err((server, error)) => return Over::Failed(format!("{server}: {error}")),
        };
        match self.on(&channel, told, stop, is_up).await {
            Ok(()) => Over::Stopped,
            Err(Over::Failed(why)) => Over::Failed(format!("{}: {why}", channel.server())),
            Err(over) => over,
        }
    }

    async fn on(
        &self,
        channel: &Channel,
        told: &mut watch::Receiver<Option<Member>>,
        stop: &Stop,
        is_up: &mut bool,
    ) -> Result<(), Over> {
        let mut watch = self.read(channel).await?;
        let lease = channel.lease(LEASE).await?;
        self.up.set(1);
        if !std::mem::replace(is_up, true) {
            let store = self.store.name();
            tracing::info!(%store, "the store of the shared configuration answers again");
        }
        told.mark_changed();
        let mut keep = interval(KEEP);
        keep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.told() => {
                    // Else it ends by itself.
                    let _ = timeout(LEAVE_MAX, channel.end_lease(lease)).await;
                    return Ok(());
                }
                step = watch.next() => match step? {
                    WatchStep::Changed { changes, .. } => match changes.into_iter().last() {
                        Some(Change::Put(pair)) => self.hear(Some(&pair)).await,
                        Some(Change::Deleted(_)) => self.hear(None).await,
                        None => {}
                    },
                    WatchStep::Compacted => watch = self.read(channel).await?,
                },
                _ = keep.tick() => {
                    if !channel.keep(lease).await? {
                        return Err(Over::Failed("its lease has ended".to_owned()));
                    }
                }
                changed = told.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    let member = told.borrow_and_update().clone();
                    self.enter(channel, member, lease).await?;
                }
            }
        }
    }

    /// Reads the key, and begins to watch it.
    async fn read(&self, channel: &Channel) -> Result<Watch, EtcdError> {
        let key = self.store.key.as_bytes();
        let read = channel.read(key).await?;
        self.hear(read.pair.as_ref()).await;
        channel.watch_key(key, read.revision).await
    }

    /// Keeps a new text, and asks for a reload.
    async fn hear(&self, pair: Option<&KeyValue>) {
        let Some(pair) = pair else {
            let store = self.store.name();
            tracing::error!(%store, "the shared configuration does not exist in its store: configuration unchanged");
            return;
        };
        match self.store.part_of(pair) {
            Ok(part) => {
                if self.newest.set(part) {
                    // Control is gone only at the end.
                    let _ = self.requests.send(Request::StoreChanged).await;
                }
            }
            Err(error) => tracing::error!(%error, "configuration unchanged"),
        }
    }

    /// Writes the state of this proxy.
    async fn enter(
        &self,
        channel: &Channel,
        member: Option<Member>,
        lease: Lease,
    ) -> Result<(), EtcdError> {
        let Some(member) = member else {
            return Ok(());
        };
        let value = serde_json::to_vec(&member).unwrap_or_default();
        let key = self.store.member_key();
        let put = Put {
            key: key.as_bytes(),
            value: &value,
        };
        match channel.put(put, lease).await {
            Err(EtcdError::Refused { message, code }) if code == PERMISSION_DENIED => {
                tracing::warn!(%key, %message, "the state of this proxy cannot be written to the store");
                Ok(())
            }
            other => other,
        }
    }
}

/// Time after which a proxy that is gone leaves the list.
const LEASE: Duration = Duration::from_secs(15);
const KEEP: Duration = Duration::from_secs(5);
/// Time for leaving the list at the end.
const LEAVE_MAX: Duration = Duration::from_millis(500);
/// Length of a connection from which its end is not a failure of the start.
const STEADY: Duration = Duration::from_secs(10);
/// Wait after all servers have failed.
const BACKOFF: Backoff = Backoff {
    base: Duration::from_millis(200),
    max: Duration::from_secs(5),
};
/// Status of gRPC.
const PERMISSION_DENIED: u32 = 7;
