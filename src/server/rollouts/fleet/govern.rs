//! The part of the leader, and who it is.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    fault::StoreFault,
    link::{Entries, Link},
    member::{LEADER, Leader, Member, Part, RECORD, TICK, leader},
    writes::Written,
};
use crate::{
    rollout::{
        Rollout,
        fleet::{Lead, Record, Report, governing},
    },
    telemetry::metrics::names,
};

impl Member {
    /// Leads if nobody else does, and this proxy may.
    pub(super) async fn govern(
        &self,
        link: &mut Link,
        rollout: &Rollout,
        part: &mut Part,
    ) -> Result<(), StoreFault> {
        let key = self.key(rollout, LEADER);
        let leader = link.entries().get(&key).and_then(leader);
        let is_mine = leader.as_ref().is_some_and(|it| it.epoch == self.epoch);
        self.note_leader(rollout, part, leader.map(|it| it.name), is_mine);
        if is_mine {
            let is_due = part.ticked.is_none_or(|at| at.elapsed() >= TICK);
            return match is_due {
                true => self.lead(link, rollout, part, &key).await,
                false => Ok(()),
            };
        }
        part.lead = None;
        let is_vacant = part.leader.is_none();
        let every = if is_vacant { VACANT_EVERY } else { LIST_EVERY };
        let is_barred = part
            .barred_until
            .is_some_and(|until| Instant::now() < until);
        if part.listed.is_none_or(|at| at.elapsed() >= every) {
            self.list(link, rollout, part).await?;
            if is_vacant && !is_barred && self.may_lead(link.entries(), rollout, part) {
                let value = Leader {
                    name: self.name.clone(),
                    epoch: self.epoch.clone(),
                };
                let value = serde_json::to_vec(&value).map_err(|error| error.to_string())?;
                // The watch tells who got it.
                let acquired = link.acquire(&key, &value).await;
                self.noted(rollout, part, Written::Leader, acquired)?;
            }
        }
        Ok(())
    }

    fn may_lead(&self, entries: &Entries, rollout: &Rollout, part: &Part) -> bool {
        let record = entries.get(&self.key(rollout, RECORD));
        let record = match record.map(|it| Record::read(&it.value)) {
            Some(Ok(record)) => Some(record),
            // A newer version of the program may have written it: it is not for this one.
            Some(Err(_)) => return false,
            None => None,
        };
        let holds = record.as_ref().map(|it| &*it.definition);
        let reports: Vec<Report> = part.reports.iter().map(|(it, _)| it.clone()).collect();
        governing(holds, &reports) == Some(&*part.own)
    }

    /// Adds up what all have reported, and writes the next record.
    async fn lead(
        &self,
        link: &mut Link,
        rollout: &Rollout,
        part: &mut Part,
        held: &str,
    ) -> Result<(), StoreFault> {
        part.ticked = Some(Instant::now());
        self.list(link, rollout, part).await?;
        if !self.may_lead(link.entries(), rollout, part) {
            tracing::info!(rollout = %rollout.name, "most proxies have another definition of the rollout: this one does not lead it any more");
            part.lead = None;
            return link.release(held).await;
        }
        let (mut lead, revision) = match part.lead.take() {
            Some(lead) => lead,
            None => self.take_up(link, rollout).await?,
        };
        let reports: Vec<Report> = part.reports.iter().map(|(it, _)| it.clone()).collect();
        let is_new = lead.tick(rollout, Instant::now(), &reports, &self.name);
        let left_out = lead.left_out();
        if std::mem::replace(&mut part.is_crowded, left_out > 0) != (left_out > 0) && left_out > 0 {
            tracing::warn!(rollout = %rollout.name, proxies = left_out, "the record of the rollout is full: what some proxies count waits until others end, or for the next share");
        }
        if !is_new && revision > 0 {
            part.lead = Some((lead, revision));
            return Ok(());
        }
        let written = self.write(link, rollout, &lead, revision, Some(held)).await;
        let written = self.noted(rollout, part, Written::Record, written)?;
        match written {
            Some(Some(revision)) => {
                self.wrote(rollout, part, &lead, revision);
                part.lead = Some((lead, revision));
            }
            // A command came in between, or the lease is lost. The record is read again.
            Some(None) => {}
            // The store may take it from another proxy.
            None => {
                part.barred_until = Some(Instant::now() + BARRED);
                let released = link.release(held).await;
                self.noted(rollout, part, Written::Leader, released)?;
            }
        }
        Ok(())
    }

    /// Reads the record that is to be led, or begins the first one.
    async fn take_up(&self, link: &mut Link, rollout: &Rollout) -> Result<(Lead, i64), StoreFault> {
        match self.read(link, rollout).await? {
            Some((record, revision)) => {
                let record = record.map_err(StoreFault::Away)?;
                Ok((Lead::take_up(rollout, record), revision))
            }
            None => {
                let own = rollout.state.kept(rollout);
                let generation = u64::from(rand::random::<u32>().max(1)) << 16;
                Ok((Lead::begin(rollout, &own, &self.name, generation), 0))
            }
        }
    }

    /// Reads the record as it is now.
    pub(super) async fn read(
        &self,
        link: &mut Link,
        rollout: &Rollout,
    ) -> Result<Option<(Result<Record, String>, i64)>, StoreFault> {
        let key = self.key(rollout, RECORD);
        let entries = link.list(&key).await?;
        Ok(entries
            .get(&key)
            .map(|entry| (Record::read(&entry.value), entry.revision)))
    }

    /// Writes a record; none if another one was written since this revision.
    pub(super) async fn write(
        &self,
        link: &mut Link,
        rollout: &Rollout,
        lead: &Lead,
        revision: i64,
        held: Option<&str>,
    ) -> Result<Option<i64>, StoreFault> {
        let value = serde_json::to_vec(&lead.record).map_err(|error| error.to_string())?;
        let key = self.key(rollout, RECORD);
        link.swap(&key, revision, &value, held).await
    }

    /// Applies a record that this proxy wrote.
    pub(super) fn wrote(&self, rollout: &Rollout, part: &mut Part, lead: &Lead, revision: i64) {
        let progress = Some(lead.progress());
        rollout
            .state
            .adopt(rollout, &lead.record, &self.epoch, progress);
        part.applied = Some((revision, lead.record.definition.clone()));
        part.foreign = None;
    }

    async fn list(
        &self,
        link: &mut Link,
        rollout: &Rollout,
        part: &mut Part,
    ) -> Result<(), StoreFault> {
        let now = Instant::now();
        let entries = link.list(&self.reports(rollout)).await?;
        let before = std::mem::take(&mut part.reports);
        let reports = entries.values().filter_map(|it| Report::read(&it.value));
        part.reports = reports
            .map(|report| {
                let same = before.iter().find(|(it, _)| *it == report);
                let at = same.map_or(now, |(_, at)| *at);
                (report, at)
            })
            .collect();
        part.listed = Some(now);
        Ok(())
    }

    /// Tells of a new leader.
    fn note_leader(&self, rollout: &Rollout, part: &mut Part, now: Option<String>, is_mine: bool) {
        let name = &rollout.name;
        let (leads, changes) = part.gauges.get_or_insert_with(|| {
            (
                self.metrics.gauge(&names::ROLLOUT_LEADS, [name]),
                self.metrics
                    .counter(&names::ROLLOUT_LEADER_CHANGES_TOTAL, [name]),
            )
        });
        leads.set(i64::from(is_mine));
        if let Some(leader) = now
            .as_ref()
            .filter(|now| part.leader.as_ref() != Some(*now))
        {
            changes.inc();
            tracing::info!(rollout = %name, %leader, own = is_mine, "rollout leader");
        }
        part.leader = now;
    }
}

/// Time for which others may lead, after the store has refused a record.
const BARRED: Duration = Duration::from_secs(10);
/// Between two looks at all reports by one that does not lead.
const LIST_EVERY: Duration = Duration::from_secs(5);
/// Between two tries to lead where nobody does.
const VACANT_EVERY: Duration = Duration::from_millis(300);
