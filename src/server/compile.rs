//! A configuration compiled for inspection: beside the one in use, and for nobody.

use std::sync::Arc;

use tokio::time::Instant;

use crate::{
    config::{self, Loaded},
    state::{self, BuildError, Lists, Registered, Snapshot, Source, TlsFiles},
};

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
