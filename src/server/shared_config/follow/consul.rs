//! A key of Consul, by queries that wait; the state of this proxy held by a session.

use std::{sync::Arc, time::Duration};

use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::{Follower, KEEP, LEASE, LEAVE_MAX, Over, Session};
use crate::{
    fetch::Target,
    server::shared_config::{Member, Store, place::Stored},
    upstream::consul::{ConsulAgent, ConsulError, ConsulPut, ConsulRead, ConsulSession},
};

impl From<ConsulError> for Over {
    fn from(error: ConsulError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// The revision that was heard last.
type Revision = Option<i64>;

impl Follower {
    /// Follows the store until it fails.
    pub(super) async fn follow_consul(&self, target: &Target, session: Session<'_>) -> Over {
        match self.with(target, session).await {
            Ok(()) => Over::Stopped,
            Err(Over::Failed(why)) => Over::Failed(format!("{}: {why}", target.url)),
            Err(over) => over,
        }
    }

    async fn with(&self, target: &Target, mut session: Session<'_>) -> Result<(), Over> {
        let mut reader = ConsulAgent::new(target.clone());
        let mut heard = None;
        let store = Arc::clone(&session.store);
        let read = reader.read(&store.key).await?;
        self.hear_read(&store, &read, &mut heard).await;
        // One connection waits for changes, the other one writes.
        let mut reading = Box::pin(next(reader, &store.key, read.index));
        let mut writer = ConsulAgent::new(target.clone());
        let held = Self::session(&mut writer, &mut session).await?;
        self.answers(&mut session);
        let mut keep = interval(KEEP);
        keep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = session.stop.told() => {
                    if let Some(held) = &held {
                        // Else it ends by itself.
                        let _ = timeout(LEAVE_MAX, writer.end_session(held)).await;
                    }
                    return Ok(());
                }
                Ok(()) = session.stores.changed() => return Err(Over::Renewed),
                (reader, read) = &mut reading => {
                    let read = read?;
                    self.hear_read(&store, &read, &mut heard).await;
                    reading.set(next(reader, &store.key, read.index));
                }
                _ = keep.tick() => {
                    if let Some(held) = &held && !writer.renew_session(held).await? {
                        return Err(Over::Failed("its session has ended".to_owned()));
                    }
                }
                changed = session.told.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    let member = session.told.borrow_and_update().clone();
                    if let (Some(member), Some(held)) = (member, &held) {
                        self.write(&mut writer, &member, held, &mut session).await?;
                    }
                }
            }
        }
    }

    async fn hear_read(&self, store: &Store, read: &ConsulRead, heard: &mut Revision) {
        let found = read.pairs.first().cloned().map(Stored::from);
        // A key that does not exist is revision 0.
        let revision = found.as_ref().map_or(0, |found| found.revision);
        if heard.replace(revision) != Some(revision) {
            self.hear(store, found.as_ref()).await;
        }
    }

    /// Goes on with the session that holds the state of this proxy, or begins one; none if the token
    /// may not.
    async fn session(
        writer: &mut ConsulAgent,
        session: &mut Session<'_>,
    ) -> Result<Option<ConsulSession>, Over> {
        if let Some(held) = &*session.held
            && matches!(writer.renew_session(held).await, Ok(true))
        {
            return Ok(Some(held.clone()));
        }
        let name = format!("sluicegate {}", session.store.member);
        match writer.begin_session(&name, LEASE).await {
            Ok(begun) => {
                *session.held = Some(begun.clone());
                Ok(Some(begun))
            }
            Err(error) if error.is_forbidden() => {
                Self::is_refused(&session.store, &error.to_string());
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Writes the state of this proxy.
    async fn write(
        &self,
        writer: &mut ConsulAgent,
        member: &Member,
        held: &ConsulSession,
        session: &mut Session<'_>,
    ) -> Result<(), Over> {
        let (key, value) = (
            session.store.member_key(),
            serde_json::to_vec(member).unwrap_or_default(),
        );
        let put = ConsulPut {
            key: &key,
            value: &value,
        };
        match writer.hold(put, held).await {
            Ok(true) => {}
            // An earlier session of this process, which ends soon.
            Ok(false) => {
                return Err(Over::Failed(
                    "its state is held by another session".to_owned(),
                ));
            }
            Err(error) if error.is_forbidden() => {
                Self::is_refused(&session.store, &error.to_string());
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
        // Who may only write there does not see others.
        if let Ok(listed) = writer.list(&session.store.name_prefix()).await {
            let listed: Vec<_> = listed.pairs.into_iter().map(Stored::from).collect();
            self.look_for_twins(&listed, session);
        }
        Ok(())
    }
}

/// Reads the key again when it may have changed.
async fn next(
    mut reader: ConsulAgent,
    key: &str,
    index: u64,
) -> (ConsulAgent, Result<ConsulRead, ConsulError>) {
    if index == 0 {
        // Nothing waits at the agent.
        sleep(PAUSE).await;
    }
    let read = reader.read_after(key, index, WAIT).await;
    (reader, read)
}

/// Time that a query waits for a change at the agent.
const WAIT: Duration = Duration::from_secs(15);
/// Time between two queries that do not wait.
const PAUSE: Duration = Duration::from_millis(500);
