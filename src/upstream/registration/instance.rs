//! The data of an entry in registries that have no form of their own.

use std::{collections::BTreeMap, time::SystemTime};

use serde_json::{Map, Value, json};

use crate::config::value::host_with_port;

/// An instance as others are to see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Host or IP address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// True if the port speaks TLS.
    pub tls: bool,
    /// Labels; `version`, `zone`, `weight` and `priority` have their usual meaning.
    pub meta: BTreeMap<String, String>,
}

impl Instance {
    /// Host and port.
    #[must_use]
    pub fn address(&self) -> String {
        host_with_port(&self.host, self.port)
    }

    /// Returns the entry as lists of endpoints have it.
    pub(super) fn entry(&self) -> String {
        let mut entry = Map::new();
        entry.insert("address".to_owned(), self.address().into());
        let mut labels = Map::new();
        for (key, value) in &self.meta {
            match (&**key, value.parse::<u32>()) {
                ("weight" | "priority", Ok(number)) => entry.insert(key.clone(), number.into()),
                ("version" | "zone", _) => entry.insert(key.clone(), value.as_str().into()),
                _ => labels.insert(key.clone(), value.as_str().into()),
            };
        }
        if !labels.is_empty() {
            entry.insert("labels".to_owned(), labels.into());
        }
        Value::Object(entry).to_string()
    }

    /// Returns the entry as Apache Curator has it, with the payload of Spring Cloud.
    pub(super) fn curator(&self, service: &str, id: &str, now: SystemTime) -> String {
        let since = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let (plain, tls) = if self.tls {
            (Value::Null, self.port.into())
        } else {
            (self.port.into(), Value::Null)
        };
        json!({
            "name": service,
            "id": id,
            "address": self.host,
            "port": plain,
            "sslPort": tls,
            "payload": {
                "@class": "org.springframework.cloud.zookeeper.discovery.ZookeeperInstance",
                "id": id,
                "name": service,
                "metadata": self.meta,
            },
            "registrationTimeUTC": millis,
            "serviceType": "DYNAMIC",
            "uriSpec": null,
        })
        .to_string()
    }

    /// Returns the entry as Eureka has it.
    pub(super) fn eureka(&self, app: &str, id: &str, lease_secs: (u64, u64)) -> String {
        let port = |enabled: bool| json!({ "$": self.port, "@enabled": enabled.to_string() });
        let (renewal_secs, lasts_secs) = lease_secs;
        json!({ "instance": {
            "instanceId": id,
            "app": app,
            "hostName": self.host,
            "ipAddr": self.host,
            "vipAddress": app.to_lowercase(),
            "secureVipAddress": app.to_lowercase(),
            "status": "UP",
            "overriddenstatus": "UNKNOWN",
            "port": port(!self.tls),
            "securePort": port(self.tls),
            "countryId": 1,
            "dataCenterInfo": {
                "@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo",
                "name": "MyOwn",
            },
            "leaseInfo": {
                "renewalIntervalInSecs": renewal_secs,
                "durationInSecs": lasts_secs,
            },
            "metadata": self.meta,
        } })
        .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_with_a_meaning_are_keys_of_an_entry() {
        let meta = [
            ("version", "1.4.2"),
            ("weight", "3"),
            ("team", "a"),
            ("zone", "z"),
        ];
        let instance = Instance {
            host: "::1".to_owned(),
            port: 80,
            tls: false,
            meta: meta
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
        };
        let entry: Value = serde_json::from_str(&instance.entry()).unwrap();
        assert_eq!(
            entry,
            json!({ "address": "[::1]:80", "version": "1.4.2", "weight": 3, "zone": "z", "labels": { "team": "a" } })
        );
    }
}
