//! Stop signal of a service.

use tokio::sync::watch;

/// Tells one service to stop.
#[derive(Debug)]
pub(super) struct Sender(watch::Sender<bool>);

/// Receiver of a service's stop signal.
#[derive(Clone, Debug)]
pub(in crate::server) struct Stop(watch::Receiver<bool>);

pub(super) fn channel() -> (Sender, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Sender(sender), Stop(receiver))
}

impl Sender {
    pub(super) fn send(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
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
