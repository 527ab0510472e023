//! The store of rollouts in etcd: keys under leases, followed by a watch.

use std::time::Duration;

use super::{
    fault::StoreFault,
    link::{Entries, Entry, Leases, Place},
};
use crate::upstream::etcd::{
    Act, Change, Channel, Cluster, Condition, EtcdError, KeyValue, Lease, Put, Watch, WatchStep,
};

/// A connection to a server.
pub(super) struct EtcdLink {
    channel: Channel,
    watch: Watch,
    watched: String,
    pub(super) entries: Entries,
    leads: Lease,
    reports: Lease,
}

impl EtcdLink {
    pub(super) async fn open(
        cluster: &mut Cluster,
        place: &Place,
        leases: &mut Leases,
        watched: &str,
    ) -> Result<Self, StoreFault> {
        let channel = match cluster.connect().await {
            Ok(channel) => channel,
            Err((server, error)) => {
                return Err(StoreFault::from(error).of(&server.to_string()));
            }
        };
        let server = channel.server().to_string();
        let opening = Self::over(channel, place, leases, watched).await;
        opening.map_err(|error| StoreFault::from(error).of(&server))
    }

    async fn over(
        channel: Channel,
        place: &Place,
        leases: &mut Leases,
        watched: &str,
    ) -> Result<Self, EtcdError> {
        let leads = kept(&channel, leases.etcd[0], place.lease).await?;
        let reports = kept(&channel, leases.etcd[1], place.report_lease()).await?;
        leases.etcd = [Some(leads), Some(reports)];
        let (entries, watch) = follow(&channel, watched).await?;
        Ok(Self {
            channel,
            watch,
            watched: watched.to_owned(),
            entries,
            leads,
            reports,
        })
    }

    pub(super) async fn changed(&mut self) -> Result<(), EtcdError> {
        match self.watch.next().await? {
            WatchStep::Changed { changes, .. } => {
                for change in changes {
                    match change {
                        Change::Put(pair) => {
                            let (key, entry) = entry(&pair);
                            self.entries.insert(key, entry);
                        }
                        Change::Deleted(key) => {
                            self.entries.remove(&*String::from_utf8_lossy(&key));
                        }
                    }
                }
            }
            WatchStep::Compacted => {
                let (entries, watch) = follow(&self.channel, &self.watched).await?;
                (self.entries, self.watch) = (entries, watch);
            }
        }
        Ok(())
    }

    pub(super) async fn renew(&mut self) -> Result<bool, EtcdError> {
        let both = tokio::join!(
            self.channel.keep(self.leads),
            self.channel.keep(self.reports)
        );
        Ok(both.0? && both.1?)
    }

    pub(super) async fn list(&mut self, prefix: &str) -> Result<Entries, EtcdError> {
        let listed = self.channel.list(prefix.as_bytes(), BYTES_MAX).await?;
        Ok(listed.pairs.iter().map(entry).collect())
    }

    pub(super) async fn report(&mut self, key: &str, value: &[u8]) -> Result<(), EtcdError> {
        self.channel.put(put(key, value), self.reports).await
    }

    pub(super) async fn acquire(&mut self, key: &str, value: &[u8]) -> Result<bool, EtcdError> {
        let nobody = Condition::ChangedAt(key.as_bytes(), 0);
        let act = Act::PutUnder(put(key, value), self.leads);
        Ok(self.channel.commit(&[nobody], &[act]).await?.is_some())
    }

    pub(super) async fn release(&mut self, key: &str) -> Result<(), EtcdError> {
        let own = Condition::HeldBy(key.as_bytes(), self.leads);
        let act = Act::Delete(key.as_bytes());
        self.channel.commit(&[own], &[act]).await.map(drop)
    }

    pub(super) async fn swap(
        &mut self,
        key: &str,
        revision: i64,
        value: &[u8],
        held: Option<&str>,
    ) -> Result<Option<i64>, EtcdError> {
        let mut conditions = vec![Condition::ChangedAt(key.as_bytes(), revision)];
        conditions.extend(held.map(|held| Condition::HeldBy(held.as_bytes(), self.leads)));
        let act = Act::Put(put(key, value));
        self.channel.commit(&conditions, &[act]).await
    }
}

/// Keeps a lease, or takes another one when it has ended.
async fn kept(
    channel: &Channel,
    known: Option<Lease>,
    lasts: Duration,
) -> Result<Lease, EtcdError> {
    match known {
        Some(known) if channel.keep(known).await? => Ok(known),
        _ => channel.lease(lasts).await,
    }
}

async fn follow(channel: &Channel, prefix: &str) -> Result<(Entries, Watch), EtcdError> {
    let listed = channel.list(prefix.as_bytes(), BYTES_MAX).await?;
    let watch = channel.watch(prefix.as_bytes(), listed.revision).await?;
    Ok((listed.pairs.iter().map(entry).collect(), watch))
}

fn entry(pair: &KeyValue) -> (String, Entry) {
    let key = String::from_utf8_lossy(&pair.key).into_owned();
    let entry = Entry {
        value: pair.value.to_vec(),
        revision: pair.changed_at,
    };
    (key, entry)
}

fn put<'a>(key: &'a str, value: &'a [u8]) -> Put<'a> {
    Put {
        key: key.as_bytes(),
        value,
    }
}

/// Maximum size of what a fleet keeps.
const BYTES_MAX: usize = 16 << 20;
