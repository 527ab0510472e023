//! The registry of a Eureka server: states of all instances, and those of one application.

use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
    sync::Arc,
};

use serde::Deserialize;
use serde_json::Value;

use crate::{
    config::value::{EndpointAddress, host_with_port, picker::WEIGHT_MAX},
    upstream::{
        discovery::EndpointList,
        endpoint::{Endpoint, Standing},
    },
};

/// An answer: the whole registry, or a part that has changed.
#[derive(Debug)]
pub(super) struct Applications {
    /// Counts of the states in the whole registry, such as `DOWN_1_UP_2_`.
    hash: String,
    instances: Vec<Value>,
}

/// Known part of the registry.
#[derive(Debug)]
pub(super) struct Registry {
    app: String,
    /// Every instance, by application and its own name.
    instances: BTreeMap<(String, String), Known>,
}

#[derive(Debug, PartialEq)]
struct Known {
    status: String,
    /// All of it, if it is of the application that is followed.
    whole: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Port {
    #[serde(rename = "$")]
    number: Value,
    #[serde(rename = "@enabled", default)]
    enabled: Value,
}

impl Applications {
    /// Reads an answer.
    pub(super) fn read(body: &[u8]) -> Result<Self, String> {
        let mut answer: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let all = answer
            .get_mut("applications")
            .ok_or_else(|| "it has no \"applications\"".to_owned())?;
        let hash = all["apps__hashcode"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let applications = many(all["application"].take());
        let mut instances: Vec<Value> = Vec::new();
        for mut application in applications {
            instances.extend(many(application["instance"].take()));
        }
        Ok(Self { hash, instances })
    }
}

impl Registry {
    /// Returns an empty registry that follows this application.
    pub(super) fn of(app: &str) -> Self {
        Self {
            app: app.to_uppercase(),
            instances: BTreeMap::new(),
        }
    }

    /// Takes an answer; returns true if an instance of the application has changed.
    pub(super) fn apply(&mut self, answer: &Applications) -> bool {
        let mut has_changed = false;
        for instance in &answer.instances {
            let text = |key: &str| instance[key].as_str().unwrap_or_default();
            let app = text("app").to_uppercase();
            let id = match text("instanceId") {
                "" => text("hostName"),
                id => id,
            };
            let ours = app == self.app;
            let key = (app, id.to_owned());
            if text("actionType") == "DELETED" {
                has_changed |= self.instances.remove(&key).is_some() && ours;
                continue;
            }
            let known = Known {
                status: text("status").to_owned(),
                whole: ours.then(|| instance.clone()),
            };
            if self.instances.get(&key) != Some(&known) {
                has_changed |= ours;
                self.instances.insert(key, known);
            }
        }
        has_changed
    }

    /// Returns true if the counts of the states are those of the answer.
    pub(super) fn agrees_with(&self, answer: &Applications) -> bool {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for known in self.instances.values() {
            *counts.entry(&known.status).or_default() += 1;
        }
        let counts = counts
            .iter()
            .map(|(status, count)| format!("{status}_{count}_"));
        counts.collect::<String>() == answer.hash
    }

    /// Returns the endpoints of the application.
    pub(super) fn list(&self) -> EndpointList {
        let mut list = EndpointList::default();
        for ((_, id), known) in &self.instances {
            let Some(instance) = &known.whole else {
                continue;
            };
            match endpoint(instance, &known.status) {
                Ok(endpoint) => list.endpoints.push(endpoint),
                Err(fault) => list.skipped.add(format_args!("{id}: {fault}")),
            }
        }
        // Of several with one address one that is up counts.
        list.endpoints.sort_by_key(|it| !it.is_up());
        let mut known = HashSet::with_capacity(list.endpoints.len());
        list.endpoints
            .retain(|it| known.insert(Arc::clone(&it.label)));
        list
    }
}

fn endpoint(instance: &Value, status: &str) -> Result<Endpoint, String> {
    let host = instance["ipAddr"].as_str().filter(|host| !host.is_empty());
    let host = host.or_else(|| instance["hostName"].as_str());
    let host = host.ok_or("it has neither ipAddr nor hostName")?;
    let port = ["port", "securePort"]
        .iter()
        .find_map(|key| port(&instance[*key]));
    let port = port.ok_or("it has no port that is enabled")?;
    let address = host_with_port(host, port);
    let address = EndpointAddress::parse(&address, Path::new("/"));
    let address = address.map_err(|mismatch| mismatch.message)?;
    let metadata = instance["metadata"].as_object();
    let labels: BTreeMap<String, String> = metadata
        .into_iter()
        .flatten()
        .filter(|(key, _)| !key.starts_with('@'))
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect();
    let number = |key: &str, default: u32| match labels.get(key) {
        None => Ok(default),
        Some(text) => text
            .parse()
            .map_err(|_| format!("\"{key}\" in its metadata is not a number")),
    };
    let weight = number("weight", 1)?;
    if weight > WEIGHT_MAX {
        return Err(format!("a weight of {weight}, more than {WEIGHT_MAX}"));
    }
    let version = labels.get("version");
    let version = version.and_then(|text| text.strip_prefix('v').unwrap_or(text).parse().ok());
    Ok(Endpoint {
        weight,
        priority: number("priority", 0)?,
        zone: labels.get("zone").map(|zone| zone.as_str().into()),
        standing: match status {
            "UP" => Standing::Up,
            status => Standing::Down(status.into()),
        },
        labels,
        ..Endpoint::new(address, version)
    })
}

/// Returns the number of a port, if it is enabled.
fn port(value: &Value) -> Option<u16> {
    let port = Port::deserialize(value).ok()?;
    let enabled = port.enabled.as_bool() == Some(true) || port.enabled.as_str() == Some("true");
    let number = match &port.number {
        Value::String(text) => text.parse().ok()?,
        number => u16::try_from(number.as_u64()?).ok()?,
    };
    enabled.then_some(number).filter(|number| *number > 0)
}

/// Returns the elements of a list; of one alone some servers write no list.
fn many(value: Value) -> Vec<Value> {
    match value {
        Value::Array(all) => all,
        Value::Null => Vec::new(),
        one => vec![one],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn instance(app: &str, id: &str, port: u16, status: &str, action: &str) -> Value {
        json!({ "instanceId": id, "app": app, "ipAddr": "10.0.0.1", "status": status, "actionType": action,
            "port": { "$": port, "@enabled": "true" }, "securePort": { "$": 443, "@enabled": "false" },
            "metadata": { "@class": "x", "version": "v1.2.3", "weight": "4", "zone": "a" } })
    }

    fn answer(hash: &str, instances: &[Value]) -> Applications {
        let body = json!({ "applications": { "versions__delta": "1", "apps__hashcode": hash,
            "application": [{ "name": "X", "instance": instances }] } });
        Applications::read(body.to_string().as_bytes()).unwrap()
    }

    fn shown(registry: &Registry) -> Vec<String> {
        let list = registry.list();
        let shown = list.endpoints.iter().map(|it| {
            let version = it.version_label.as_deref().unwrap_or("-");
            format!("{} {} {version} {}", it.label, it.weight, it.is_up())
        });
        shown.collect()
    }

    #[test]
    fn deltas_are_applied_and_a_missed_one_is_seen() {
        let mut registry = Registry::of("orders");
        let all = answer(
            "UP_3_",
            &[
                instance("ORDERS", "a", 1, "UP", "ADDED"),
                instance("ORDERS", "b", 2, "UP", "ADDED"),
                instance("USERS", "a", 3, "UP", "ADDED"),
            ],
        );
        assert!(registry.apply(&all) && registry.agrees_with(&all));
        assert_eq!(
            shown(&registry),
            ["10.0.0.1:1 4 1.2.3 true", "10.0.0.1:2 4 1.2.3 true"]
        );
        // Of another application: no change here.
        let other = answer(
            "DOWN_1_UP_2_",
            &[instance("USERS", "a", 3, "DOWN", "MODIFIED")],
        );
        assert!(!registry.apply(&other) && registry.agrees_with(&other));
        let delta = answer(
            "OUT_OF_SERVICE_1_UP_1_",
            &[
                instance("ORDERS", "a", 1, "UP", "DELETED"),
                instance("ORDERS", "b", 2, "OUT_OF_SERVICE", "MODIFIED"),
            ],
        );
        assert!(registry.apply(&delta));
        assert!(
            !registry.agrees_with(&delta),
            "that users has changed was missed"
        );
        assert_eq!(shown(&registry), ["10.0.0.1:2 4 1.2.3 false"]);
    }

    #[test]
    fn an_instance_that_cannot_be_used_is_left_out() {
        let mut registry = Registry::of("ORDERS");
        let mut closed = instance("ORDERS", "closed", 1, "UP", "ADDED");
        closed["port"]["@enabled"] = json!("false");
        let mut odd = instance("ORDERS", "odd", 2, "UP", "ADDED");
        odd["metadata"]["weight"] = json!("many");
        registry.apply(&answer(
            "",
            &[closed, odd, instance("ORDERS", "good", 3, "UP", "ADDED")],
        ));
        assert_eq!(shown(&registry), ["10.0.0.1:3 4 1.2.3 true"]);
        let list = registry.list();
        let told = list.skipped.first();
        assert!(told[0].starts_with("closed: it has no port"), "{told:?}");
        assert!(told[1].starts_with("odd: \"weight\""), "{told:?}");
        // One alone is not always in a list.
        let one = json!({ "applications": { "application": { "instance": instance("A", "a", 1, "UP", "") } } });
        assert_eq!(
            Applications::read(one.to_string().as_bytes())
                .unwrap()
                .instances
                .len(),
            1
        );
        assert!(Applications::read(b"[]").is_err() && Applications::read(b"<x/>").is_err());
    }
}
