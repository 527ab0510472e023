//! Checks on the store of rollouts.

use std::time::Duration;

use super::{Check, etcd, registry};
use crate::config::{
    schema::{RolloutConsul, RolloutPlace},
    setting::Spans,
};

pub(super) fn check(check: &mut Check<'_>) {
    let Some(store) = &check.config.proxy.rollout_store else {
        return;
    };
    let place = "proxy.rollout_store";
    if !LEASE.contains(&store.lease) {
        let lease = humantime::format_duration(store.lease);
        let message = format!("{place}.lease cannot be {lease}");
        check.error(store.spans.of("lease"), message, "from \"3s\" to \"1m\"");
    }
    match &store.place {
        RolloutPlace::Etcd(it) => {
            let place = format!("{place}.etcd");
            check_prefix(check, &place, &it.spans, &it.prefix);
            etcd::check_rollouts(check, &place, it);
        }
        RolloutPlace::Consul(it) => check_consul(check, &format!("{place}.consul"), it),
    }
}

fn check_consul(check: &mut Check<'_>, place: &str, consul: &RolloutConsul) {
    let (spans, prefix) = (&consul.spans, &consul.prefix);
    check_prefix(check, place, spans, prefix);
    if prefix.starts_with('/') || prefix.contains("//") {
        let message = format!("{place}.prefix: \"{}\" is not one", prefix.escape_debug());
        let hint = format!("no \"/\" at its beginning: \"{EXAMPLE}\"");
        check.error(spans.of("prefix"), message, hint);
    }
    let (token, ca) = (consul.token.as_ref(), consul.ca.as_ref());
    registry::check_access(check, place, spans, [&consul.address], token, ca);
}

fn check_prefix(check: &mut Check<'_>, place: &str, spans: &Spans, prefix: &str) {
    registry::check_name(check, place, spans, "prefix", prefix, EXAMPLE);
    if !prefix.is_empty() && !prefix.ends_with('/') {
        let message = format!("{place}.prefix does not end with \"/\"");
        check.error(
            spans.of("prefix"),
            message,
            format!("write \"{}/\"", prefix.escape_debug()),
        );
    }
}

const LEASE: std::ops::RangeInclusive<Duration> = Duration::from_secs(3)..=Duration::from_secs(60);
const EXAMPLE: &str = "sluicegate/edge/rollouts/";
