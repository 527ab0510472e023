//! Instances of services as Apache Curator writes them (`ServiceInstance`), and Spring Cloud with it.
//!
//! Version, weight, zone and priority are taken from the payload, or from `metadata` in it.

use serde::Deserialize;
use serde_json::Value;

use crate::{
    config::value::{EndpointAddress, host_with_port, picker::WEIGHT_MAX},
    upstream::endpoint::Endpoint,
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Instance {
    address: String,
    port: Option<u16>,
    ssl_port: Option<u16>,
    #[serde(default)]
    payload: Value,
    #[serde(default = "enabled")]
    enabled: bool,
}

fn enabled() -> bool {
    true
}

/// Reads an instance; none if the text is not in this form, which has `name`, `id` and `address`.
pub(super) fn read(text: &str) -> Option<Result<Vec<Endpoint>, String>> {
    let value: Value = serde_json::from_str(text).ok()?;
    let is_instance = ["name", "id", "address"]
        .iter()
        .all(|key| value.get(key).is_some_and(Value::is_string));
    is_instance.then(|| instance(value))
}

fn instance(value: Value) -> Result<Vec<Endpoint>, String> {
    let instance: Instance = serde_json::from_value(value).map_err(|error| error.to_string())?;
    let port = instance.port.or(instance.ssl_port);
    let port = port.ok_or_else(|| "it has neither port nor sslPort".to_owned())?;
    let host = host_with_port(&instance.address, port);
    let address = EndpointAddress::parse(&host, std::path::Path::new("/"));
    let address = address.map_err(|mismatch| mismatch.message)?;
    let about = |key: &str| {
        let payload = &instance.payload;
        let metadata = payload.get("metadata").and_then(|it| it.get(key));
        match payload.get(key).or(metadata)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    };
    let number = |key: &str| match about(key) {
        None => Ok(None),
        Some(text) => {
            let number = text.parse::<u32>().map(Some);
            number.map_err(|_| format!("its {key} is \"{text}\", not a number"))
        }
    };
    // As with other labels: one that is not a semantic version is none.
    let version = about("version");
    let version = version.and_then(|it| it.strip_prefix('v').unwrap_or(&it).parse().ok());
    let mut endpoint = Endpoint::new(address, version);
    if let Some(weight) = number("weight")? {
        if weight > WEIGHT_MAX {
            return Err(format!("a weight of {weight}, more than {WEIGHT_MAX}"));
        }
        endpoint.weight = weight;
    }
    if let Some(priority) = number("priority")? {
        endpoint.priority = priority;
    }
    endpoint.zone = about("zone").map(Into::into);
    if !instance.enabled {
        // Drained: no new clients.
        endpoint.weight = 0;
    }
    Ok(vec![endpoint])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Result<String, String> {
        let mut endpoints = read(text).expect("an instance")?;
        let it = endpoints.remove(0);
        let version = it.version_label.as_deref().unwrap_or_default();
        let zone = it.zone.as_deref().unwrap_or_default();
        Ok(format!(
            "{} {} {version} {zone} {}",
            it.label, it.weight, it.priority
        ))
    }

    #[test]
    fn an_instance_of_curator_is_an_endpoint() {
        let curator = r#"{"name":"orders","id":"a1","address":"10.0.0.1","port":8080,"sslPort":null,
            "payload":{"version":"1.4.2","weight":3,"zone":"a","priority":"1"},
            "registrationTimeUTC":1,"serviceType":"DYNAMIC","uriSpec":null}"#;
        assert_eq!(shown(curator).unwrap(), "10.0.0.1:8080 3 1.4.2 a 1");
        let spring = r#"{"name":"orders","id":"b","address":"orders.internal","port":8080,
            "payload":{"@class":"org.springframework.cloud.zookeeper.discovery.ZookeeperInstance",
            "id":"b","name":"orders","metadata":{"version":"v2.0.0"}},"enabled":false}"#;
        assert_eq!(shown(spring).unwrap(), "orders.internal:8080 0 2.0.0  0");
        let v6 = r#"{"name":"n","id":"c","address":"::1","sslPort":8443,"payload":null}"#;
        assert_eq!(shown(v6).unwrap(), "[::1]:8443 1   0");
    }

    #[test]
    fn others_are_not_and_a_fault_is_told() {
        assert!(read(r#"{"address": "10.0.0.1:80"}"#).is_none());
        assert!(read("10.0.0.1:80").is_none());
        let without = r#"{"name":"n","id":"c","address":"a"}"#;
        assert!(shown(without).unwrap_err().contains("port"));
        let heavy = r#"{"name":"n","id":"c","address":"a","port":1,"payload":{"weight":"x"}}"#;
        assert!(shown(heavy).unwrap_err().contains("weight"));
    }
}
