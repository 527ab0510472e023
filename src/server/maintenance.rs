//! Routes that are closed by a command: over reloads, and with a `state_dir` over restarts.
//!
//! A route that is closed has one more filter, so that an open one costs nothing. The
//! configuration in use is compiled anew for it, whatever its file says by now.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;

use super::{
    control::{Answer, Control},
    errand::InTurn,
    last_good,
    outages::Outages,
    reload::Wanted,
};
use crate::{
    file,
    state::{Closed, Closing, Registry},
};

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
    path: PathBuf,
    closed: Arc<ArcSwap<Closed>>,
    outages: Arc<Outages>,
    writes: InTurn,
    /// The copy on disk is older.
    is_unwritten: bool,
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
            outages: Arc::clone(outages),
            path: path.to_owned(),
            closed: Arc::clone(closed),
            writes: InTurn::new(),
            is_unwritten: false,
        }
    }

    /// Begins to write the newest record, once the one before is written.
    pub(super) fn tick(&mut self, state_dir: Option<&Path>) {
        if !self.is_unwritten || self.writes.is_busy() {
            return;
        }
        self.is_unwritten = false;
        let Some(dir) = state_dir.map(Path::to_owned) else {
            return;
        };
        let (path, closed) = (self.path.clone(), self.closed.load_full());
        let outages = Arc::clone(&self.outages);
        let write = move || {
            let kept = keep(&dir, &path, &closed);
            outages.note(UNKEPT, &kept);
            if let Err(error) = kept {
                tracing::warn!(%error, "what is closed for maintenance is not kept over a restart");
            }
        };
        if let Err(error) = self.writes.send("maintenance", write) {
            tracing::warn!(%error, "what is closed for maintenance is not kept over a restart");
            self.outages.note::<()>(UNKEPT, &Err(error));
        }
    }
}

impl Control {
    /// Closes routes, or opens them again.
    pub(super) fn switch(&mut self, switch: &Switch, answer: Answer) {
        let mut closed = (*self.maintenance.closed.load_full()).clone();
        switch.apply(&mut closed);
        self.maintenance.closed.store(Arc::new(closed));
        self.maintenance.is_unwritten = true;
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
    let Some(kept) = state_dir.map(|dir| place(dir, path)) else {
        return;
    };
    let text = match file::read_to_string(&kept, RECORD_BYTES_MAX) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => {
            tracing::error!(file = %kept.display(), %error, "what was closed for maintenance is not known");
            return;
        }
    };
    match serde_json::from_str::<Closed>(&text) {
        Ok(closed) => registry.closed().store(Arc::new(closed)),
        Err(error) => {
            tracing::error!(file = %kept.display(), %error, "what was closed for maintenance is not known");
        }
    }
}

fn keep(state_dir: &Path, path: &Path, closed: &Closed) -> io::Result<()> {
    let place = place(state_dir, path);
    if closed.is_empty() {
        return match fs::remove_file(place) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        };
    }
    last_good::write(state_dir, &place, &serde_json::to_string(closed)?)
}

fn place(state_dir: &Path, path: &Path) -> PathBuf {
    last_good::place_of(state_dir, path, "maintenance", "json")
}

/// Maximum size of the record: names of ten thousand routes take a tenth of it.
const RECORD_BYTES_MAX: u64 = 8 << 20;

/// The outage of the disk.
const UNKEPT: &str = "what is closed for maintenance is not kept over a restart";

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
    fn what_is_closed_is_kept_until_it_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let (state, path) = (folder.path().join("state"), folder.path().join("p.toml"));
        let registry = Registry::new(1);
        let mut closed = Closed::default();
        switch(Some("a"), true).apply(&mut closed);
        switch(None, true).apply(&mut closed);
        keep(&state, &path, &closed).unwrap();
        restore(&registry, Some(&state), &path);
        assert_eq!(**registry.closed().load(), closed);
        assert!(closed.of("a").is_some() && closed.of("b").is_some());
        switch(None, false).apply(&mut closed);
        assert!(closed.is_empty());
        keep(&state, &path, &closed).unwrap();
        keep(&state, &path, &closed).unwrap();
        assert!(!place(&state, &path).exists());
    }
}
