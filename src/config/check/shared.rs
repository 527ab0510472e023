//! Checks on the store of the configuration.

use super::{Check, etcd, registry};
use crate::config::schema::{ConfigConsul, ConfigStore};

pub(super) fn check(check: &mut Check<'_>) {
    let Some(source) = &check.config.config.source else {
        return;
    };
    match &source.store {
        ConfigStore::Etcd(it) => etcd::check_store(check, "config.source.etcd", it),
        ConfigStore::Consul(it) => check_consul(check, "config.source.consul", it),
    }
}

fn check_consul(check: &mut Check<'_>, place: &str, consul: &ConfigConsul) {
    let (spans, key) = (&consul.spans, &consul.key);
    registry::check_name(check, place, spans, "key", key, "sluicegate/edge");
    if key.starts_with('/') || key.ends_with('/') || key.contains("//") {
        let message = format!("{place}.key: \"{}\" is not a key", key.escape_debug());
        let hint = "it neither begins nor ends with \"/\": \"sluicegate/edge\"";
        check.error(spans.of("key"), message, hint);
    }
    let (token, ca) = (consul.token.as_ref(), consul.ca.as_ref());
    registry::check_access(check, place, spans, [&consul.address], token, ca);
}
