//! A configuration compiled for inspection: beside the one in use, and for nobody.

use std::sync::Arc;

use tokio::time::Instant;

use super::discovery::ask_first;
use crate::{
    config::{self, Loaded},
    state::{self, BuildError, Lists, Registered, Snapshot, Source, TlsFiles, heads::Heads},
};

/// Asks the sources of a configuration that is compiled for inspection; blocks for some seconds at
/// most. What they answer is kept beside them.
pub(crate) fn ask_sources(snapshot: &Snapshot) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let Ok(runtime) = runtime else { return };
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, ask_first(snapshot));
    drop(local);
    // What still waits for a disk is not waited for.
    runtime.shutdown_background();
}

/// Compiles the configuration that was in use before the last change of routes, to compare with it;
/// none if there is none, or if it cannot be compiled any more.
pub(super) fn former(heads: &Heads, registered: &Registered, now: Instant) -> Option<Snapshot> {
    let source = Source {
        config: heads.former.config(now)?,
        registered,
        last: None,
        files: TlsFiles::Left,
        lists: Lists::Left,
        generation: 0,
        now,
    };
    state::build(&source, &mut state::Registry::new(1)).ok()
}

/// Compiles a configuration for inspection, and runs its tests; nothing is kept.
pub(crate) fn compile(
    loaded: Loaded,
    registered: &Registered,
    lists: Lists,
) -> Result<(Snapshot, config::Faults), BuildError> {
    let source = Source {
        config: Arc::new(loaded.config),
        registered,
        last: None,
        // They were read for the checks.
        files: TlsFiles::Left,
        lists,
        generation: 0,
        now: Instant::now(),
    };
    let mut registry = state::Registry::new(1);
    let snapshot = state::build(&source, &mut registry)?;
    Ok((snapshot, loaded.warnings))
}
