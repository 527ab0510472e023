//! The store of rollouts in Consul: keys held by sessions, followed by queries that wait.

use std::{future::Future, pin::Pin, time::Duration};

use tokio::time::sleep;

use super::{
    fault::StoreFault,
    link::{Entries, Entry, Leases, Place},
};
use crate::{
    fetch::Target,
    upstream::consul::{
        ConsulAgent, ConsulError, ConsulPair, ConsulPut, ConsulRead, ConsulSession, ConsulStep,
    },
};

/// Two connections to an agent: one waits for changes, the other one asks.
pub(super) struct ConsulLink {
    reading: Reading,
    asks: ConsulAgent,
    watched: String,
    pub(super) entries: Entries,
    leads: ConsulSession,
    reports: ConsulSession,
}

type Reading = Pin<Box<dyn Future<Output = (ConsulAgent, Result<ConsulRead, ConsulError>)>>>;

impl ConsulLink {
    pub(super) async fn open(
        target: &Target,
        place: &Place,
        leases: &mut Leases,
        watched: &str,
    ) -> Result<Self, StoreFault> {
        let opening = Self::at(target, place, leases, watched).await;
        opening.map_err(|error| StoreFault::from(error).of(&target.url.to_string()))
    }

    async fn at(
        target: &Target,
        place: &Place,
        leases: &mut Leases,
        watched: &str,
    ) -> Result<Self, ConsulError> {
        let mut asks = ConsulAgent::new(target.clone());
        // Each of its own: the longer one may still hold the reports when the other one has ended.
        let [leads, reports] = leases.consul.clone();
        let leads = kept(&mut asks, leads, "sluicegate rollout leader", place.lease).await?;
        let lasts = place.report_lease();
        let reports = kept(&mut asks, reports, "sluicegate rollout reports", lasts).await?;
        leases.consul = [Some(leads.clone()), Some(reports.clone())];
        let mut reader = ConsulAgent::new(target.clone());
        let read = reader.list(watched).await?;
        let index = read.index;
        Ok(Self {
            reading: Box::pin(next(reader, watched.to_owned(), index)),
            asks,
            watched: watched.to_owned(),
            entries: entries(read),
            leads,
            reports,
        })
    }

    pub(super) async fn changed(&mut self) -> Result<(), ConsulError> {
        let (reader, read) = (&mut self.reading).await;
        let read = match read {
            Ok(read) => read,
            Err(error) => {
                // Not to be asked again after its end.
                self.reading = Box::pin(std::future::pending());
                return Err(error);
            }
        };
        self.reading = Box::pin(next(reader, self.watched.clone(), read.index));
        self.entries = entries(read);
        Ok(())
    }

    pub(super) async fn renew(&mut self) -> Result<bool, ConsulError> {
        Ok(self.asks.renew_session(&self.leads).await?
            && self.asks.renew_session(&self.reports).await?)
    }

    pub(super) async fn list(&mut self, prefix: &str) -> Result<Entries, ConsulError> {
        Ok(entries(self.asks.list(prefix).await?))
    }

    pub(super) async fn report(&mut self, key: &str, value: &[u8]) -> Result<bool, ConsulError> {
        self.asks.hold(put(key, value), &self.reports).await
    }

    pub(super) async fn acquire(&mut self, key: &str, value: &[u8]) -> Result<bool, ConsulError> {
        self.asks.hold(put(key, value), &self.leads).await
    }

    pub(super) async fn release(&mut self, key: &str) -> Result<(), ConsulError> {
        let steps = [
            ConsulStep::HeldBy(key, &self.leads),
            ConsulStep::Delete(key),
        ];
        self.asks.commit(&steps).await.map(drop)
    }

    pub(super) async fn swap(
        &mut self,
        key: &str,
        revision: i64,
        value: &[u8],
        held: Option<&str>,
    ) -> Result<Option<i64>, ConsulError> {
        let index = u64::try_from(revision).map_err(|_| ConsulError::Garbled)?;
        let mut steps = vec![ConsulStep::Swap(put(key, value), index)];
        steps.extend(held.map(|held| ConsulStep::HeldBy(held, &self.leads)));
        let Some(answer) = self.asks.commit(&steps).await? else {
            return Ok(None);
        };
        let index = answer["Results"][0]["KV"]["ModifyIndex"].as_i64();
        index.map(Some).ok_or(ConsulError::Garbled)
    }
}

/// Keeps a session, or begins another one when it has ended.
async fn kept(
    agent: &mut ConsulAgent,
    known: Option<ConsulSession>,
    name: &str,
    lasts: Duration,
) -> Result<ConsulSession, ConsulError> {
    if let Some(known) = known
        && agent.renew_session(&known).await?
    {
        return Ok(known);
    }
    agent.begin_session(name, lasts).await
}

/// Reads the keys again when one may have changed.
async fn next(
    mut reader: ConsulAgent,
    prefix: String,
    index: u64,
) -> (ConsulAgent, Result<ConsulRead, ConsulError>) {
    if index == 0 {
        // Nothing waits at the agent.
        sleep(PAUSE).await;
    }
    let read = reader.list_after(&prefix, index, WAIT).await;
    (reader, read)
}

fn entries(read: ConsulRead) -> Entries {
    let pairs = read.pairs.into_iter();
    pairs
        .map(|pair| {
            let ConsulPair {
                key,
                value,
                changed_at,
                ..
            } = pair;
            let revision = i64::try_from(changed_at).unwrap_or(i64::MAX);
            (key, Entry { value, revision })
        })
        .collect()
}

fn put<'a>(key: &'a str, value: &'a [u8]) -> ConsulPut<'a> {
    ConsulPut { key, value }
}

/// Time that a query waits for a change at the agent.
const WAIT: Duration = Duration::from_secs(15);
/// Time between two queries that do not wait.
const PAUSE: Duration = Duration::from_millis(500);
