//! Watch on the memory of the process.
//!
//! Measures every 250 ms, tells the workers the pressure, and while memory is short asks them to
//! close idle connections. The allocator returns freed memory by itself, some milliseconds later.
//! Owns the pressure; `resilience::overload` decides it.

mod memory;

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tokio::time::Instant;

use super::service::{Ended, Services, Stop};
use crate::{
    config::value::ByteSize,
    resilience::Pressure,
    telemetry::{
        events::Events,
        metrics::{SharedGauge, names, resident_bytes},
    },
    worker::{Command, SharedState},
};

/// Starts the watch.
pub(super) fn start(services: &mut Services, shared: &Arc<SharedState>, events: &Arc<Events>) {
    let (shared, events) = (Arc::clone(shared), Arc::clone(events));
    services.start("memory watch", move |stop| {
        let metrics = shared.metrics.control();
        let watch = Watch {
            limit: metrics.gauge(&names::MEMORY_LIMIT, []),
            level: metrics.gauge(&names::MEMORY_PRESSURE, []),
            available: None,
            next_reading: Instant::now(),
            shared: Arc::clone(&shared),
            events: Arc::clone(&events),
        };
        watch.run(stop)
    });
}

struct Watch {
    shared: Arc<SharedState>,
    events: Arc<Events>,
    limit: SharedGauge,
    level: SharedGauge,
    /// Memory that the process may use, as last read; none if that cannot be known.
    available: Option<u64>,
    /// Time at which that is read again: it takes several files, and seldom changes.
    next_reading: Instant,
}

impl Watch {
    async fn run(mut self, stop: Stop) -> Ended {
        let mut looks = stop.looks(LOOK);
        while looks.next().await {
            self.look();
        }
        Ok(())
    }

    fn look(&mut self) {
        let time = Instant::now();
        if time >= self.next_reading {
            self.available = memory::available();
            self.next_reading = time + READING;
        }
        let snapshot = self.shared.snapshot();
        let written = snapshot.config.proxy.limits.memory;
        // Where nothing can be measured nothing is limited.
        let limit = self
            .available
            .map_or(0, |available| written.bytes(available));
        let used = resident_bytes().unwrap_or(0);
        let before = self.shared.pressure();
        let now = before.next(used, limit);
        self.limit.set(i64::try_from(limit).unwrap_or(i64::MAX));
        if now != before {
            self.changed(before, now, used, limit);
        }
        if now > Pressure::Calm {
            for worker in &self.shared.workers {
                // One that has no room for a command has more urgent work than this.
                let _ = worker.commands.try_send(Command::Relieve);
            }
        }
    }

    fn changed(&self, from: Pressure, to: Pressure, used: u64, limit: u64) {
        self.shared.set_pressure(to);
        self.level.set(i64::from(to as u8));
        let (used, limit) = (mib(used), mib(limit));
        match to {
            Pressure::Full => tracing::warn!(
                %used, %limit,
                "memory is used up: new requests are refused until some is free again \
                 (proxy.limits.memory)"
            ),
            Pressure::Tight if from == Pressure::Calm => tracing::warn!(
                %used, %limit,
                "memory is short: idle connections are closed (proxy.limits.memory)"
            ),
            Pressure::Tight => {
                tracing::info!(%used, %limit, "memory is no longer used up: requests are taken again");
            }
            Pressure::Calm => tracing::info!(%used, %limit, "memory is no longer short"),
        }
        self.events.publish(
            "memory",
            "proxy",
            json!({
                "from": from.word(),
                "to": to.word(),
                "used": used.to_string(),
                "limit": limit.to_string(),
            }),
        );
    }
}

fn mib(bytes: u64) -> ByteSize {
    ByteSize(bytes >> 20 << 20)
}

/// Between two measurements.
const LOOK: Duration = Duration::from_millis(250);
/// Between two readings of the memory that the process may use.
const READING: Duration = Duration::from_secs(5);
