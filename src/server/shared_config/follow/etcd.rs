//! A key of etcd, by a watch; the state of this proxy under a lease.

use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{Follower, KEEP, LEASE, LEAVE_MAX, Over, Session};
use crate::{
    server::shared_config::{Member, Store, place::Stored},
    upstream::etcd::{Change, Channel, Cluster, EtcdError, Lease, Put, Watch, WatchStep},
};

impl From<EtcdError> for Over {
    fn from(error: EtcdError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl Follower {
    /// Follows the store on one connection.
    pub(super) async fn follow_etcd(&self, cluster: &mut Cluster, session: Session<'_>) -> Over {
        let channel = match cluster.connect().await {
            Ok(channel) => channel,
            Err((server, error)) => return Over::Failed(format!("{server}: {error}")),
        };
        match self.on(&channel, session).await {
            Ok(()) => Over::Stopped,
            Err(Over::Failed(why)) => Over::Failed(format!("{}: {why}", channel.server())),
            Err(over) => over,
        }
    }

    async fn on(&self, channel: &Channel, mut session: Session<'_>) -> Result<(), Over> {
        let mut watch = self.read(channel, &session.store).await?;
        let lease = channel.lease(LEASE).await?;
        self.answers(&mut session);
        let mut keep = interval(KEEP);
        keep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = session.stop.told() => {
                    // Else it ends by itself.
                    let _ = timeout(LEAVE_MAX, channel.end_lease(lease)).await;
                    return Ok(());
                }
                Ok(()) = session.stores.changed() => return Err(Over::Renewed),
                step = watch.next() => match step? {
                    WatchStep::Changed { changes, .. } => match changes.into_iter().last() {
                        Some(Change::Put(pair)) => {
                            self.hear(&session.store, Some(&pair.into())).await;
                        }
                        Some(Change::Deleted(_)) => self.hear(&session.store, None).await,
                        None => {}
                    },
                    WatchStep::Compacted => watch = self.read(channel, &session.store).await?,
                },
                _ = keep.tick() => {
                    if !channel.keep(lease).await? {
                        return Err(Over::Failed("its lease has ended".to_owned()));
                    }
                }
                changed = session.told.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    let member = session.told.borrow_and_update().clone();
                    self.enter(channel, member, lease, &mut session).await?;
                }
            }
        }
    }

    /// Reads the key, and begins to watch it.
    async fn read(&self, channel: &Channel, store: &Store) -> Result<Watch, EtcdError> {
        let key = store.key.as_bytes();
        let read = channel.read(key).await?;
        self.hear(store, read.pair.map(Stored::from).as_ref()).await;
        channel.watch_key(key, read.revision).await
    }

    /// Writes the state of this proxy.
    async fn enter(
        &self,
        channel: &Channel,
        member: Option<Member>,
        lease: Lease,
        session: &mut Session<'_>,
    ) -> Result<(), EtcdError> {
        let Some(member) = member else {
            return Ok(());
        };
        let value = serde_json::to_vec(&member).unwrap_or_default();
        let key = session.store.member_key();
        let put = Put {
            key: key.as_bytes(),
            value: &value,
        };
        match channel.put(put, lease).await {
            Err(error) if error.code() == Some(PERMISSION_DENIED) => {
                Self::is_refused(&session.store, &error.to_string());
                return Ok(());
            }
            written => written?,
        }
        let prefix = session.store.name_prefix();
        // Who may only write there does not see others.
        if let Ok(listed) = channel.list(prefix.as_bytes(), TWINS_BYTES_MAX).await {
            let listed: Vec<_> = listed.pairs.into_iter().map(Stored::from).collect();
            self.look_for_twins(&listed, session);
        }
        Ok(())
    }
}

const TWINS_BYTES_MAX: usize = 1 << 20;
/// Status of gRPC.
const PERMISSION_DENIED: u32 = 7;
