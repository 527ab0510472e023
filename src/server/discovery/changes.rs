//! Changes of a pool's endpoints, for log and events.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::upstream::{
    discovery::EndpointChanges,
    endpoint::{Endpoint, Standing},
    pool::Pool,
};

/// Logs a line for each change, up to a limit.
pub(super) fn log(pool: &Pool, changes: &EndpointChanges) {
    let name = &*pool.name;
    let mut left = LINES_MAX;
    let mut line = |tell: &dyn Fn()| {
        if left > 0 {
            tell();
        }
        left = left.saturating_sub(1);
    };
    for endpoint in &changes.added {
        let weight = endpoint.weight;
        let version = endpoint.version_label.as_deref().unwrap_or_default();
        line(
            &|| tracing::info!(pool = name, endpoint = %endpoint.label, weight, version, "endpoint added"),
        );
    }
    for endpoint in &changes.removed {
        line(&|| tracing::info!(pool = name, endpoint = %endpoint.label, "endpoint removed"));
    }
    for (old, new) in &changes.changed {
        let what = difference(old, new);
        line(&|| tracing::info!(pool = name, endpoint = %new.label, what, "endpoint changed"));
    }
    let (added, removed) = (changes.added.len(), changes.removed.len());
    let changed = changes.changed.len();
    if added + removed + changed > LINES_MAX {
        tracing::info!(
            pool = name,
            added,
            removed,
            changed,
            "more endpoints changed than are told one by one"
        );
    }
}

/// Describes the differences of an endpoint.
fn difference(old: &Endpoint, new: &Endpoint) -> String {
    let mut what = Vec::new();
    let mut note = |key: &str, old: &str, new: &str| {
        if old != new {
            let told = |text: &str| if text.is_empty() { "none" } else { text }.to_owned();
            what.push(format!("{key} {} -> {}", told(old), told(new)));
        }
    };
    note("weight", &old.weight.to_string(), &new.weight.to_string());
    let version = |it: &Endpoint| it.version_label.as_deref().unwrap_or_default().to_owned();
    note("version", &version(old), &version(new));
    let zone = |it: &Endpoint| it.zone.as_deref().unwrap_or_default().to_owned();
    note("zone", &zone(old), &zone(new));
    note(
        "priority",
        &old.priority.to_string(),
        &new.priority.to_string(),
    );
    let standing = |it: &Endpoint| match &it.standing {
        Standing::Up => "up".to_owned(),
        Standing::Down(why) | Standing::Leaving(why) => format!("down ({why})"),
    };
    note("registry", &standing(old), &standing(new));
    if old.labels != new.labels {
        what.push("labels".to_owned());
    }
    what.join(", ")
}

/// Returns the changes for an event.
pub(super) fn shown(pool: &Pool, changes: &EndpointChanges) -> Value {
    let labels = |list: &[Arc<Endpoint>]| -> Vec<Arc<str>> {
        let list = list.iter().take(SHOWN_MAX);
        list.map(|it| Arc::clone(&it.label)).collect()
    };
    let strings = |list: Vec<Arc<str>>| -> Value { list.iter().map(|it| json!(&**it)).collect() };
    let changed = changes.changed.iter().take(SHOWN_MAX);
    let changed = changed.map(|(_, new)| Arc::clone(&new.label)).collect();
    json!({
        "pool": &*pool.name,
        "added": strings(labels(&changes.added)),
        "removed": strings(labels(&changes.removed)),
        "changed": strings(changed),
        "counts": [changes.added.len(), changes.removed.len(), changes.changed.len()],
    })
}

/// Maximum number of changes logged one by one.
const LINES_MAX: usize = 20;
/// Maximum number of endpoints that an event names, of each kind.
const SHOWN_MAX: usize = 100;
