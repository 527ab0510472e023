//! The fleet as the rest of the process sees it: who leads, who reports, how the store is; and the
//! commands that wait for it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};

use crate::{
    admin::{OperationError, model},
    rollout::machine::Order,
};

/// State of this proxy in its fleet.
#[derive(Debug, Default)]
pub(in crate::server) struct Desk(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// The store, if there is one.
    store: Option<Store>,
    parts: BTreeMap<Arc<str>, Part>,
    orders: Vec<Asked>,
}

#[derive(Debug)]
struct Store {
    name: String,
    lease: Duration,
    /// The last time that it answered; before the first time, when it was first asked.
    answered: Instant,
    error: Option<String>,
}

/// Part of this proxy in one rollout.
#[derive(Clone, Debug, Default)]
pub(super) struct Part {
    pub(super) leads: bool,
    pub(super) leader: Option<String>,
    /// Reason why it does not follow the others.
    pub(super) foreign: Option<String>,
    /// Reason why the store refuses a value of it.
    pub(super) refused: Option<String>,
    pub(super) members: Vec<Member>,
}

/// A proxy of the fleet.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) name: String,
    /// The time at which its report changed last.
    pub(super) reported: Instant,
    pub(super) same_definition: bool,
    pub(super) health: &'static str,
}

/// A command that waits for the store.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) rollout: String,
    pub(super) order: Order,
    /// The time until which the asker waits.
    pub(super) until: Instant,
    pub(super) answer: oneshot::Sender<Result<(), OperationError>>,
}

impl Desk {
    /// Asks for a command; the receiver is told what came of it.
    pub(in crate::server) fn ask(
        &self,
        rollout: &str,
        order: Order,
        patience: Duration,
    ) -> oneshot::Receiver<Result<(), OperationError>> {
        let (answer, told) = oneshot::channel();
        let mut seen = self.lock();
        let now = Instant::now();
        seen.orders.retain(|it| it.until > now);
        if seen.orders.len() < ORDERS_MAX {
            seen.orders.push(Asked {
                rollout: rollout.to_owned(),
                order,
                until: now + patience,
                answer,
            });
        } else {
            let why = format!(
                "rollout \"{rollout}\": {ORDERS_MAX} commands wait for the store already; \
                 nothing is changed, try again"
            );
            // The receiver is held here.
            drop(answer.send(Err(OperationError::Conflict(why))));
        }
        told
    }

    pub(super) fn take_orders(&self) -> Vec<Asked> {
        std::mem::take(&mut self.lock().orders)
    }

    /// Notes the store that is asked from now on; none: each proxy is alone.
    pub(super) fn uses(&self, store: Option<(String, Duration)>) {
        let mut seen = self.lock();
        seen.parts.clear();
        seen.store = store.map(|(name, lease)| Store {
            name,
            lease,
            answered: Instant::now(),
            error: None,
        });
    }

    pub(super) fn answered(&self, now: Instant) {
        if let Some(store) = &mut self.lock().store {
            store.answered = now;
            store.error = None;
        }
    }

    /// Notes that the store failed; nobody leads that is not sure of it.
    pub(super) fn failed(&self, error: &str) {
        let mut seen = self.lock();
        if let Some(store) = &mut seen.store {
            store.error = Some(error.to_owned());
        }
        for part in seen.parts.values_mut() {
            part.leads = false;
        }
    }

    pub(super) fn set(&self, parts: BTreeMap<Arc<str>, Part>) {
        self.lock().parts = parts;
    }

    /// Returns true if the fleet does not know what this proxy counts of a rollout: the store has not
    /// answered for longer than a lease lasts, or refuses what it writes.
    pub(in crate::server) fn is_away(&self, rollout: &str) -> bool {
        let seen = self.lock();
        let store = seen.store.as_ref();
        let is_refused = || {
            seen.parts
                .get(rollout)
                .is_some_and(|it| it.refused.is_some())
        };
        let is_late = |it: &Store| it.error.is_some() && it.answered.elapsed() > it.lease;
        store.is_some_and(|store| is_late(store) || is_refused())
    }

    /// Returns true if this proxy leads a rollout.
    pub(in crate::server) fn leads(&self, rollout: &str) -> bool {
        self.lock().leads(rollout)
    }

    /// Returns the fleet of a rollout; none if there is no store.
    pub(in crate::server) fn fleet(
        &self,
        rollout: &str,
        held_back: Option<String>,
    ) -> Option<model::RolloutFleet> {
        let seen = self.lock();
        let store = seen.store.as_ref()?;
        let part = seen.parts.get(rollout).cloned().unwrap_or_default();
        let members = part.members.iter().map(|member| model::RolloutMember {
            name: member.name.clone(),
            reported_ms: millis(member.reported.elapsed()),
            same_definition: member.same_definition,
            candidate: member.health.to_owned(),
        });
        Some(model::RolloutFleet {
            role: if seen.leads(rollout) {
                "leader"
            } else {
                "follower"
            }
            .to_owned(),
            leader: part.leader,
            members: members.collect(),
            store: store.name.clone(),
            store_answered_ms: millis(store.answered.elapsed()),
            store_error: store.error.clone().or(part.refused),
            foreign: part.foreign,
            held_back,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// One that cannot be sure of its lease leads no more.
    fn leads(&self, rollout: &str) -> bool {
        let store = self.store.as_ref();
        let is_sure = store.is_some_and(|store| store.answered.elapsed() < store.lease);
        is_sure && self.parts.get(rollout).is_some_and(|it| it.leads)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Commands that wait at once.
const ORDERS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_command_that_finds_too_many_waiting_is_told_so_and_not_that_the_store_is_away() {
        let desk = Desk::default();
        let patience = Duration::from_secs(5);
        let ask = || desk.ask("orders", Order::Pause, patience);
        let mut waiting: Vec<_> = (0..ORDERS_MAX).map(|_| ask()).collect();
        let Err(OperationError::Conflict(why)) = ask().await.unwrap() else {
            panic!("it is refused");
        };
        assert!(
            why.contains("64 commands wait for the store already"),
            "{why}"
        );
        assert!(!why.contains("answer"), "{why}");
        assert!(
            waiting.iter_mut().all(|it| it.try_recv().is_err()),
            "they wait on"
        );
        assert_eq!(desk.take_orders().len(), ORDERS_MAX);
        // Those whose askers wait no longer make room.
        let _late: Vec<_> = (0..ORDERS_MAX).map(|_| ask()).collect();
        tokio::time::advance(patience * 2).await;
        let _new = ask();
        assert_eq!(desk.take_orders().len(), 1);
    }
}
