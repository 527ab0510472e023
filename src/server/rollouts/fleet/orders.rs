//! Commands of a person, given to any proxy: they change the record by compare-and-swap, so that
//! they hold for all at once, also while nobody leads.

use tokio::time::Instant;

use super::{desk::Asked, fault::StoreFault, link::Link, member::Member};
use crate::{
    admin::OperationError,
    rollout::{
        Rollout,
        fleet::{Lead, definition},
        machine::Order,
    },
    state::Snapshot,
};

/// Reasons why a command was not obeyed.
enum Refusal {
    /// It cannot be done now.
    Cannot(String),
    /// The store failed: it may be done nevertheless.
    Store(StoreFault),
}

impl From<StoreFault> for Refusal {
    fn from(fault: StoreFault) -> Self {
        match fault {
            StoreFault::Refused(why) => Self::Cannot(format!(
                "the store refuses it, and nothing is changed: {why}"
            )),
            StoreFault::Away(_) => Self::Store(fault),
        }
    }
}

impl Member {
    /// Obeys the commands that wait.
    pub(super) async fn obey_all(
        &mut self,
        link: &mut Link,
        snapshot: &Snapshot,
    ) -> Result<(), StoreFault> {
        for asked in self.board.rollouts.take_orders() {
            if asked.until <= Instant::now() {
                // Whoever asked has been told that it did not happen.
                continue;
            }
            let Some(rollout) = snapshot.rollout(&asked.rollout) else {
                refuse(asked, "there is no such rollout any more");
                continue;
            };
            match self.obey(link, rollout, asked.order).await {
                Ok(()) => drop(asked.answer.send(Ok(()))),
                Err(Refusal::Cannot(why)) => refuse(asked, &why),
                Err(Refusal::Store(why)) => {
                    let message = format!("the store failed ({why}): look if it happened");
                    refuse(asked, &message);
                    return Err(why);
                }
            }
        }
        Ok(())
    }

    async fn obey(
        &mut self,
        link: &mut Link,
        rollout: &Rollout,
        order: Order,
    ) -> Result<(), Refusal> {
        for _ in 0..TRIES {
            let read = self.read(link, rollout).await?;
            let Some((record, revision)) = read else {
                let why = "the fleet has not begun it yet: no proxy leads";
                return Err(Refusal::Cannot(why.to_owned()));
            };
            let record = record.map_err(Refusal::Cannot)?;
            if record.definition != definition(rollout) {
                let why = "the fleet rolls out another definition of it; ask a proxy that has that";
                return Err(Refusal::Cannot(why.to_owned()));
            }
            let mut lead = Lead::take_up(rollout, record);
            lead.obey(rollout, order, &self.name)
                .map_err(|why| Refusal::Cannot(why.to_owned()))?;
            let written = self.write(link, rollout, &lead, revision, None).await;
            let Some(revision) = written? else {
                continue;
            };
            let mut part = self.parts.remove(&rollout.name).unwrap_or_default();
            self.wrote(rollout, &mut part, &lead, revision);
            if part.lead.is_some() {
                part.lead = Some((lead, revision));
            }
            self.parts
                .insert(std::sync::Arc::clone(&rollout.name), part);
            return Ok(());
        }
        let why = "others change it at the same time; try again";
        Err(Refusal::Cannot(why.to_owned()))
    }
}

/// Tells whoever asked why it did not happen.
pub(super) fn refuse(asked: Asked, why: &str) {
    let error = OperationError::Conflict(format!("rollout \"{}\": {why}", asked.rollout));
    // Who asked may have left.
    drop(asked.answer.send(Err(error)));
}

/// Tries against others who write at the same time.
const TRIES: usize = 5;
