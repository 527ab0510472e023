//! One instance of a service, as Consul describes it, and the endpoint that it is.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashSet},
    path::Path,
};

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::{
    config::value::{EndpointAddress, host_with_port, picker::WEIGHT_MAX},
    upstream::{
        discovery::EndpointList,
        endpoint::{Endpoint, Standing},
    },
};

/// An instance with its checks.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Instance<'a> {
    #[serde(borrow)]
    node: Node<'a>,
    #[serde(borrow)]
    service: Service<'a>,
    #[serde(borrow, default, deserialize_with = "or_default")]
    checks: Vec<Check<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Node<'a> {
    #[serde(borrow, default)]
    node: Cow<'a, str>,
    #[serde(borrow, default)]
    address: Cow<'a, str>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Service<'a> {
    #[serde(borrow, rename = "ID", default)]
    id: Cow<'a, str>,
    #[serde(borrow, default)]
    address: Cow<'a, str>,
    #[serde(default)]
    port: u16,
    #[serde(default, deserialize_with = "or_default")]
    tags: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    meta: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "or_default")]
    weights: Option<Weights>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Weights {
    passing: u32,
    warning: u32,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Check<'a> {
    #[serde(borrow, rename = "CheckID", default)]
    id: Cow<'a, str>,
    #[serde(borrow, default)]
    status: Cow<'a, str>,
}

/// The worst state of an instance's checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Passing,
    Warning,
    Critical,
    Maintenance,
}

impl<'a> Instance<'a> {
    /// Reads an instance. Of thousands one or two are new: the rest is read again and again, so
    /// nothing is copied that is not kept.
    ///
    /// # Errors
    /// The instance, as far as it can be told, and the fault.
    pub(super) fn read(text: &'a RawValue) -> Result<Self, String> {
        serde_json::from_str(text.get()).map_err(|error| {
            let value = serde_json::from_str::<serde_json::Value>(text.get()).unwrap_or_default();
            let id = value["Service"]["ID"].as_str().unwrap_or("an instance");
            format!("{id}: {error}")
        })
    }

    /// Returns the endpoint that the instance is.
    fn endpoint(self, passing_only: bool) -> Result<Endpoint, String> {
        let Self { node, service, .. } = &self;
        let host = match &*service.address {
            "" => &node.address,
            own => own,
        };
        let fault = |what: &str| format!("{} on {}: {what}", service.id, node.node);
        if service.port == 0 {
            return Err(fault("it has no port"));
        }
        let address = host_with_port(host, service.port);
        let address = EndpointAddress::parse(&address, Path::new("/"));
        let address = address.map_err(|mismatch| fault(&mismatch.message))?;
        let state = self.state();
        let weight = match (&service.weights, state) {
            (None, _) => 1,
            (Some(weights), State::Warning) => weights.warning,
            (Some(weights), _) => weights.passing,
        };
        if weight > WEIGHT_MAX {
            return Err(fault(&format!(
                "a weight of {weight}, more than {WEIGHT_MAX}"
            )));
        }
        let priority = match service.meta.get("priority").map(|text| text.parse()) {
            None => 0,
            Some(Ok(priority)) => priority,
            Some(Err(_)) => return Err(fault("\"priority\" in its Meta is not a number")),
        };
        let zone = service.meta.get("zone").map(|zone| zone.as_str().into());
        let version = self.version();
        Ok(Endpoint {
            weight,
            zone,
            priority,
            standing: state.standing(passing_only),
            labels: self.into_labels(),
            ..Endpoint::new(address, version)
        })
    }

    fn into_labels(self) -> BTreeMap<String, String> {
        let mut labels = self.service.meta;
        labels.insert("node".to_owned(), self.node.node.into_owned());
        if !self.service.tags.is_empty() {
            labels.insert("tags".to_owned(), self.service.tags.join(","));
        }
        labels
    }

    /// Returns the version: of `version` in Meta, else of a tag `version=1.2.3` or `v1.2.3`.
    fn version(&self) -> Option<semver::Version> {
        let read = |text: &str| text.strip_prefix('v').unwrap_or(text).parse().ok();
        let meta = self.service.meta.get("version").and_then(|text| read(text));
        let mut tags = self.service.tags.iter();
        meta.or_else(|| {
            tags.find_map(|tag| match tag.strip_prefix("version=") {
                Some(version) => read(version),
                None if tag.starts_with('v') => read(tag),
                None => None,
            })
        })
    }

    fn state(&self) -> State {
        let state = |check: &Check<'_>| match &*check.status {
            _ if check.id == "_node_maintenance" => State::Maintenance,
            _ if check.id.starts_with("_service_maintenance:") => State::Maintenance,
            "critical" => State::Critical,
            "warning" => State::Warning,
            _ => State::Passing,
        };
        let states = self.checks.iter().map(state);
        states
            .max_by_key(|state| *state as u8)
            .unwrap_or(State::Passing)
    }
}

impl State {
    fn standing(self, passing_only: bool) -> Standing {
        match self {
            Self::Passing => Standing::Up,
            Self::Warning if !passing_only => Standing::Up,
            Self::Warning => Standing::Down("warning".into()),
            Self::Critical => Standing::Down("critical".into()),
            Self::Maintenance => Standing::Down("maintenance".into()),
        }
    }
}

/// Returns the endpoints of these instances. Of several with one address the first that is up
/// counts: instances that were not removed when others took their place.
pub(super) fn list<'a>(
    instances: impl Iterator<Item = Result<Instance<'a>, String>>,
    passing_only: bool,
) -> EndpointList {
    let mut list = EndpointList::default();
    for instance in instances {
        match instance.and_then(|instance| instance.endpoint(passing_only)) {
            Ok(endpoint) => list.endpoints.push(endpoint),
            Err(fault) => list.skipped.add(fault),
        }
    }
    list.endpoints.sort_by_key(|it| !it.is_up());
    let mut known = HashSet::with_capacity(list.endpoints.len());
    list.endpoints
        .retain(|it| known.insert(std::sync::Arc::clone(&it.label)));
    list
}

/// Reads `null`, which Consul writes for what is empty, as the default.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(instances: &serde_json::Value, passing_only: bool) -> (Vec<String>, Vec<String>) {
        let text = instances.to_string();
        let instances: Vec<&RawValue> = serde_json::from_str(&text).unwrap();
        let list = list(instances.into_iter().map(Instance::read), passing_only);
        let shown = list.endpoints.iter().map(|it| {
            let version = it.version_label.as_deref().unwrap_or("-");
            let zone = it.zone.as_deref().unwrap_or("-");
            let standing = match &it.standing {
                Standing::Up => "up",
                Standing::Down(why) | Standing::Leaving(why) => why,
            };
            format!("{} {} {version} {zone} {standing}", it.label, it.weight)
        });
        (shown.collect(), list.skipped.first().to_vec())
    }

    fn instance(id: &str, port: u16, more: &serde_json::Value, status: &str) -> serde_json::Value {
        let mut instance = json!({
            "Node": { "Node": "n1", "Address": "10.0.0.1" },
            "Service": { "ID": id, "Address": "", "Port": port, "Tags": null, "Meta": null,
                "Weights": { "Passing": 5, "Warning": 2 } },
            "Checks": [{ "CheckID": "serfHealth", "Status": "passing" }, { "CheckID": "c", "Status": status }],
        });
        let service = instance["Service"].as_object_mut().unwrap();
        service.extend(more.as_object().unwrap().clone());
        instance
    }

    #[test]
    fn weight_version_zone_and_status_are_read() {
        let all = json!([
            instance("a", 1, &json!({}), "passing"),
            instance(
                "b",
                2,
                &json!({ "Meta": { "version": "1.2.3", "zone": "z" } }),
                "warning"
            ),
            instance(
                "c",
                3,
                &json!({ "Tags": ["blue", "v2.0.0"], "Address": "fd00::1" }),
                "critical"
            ),
            instance(
                "d",
                4,
                &json!({ "Tags": ["version=3.1.0"], "Address": "D.internal" }),
                "passing"
            ),
        ]);
        let (passing, skipped) = shown(&all, true);
        assert_eq!(
            passing,
            [
                "10.0.0.1:1 5 - - up",
                "d.internal:4 5 3.1.0 - up",
                "10.0.0.1:2 2 1.2.3 z warning",
                "[fd00::1]:3 5 2.0.0 - critical",
            ]
        );
        assert!(skipped.is_empty());
        assert_eq!(shown(&all, false).0[1], "10.0.0.1:2 2 1.2.3 z up");
        let mut quiet = instance("a", 1, &json!({}), "passing");
        quiet["Checks"] = json!([{ "CheckID": "_service_maintenance:a", "Status": "critical" }]);
        assert_eq!(
            shown(&json!([quiet]), true).0,
            ["10.0.0.1:1 5 - - maintenance"]
        );
    }

    #[test]
    fn an_instance_that_cannot_be_used_is_left_out_and_an_old_twin_is_passed_over() {
        let all = json!([
            instance("old", 1, &json!({}), "critical"),
            instance("none", 0, &json!({}), "passing"),
            instance("odd", 2, &json!({ "Address": "a b" }), "passing"),
            instance("far", 3, &json!({ "Meta": { "priority": "x" } }), "passing"),
            { "Service": { "ID": "torn", "Port": "x" } },
            instance("new", 1, &json!({}), "passing"),
        ]);
        let (used, skipped) = shown(&all, true);
        assert_eq!(used, ["10.0.0.1:1 5 - - up"]);
        for (told, fault) in skipped.iter().zip([
            "none on n1: it has no port",
            "odd on n1: ",
            "far on n1: \"priority\"",
            "torn: ",
        ]) {
            assert!(told.starts_with(fault), "{told}");
        }
        assert_eq!(skipped.len(), 4);
    }
}
