//! Any bytes as a body of the admin API: no panic, and what is accepted is understood again when it
//! is written.

use std::sync::LazyLock;

use sluicegate::admin::ExplainRequest;
use sluicegate::admin::model::UpgradeRequest;
use sluicegate::state::{Asked, Explained, HealthKnown, Snapshot, explain};

use super::compiled::{ROUTES, compiled, read};

/// Checks one input as the body of `/explain`, `/upgrade` and `/check`.
pub(crate) fn run(data: &[u8]) {
    if let Ok(request) = serde_json::from_slice::<ExplainRequest>(data) {
        let written = serde_json::to_vec(&request).expect("JSON");
        let again: ExplainRequest = serde_json::from_slice(&written).expect("own JSON");
        assert_eq!(again, request);
        ask(request);
    }
    if let Ok(request) = serde_json::from_slice::<UpgradeRequest>(data) {
        let written = serde_json::to_vec(&request).expect("JSON");
        let again: UpgradeRequest = serde_json::from_slice(&written).expect("own JSON");
        assert_eq!(again, request);
    }
    if let Ok(text) = std::str::from_utf8(data) {
        match read(text) {
            Ok(Ok(snapshot)) => assert!(snapshot.generation == 1),
            Ok(Err(error)) => assert!(!error.to_string().is_empty()),
            Err(faults) => assert!(!faults.to_string().is_empty()),
        }
    }
}

fn ask(request: ExplainRequest) {
    let asked = match Asked::read(&request.method, &request.url, &request.headers) {
        Ok(asked) => asked,
        Err(sentence) => return assert!(!sentence.is_empty()),
    };
    let asked = Asked {
        listener: request.listener,
        source: request.source,
        certificate: request.client_certificate,
        ..asked
    };
    match explain(&SNAPSHOT, &asked, HealthKnown::Yes) {
        Ok(told) => {
            let written = serde_json::to_vec(&told).expect("JSON");
            let again: Explained = serde_json::from_slice(&written).expect("own JSON");
            assert_eq!(again, told);
        }
        Err(sentence) => assert!(!sentence.is_empty()),
    }
}

static SNAPSHOT: LazyLock<Snapshot> = LazyLock::new(|| compiled(ROUTES));
