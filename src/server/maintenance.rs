//! Routes that are closed by a command: over reloads, and with a `state_dir` over restarts.
//!
//! A route that is closed has one more filter, so that an open one costs nothing. The
//! configuration in use is compiled anew for it, whatever its file says by now.

use std::{path::Path, sync::Arc};

use arc_swap::ArcSwap;
use tokio::time::Instant;

use super::{
    control::{Answer, Control},
    outages::Outages,
    record::{self, Record, Subject},
    reload::Wanted,
};
use crate::state::{Closed, Closing, Registry};

/// A change of what is closed.
#[derive(Clone, Debug)]
pub(crate) struct Switch {
    /// The route; none: all of them.
    pub(crate) route: Option<String>,
    /// Terms on which it is closed; none: it is open again.
    pub(crate) closing: Option<Closing>,
}

/// Record of what is closed, and its copy on disk.
#[derive(Debug)]
pub(super) struct Maintenance {
    closed: Arc<ArcSwap<Closed>>,
    record: Record,
}

impl Switch {
    /// Makes the change.
    pub(super) fn apply(&self, closed: &mut Closed) {
        match (&self.route, &self.closing) {
            (None, closing) => closed.all.clone_from(closing),
            (Some(route), Some(closing)) => {
                closed.routes.insert(route.clone(), closing.clone());
            }
            (Some(route), None) => {
                closed.routes.remove(route);
            }
        }
        if self.route.is_none() && self.closing.is_none() {
            closed.routes.clear();
        }
    }
}

impl Maintenance {
    pub(super) fn new(path: &Path, closed: &Arc<ArcSwap<Closed>>, outages: &Arc<Outages>) -> Self {
        Self {
            closed: Arc::clone(closed),
            record: Record::new(&SUBJECT, path, outages),
        }
    }

    /// Begins to write the newest state, once the one before is written.
    pub(super) fn tick(&mut self, state_dir: Option<&Path>) {
        let closed = &self.closed;
        self.record
            .tick(state_dir, Instant::now(), || text(&closed.load()));
    }

    /// Waits for the current write, up to a timeout.
    pub(super) async fn settle(&mut self) {
        self.record.settle().await;
    }
}

impl Control {
    /// Closes routes, or opens them again.
    pub(super) fn switch(&mut self, switch: &Switch, answer: Answer) {
        let mut closed = (*self.maintenance.closed.load_full()).clone();
        switch.apply(&mut closed);
        self.maintenance.closed.store(Arc::new(closed));
        self.maintenance.record.changed();
        self.keep_maintenance();
        self.want_reload(Wanted::anew(vec![answer]));
    }

    /// Keeps what is closed on disk, if it has changed.
    pub(super) fn keep_maintenance(&mut self) {
        let config = Arc::clone(&self.shared.snapshot().config);
        self.maintenance.tick(config.proxy.state_dir.as_deref());
    }
}

/// Takes up what was closed before a restart; blocks on the disk.
pub(super) fn restore(registry: &Registry, state_dir: Option<&Path>, path: &Path) {
    if let Some(closed) = record::read::<Closed>(&SUBJECT, state_dir, path) {
        registry.closed().store(Arc::new(closed));
    }
}

fn text(closed: &Closed) -> Option<String> {
    (!closed.is_empty())
        .then(|| serde_json::to_string(closed).ok())
        .flatten()
}

const SUBJECT: Subject = Subject {
    name: "maintenance",
    unkept: "what is closed for maintenance is not kept over a restart",
    unknown: "what was closed for maintenance is not known",
};

#[cfg(test)]
mod tests {
    use super::*;

    fn switch(route: Option<&str>, is_on: bool) -> Switch {
        Switch {
            route: route.map(str::to_owned),
            closing: is_on.then(Closing::default),
        }
    }

    #[test]
    fn what_is_closed_is_so_until_it_is_opened() {
        let mut closed = Closed::default();
        switch(Some("a"), true).apply(&mut closed);
        switch(None, true).apply(&mut closed);
        let kept: Closed = serde_json::from_str(&text(&closed).unwrap()).unwrap();
        assert_eq!(kept, closed);
        assert!(closed.of("a").is_some() && closed.of("b").is_some());
        switch(None, false).apply(&mut closed);
        assert!(text(&closed).is_none());
    }
}
