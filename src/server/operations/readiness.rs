//! Readiness of the process, with reasons.

use super::Api;
use crate::admin::model::Ready;

impl Api {
    /// Returns whether traffic is welcome, and what is amiss.
    pub(super) fn readiness(&self) -> Ready {
        let mut reasons = Vec::new();
        let draining = self.shared.is_draining();
        if draining {
            reasons.push("draining".to_owned());
        }
        // A start with the last good configuration serves: it must not take a fleet out of
        // rotation.
        reasons.extend(self.board.degraded());
        // The last good list stays in use.
        let snapshot = self.shared.snapshot();
        let sources = snapshot.pools.iter().filter(|it| it.discovery.is_some());
        reasons.extend(sources.filter_map(|pool| {
            let status = pool.shared.discovered.status();
            let name = &pool.name;
            let held = |(count, _)| {
                format!("pool \"{name}\": {count} endpoints stay that are suddenly not listed")
            };
            let error = status
                .error
                .map(|(error, _)| format!("pool \"{name}\": {error}"));
            error.or_else(|| status.held.map(held))
        }));
        let troubles = self.board.troubles();
        let ready = !draining && !troubles.iter().any(|trouble| trouble.hurts_traffic);
        reasons.extend(troubles.into_iter().map(|trouble| trouble.what));
        if let Some(report) = self.board.last_reload()
            && let Some(error) = report.error
        {
            reasons.push(format!("the last reload was refused: {error}"));
        }
        Ready {
            ready,
            reasons: Some(reasons),
        }
    }
}
