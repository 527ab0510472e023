//! Rollouts of a fleet: a service that keeps them in a store, together with the other proxies.
//!
//! Each proxy publishes what it counts, and applies the record that it reads. The one that has the
//! key `leader` adds the reports up once a second and writes the next record, in a transaction that
//! requires the key to be its own still: two leaders never write. Nothing here is waited for by a
//! request; what the store does not answer stays as it is.

mod consul;
mod desk;
mod etcd;
mod fault;
mod govern;
mod link;
mod member;
mod orders;
mod writes;

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

pub(in crate::server) use desk::Desk;

use self::{
    fault::StoreFault,
    link::{Link, Place},
    member::Member,
};
use crate::{
    server::{
        board::Board,
        service::{Ended, Services, Stop},
    },
    telemetry::metrics::{SharedGauge, names},
    upstream::{discovery::Reconnect, etcd::Cluster},
    worker::SharedState,
};

/// Starts the service.
pub(in crate::server) fn start(
    services: &mut Services,
    shared: &Arc<SharedState>,
    board: &Arc<Board>,
) {
    let (shared, board) = (Arc::clone(shared), Arc::clone(board));
    services.start("rollout store", move |stop| {
        let fleet = Fleet {
            shared: Arc::clone(&shared),
            board: Arc::clone(&board),
            up: None,
        };
        fleet.run(stop)
    });
}

struct Fleet {
    shared: Arc<SharedState>,
    board: Arc<Board>,
    /// None while there is no store.
    up: Option<SharedGauge>,
}

/// Reasons why a connection to the store ends.
enum Over {
    /// The process takes no more part.
    Left,
    /// The configuration has another store, or none.
    Edited,
    /// The store failed.
    Failed(StoreFault),
}

impl Fleet {
    async fn run(mut self, stop: Stop) -> Ended {
        loop {
            let Some(place) = self.place() else {
                self.up = None;
                tokio::select! {
                    () = stop.told() => return Ok(()),
                    () = sleep(LOOK) => continue,
                }
            };
            self.board.rollouts.uses(Some((place.name(), place.lease)));
            let up = self.shared.metrics.control();
            self.up = Some(up.gauge(&names::ROLLOUT_STORE_UP, []));
            match self.follow(&place, &stop).await {
                // It goes on after a failure, and never ends with one.
                Over::Left | Over::Failed(_) => {
                    stop.told().await;
                    return Ok(());
                }
                Over::Edited => {
                    self.board.rollouts.uses(None);
                    self.board.outages.over(AWAY);
                    self.board.outages.over(REFUSES);
                }
            }
        }
    }

    /// Takes part in the fleet of a store until that is over for good.
    async fn follow(&self, place: &Place, stop: &Stop) -> Over {
        let mut member = Member::new(&self.shared, &self.board, place.clone());
        let mut cluster = place.cluster();
        let mut reconnect = Reconnect::new(RECONNECT_MAX);
        let servers = cluster.as_ref().map_or(1, Cluster::servers);
        loop {
            tokio::select! {
                () = stop.told() => return Over::Left,
                () = reconnect.wait() => {}
            }
            if let Some(over) = self.is_over(place) {
                return over;
            }
            let why = match self.connect(place, &mut member, &mut cluster, stop).await {
                Over::Failed(why) => why,
                over => return over,
            };
            if member.is_steady() {
                reconnect.succeeded();
            }
            reconnect.failed();
            if member.lost(&why) == servers {
                self.set_up(false);
                let outage = match &why {
                    StoreFault::Away(_) => AWAY,
                    StoreFault::Refused(_) => REFUSES,
                };
                self.board.outages.note::<()>(outage, &Err(&why));
                tracing::warn!(store = %place.name(), %why, "the store of rollouts {}; shares stay as they are", why.verb());
            }
        }
    }

    /// Follows the store on one connection.
    async fn connect(
        &self,
        place: &Place,
        member: &mut Member,
        cluster: &mut Option<Cluster>,
        stop: &Stop,
    ) -> Over {
        let opening = member.open(cluster);
        let mut link = match timeout(place.patience(), Box::pin(opening)).await {
            Ok(Ok(link)) => link,
            Ok(Err(why)) => return Over::Failed(why),
            Err(_) => return Over::Failed(late()),
        };
        let mut pulse = interval(PULSE);
        pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let servers = cluster.as_ref().map_or(1, Cluster::servers);
        loop {
            let over = tokio::select! {
                () = stop.told() => Some(Over::Left),
                changed = link.changed() => match changed {
                    Ok(()) => None,
                    Err(why) => return Over::Failed(why),
                },
                _ = pulse.tick() => None,
            };
            if let Some(over) = over.or_else(|| self.is_over(place)) {
                // Else the leases end by themselves.
                let _ = timeout(LEAVE_MAX, Box::pin(member.leave(&mut link))).await;
                return over;
            }
            match round(place, member, &mut link).await {
                Ok(failures) if failures >= servers => {
                    self.board.outages.over(AWAY);
                    self.board.outages.over(REFUSES);
                    tracing::info!(store = %place.name(), "the store of rollouts answers again");
                }
                Ok(_) => {}
                Err(why) => return Over::Failed(why),
            }
            self.set_up(true);
        }
    }

    fn is_over(&self, place: &Place) -> Option<Over> {
        if self.shared.is_draining() {
            return Some(Over::Left);
        }
        (self.place().as_ref() != Some(place)).then_some(Over::Edited)
    }

    fn place(&self) -> Option<Place> {
        let snapshot = self.shared.snapshot();
        snapshot.config.proxy.rollout_store.as_ref().map(Place::of)
    }

    fn set_up(&self, is_up: bool) {
        if let Some(up) = &self.up {
            up.set(i64::from(is_up));
        }
    }
}

/// Does what is due; returns the number of failures before. What hangs in it is given up before it
/// costs the lease.
async fn round(place: &Place, member: &mut Member, link: &mut Link) -> Result<usize, StoreFault> {
    let began = Instant::now();
    match timeout(place.patience(), Box::pin(member.round(link))).await {
        Ok(done) => done?,
        Err(_) => return Err(late()),
    }
    Ok(member.answered(began))
}

fn late() -> StoreFault {
    StoreFault::Away("no answer in time".to_owned())
}

const AWAY: &str = "the store of rollouts does not answer";
const REFUSES: &str = "the store of rollouts refuses a request";
/// Between two looks if there is a store.
const LOOK: Duration = Duration::from_millis(200);
/// Between two looks at what is due.
const PULSE: Duration = Duration::from_millis(100);
/// A store that is back is noticed within this time.
const RECONNECT_MAX: Duration = Duration::from_secs(1);
/// Time for leaving the fleet.
const LEAVE_MAX: Duration = Duration::from_millis(500);
