//! The work of the control thread that comes back every 200 ms.

use serde_json::json;
use tokio::time::Instant;

use super::{control::Control, rate_store, reload::Wanted};
use crate::{
    resilience::breaker::{BreakerChange, BreakerState},
    upstream::pool::Pool,
};

impl Control {
    /// Does the work of every 200 ms: ends ejections and holds, reports transitions, supervises
    /// workers and services.
    pub(super) fn tick(&mut self) {
        let now = Instant::now();
        self.supervision
            .look(&self.shared, &self.services, &self.board);
        self.notify.tick(now, !self.board.hurts_traffic());
        self.keeper.tick();
        self.keep_maintenance();
        self.keep_decisions();
        self.discoveries.kept.tick();
        self.tell_fleet();
        if self.doubt.is_some_and(|doubt| now >= doubt) {
            self.want_reload(Wanted::silently());
        }
        let snapshot = self.shared.snapshot();
        let mut changed = false;
        for pool in &snapshot.pools {
            for transition in pool.shared.health.tick(now) {
                self.gauges.transition(&pool.name, &transition);
                self.events.publish(
                    "health",
                    "proxy",
                    json!({
                        "pool": &*pool.name,
                        "endpoint": &*transition.address,
                        "from": transition.from.word(),
                        "to": transition.to.word(),
                        "cause": transition.cause.to_string(),
                    }),
                );
            }
            self.look_at_breaker(pool, now);
            self.look_at_source(pool);
            changed |= self.gauges.pool(pool);
        }
        rate_store::tell(&snapshot, &self.events, &mut self.gauges);
        self.panics.tell(&snapshot, changed, &mut self.gauges);
        let metrics = &self.shared.metrics;
        let failing = self.failing.look(&snapshot, metrics, changed, &self.events);
        if let Some(lines) = failing {
            self.board.set_failing(lines);
        }
        self.gauges.concurrency(&snapshot.routes);
        for cache in snapshot.routes.iter().filter_map(|it| it.filters.cache()) {
            cache.start();
        }
        self.gauges.caches(&snapshot.routes);
        self.cache_disks.tell(&snapshot.routes, &self.events);
        self.strains.tell(&snapshot.routes, &self.events, now);
        self.log_losses.look(&self.shared, &self.board.outages, now);
        self.board.outages.tell(&self.events);
        self.gauges.tick();
        self.gauges
            .retain_pools(|name| snapshot.pool(name).is_some());
        // A reload that is being prepared may hold it.
        if let Ok(mut registry) = self.registry.try_lock() {
            registry.forget_unused();
        }
    }

    /// Tells of what the breaker of a pool did.
    fn look_at_breaker(&mut self, pool: &Pool, now: Instant) {
        let name = &pool.name;
        for BreakerChange { from, to, cause } in pool.shared.breaker.tick(now) {
            if to == BreakerState::Open {
                tracing::warn!(pool = %name, %from, %to, %cause, "breaker");
            } else {
                tracing::info!(pool = %name, %from, %to, %cause, "breaker");
            }
            self.gauges.breaker_changed(name, to);
            let what = json!({
                "pool": &**name,
                "from": from.word(),
                "to": to.word(),
                "cause": cause.to_string(),
            });
            self.events.publish("breaker", "proxy", what);
        }
        let view = pool.shared.breaker.view(now);
        self.gauges.breaker(name, view.map(|view| view.state));
    }
}
