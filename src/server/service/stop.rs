//! Stop signal of a service, and looks at something until it is given.

use std::time::Duration;

use tokio::{
    sync::watch,
    time::{Interval, MissedTickBehavior, interval},
};

/// Tells one service to stop.
#[derive(Debug)]
pub(super) struct Sender(watch::Sender<bool>);

/// Receiver of a service's stop signal.
#[derive(Clone, Debug)]
pub(in crate::server) struct Stop(watch::Receiver<bool>);

/// Times at which a service looks at something: at once, and then at intervals.
#[derive(Debug)]
pub(in crate::server) struct Looks<'a> {
    stop: &'a Stop,
    ticks: Interval,
}

pub(super) fn channel() -> (Sender, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Sender(sender), Stop(receiver))
}

impl Sender {
    pub(super) fn send(&self) {
        self.0.send_replace(true);
    }
}

impl Looks<'_> {
    /// Waits for the next look; false: the service must end. Cancel safe.
    pub(in crate::server) async fn next(&mut self) -> bool {
        tokio::select! {
            () = self.stop.told() => false,
            _ = self.ticks.tick() => true,
        }
    }
}

impl Stop {
    /// Returns looks at these intervals; one that is late delays those after it.
    pub(in crate::server) fn looks(&self, every: Duration) -> Looks<'_> {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Looks { stop: self, ticks }
    }

    /// Returns true if the service must end.
    pub(in crate::server) fn is_told(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until the service must end. Cancel safe.
    pub(in crate::server) async fn told(&self) {
        // Who could tell may be gone: then it is the end as well.
        let _ = self.0.clone().wait_for(|told| *told).await;
    }
}
