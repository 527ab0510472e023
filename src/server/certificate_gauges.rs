//! Gauges of the times at which certificates of listeners expire and revocation lists are due.

use std::{collections::HashMap, path::PathBuf};

use crate::{
    state::Snapshot,
    telemetry::metrics::{ControlMetrics, GaugeDesc, SharedGauge, names},
};

/// The gauges, by place of the family, listener and file. Kept, since a gauge lives as long as its handle.
#[derive(Default)]
pub(super) struct Gauges(HashMap<Key, SharedGauge>);

type Key = (usize, String, PathBuf);

/// Families of certificates, then that of revocation lists.
static FAMILIES: [&GaugeDesc<2>; 3] = [
    &names::CERTIFICATE_EXPIRY_TIMESTAMP_SECONDS,
    &names::CERTIFICATE_EXPIRY_SECONDS,
    &names::REVOCATION_LIST_NEXT_UPDATE_TIMESTAMP_SECONDS,
];

impl Gauges {
    /// Updates the gauges.
    pub(super) fn show(&mut self, metrics: &ControlMetrics, snapshot: &Snapshot) {
        let mut times: HashMap<Key, i64> = HashMap::new();
        for listener in &snapshot.listeners {
            let Some(tls) = &listener.tls else { continue };
            let mut put = |family: usize, file: &PathBuf, time: i64| {
                times.insert((family, listener.name.to_string(), file.clone()), time);
            };
            for certificate in tls.certificates() {
                put(0, &certificate.files.chain, certificate.expires);
                put(1, &certificate.files.chain, certificate.expires);
            }
            let lists = tls.revocation_lists();
            if let Some((lists, due)) = lists.and_then(|it| Some((it.clone(), it.next_update()?))) {
                put(2, &lists.path, due);
            }
        }
        self.0.retain(|key, _| times.contains_key(key));
        for (key, time) in times {
            let make = || {
                let (family, listener, file) = &key;
                let file = file.display().to_string();
                metrics.gauge(FAMILIES[*family], [listener, &file])
            };
            self.0.entry(key.clone()).or_insert_with(make).set(time);
        }
    }
}
