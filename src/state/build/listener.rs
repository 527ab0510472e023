//! `[listeners.NAME]` compiled.

use std::sync::Arc;

use crate::{
    config::{schema, value},
    http1::HeadLimits,
    state::{BindAddress, Listener, ListenerTimeouts, Registry, Underscores},
};

pub(super) fn build(
    registry: &mut Registry,
    index: u32,
    name: &Arc<str>,
    written: &schema::Listener,
) -> Arc<Listener> {
    let address = match &written.address {
        value::BindAddress::Tcp(address) => BindAddress::Tcp(*address),
        value::BindAddress::Unix(path) => BindAddress::Unix(path.clone()),
    };
    let speaks = |protocol| written.protocols.contains(&protocol);
    let limits = &written.limits;
    Arc::new(Listener {
        name: Arc::clone(name),
        index,
        http1: speaks(schema::Protocol::Http1),
        http2: speaks(schema::Protocol::H2),
        timeouts: ListenerTimeouts {
            head: written.timeouts.head,
            idle: written.timeouts.idle,
            body_idle: written.timeouts.body_idle,
        },
        underscores: match written.underscores {
            schema::Underscores::Drop => Underscores::Drop,
            schema::Underscores::Allow => Underscores::Allow,
            schema::Underscores::Refuse => Underscores::Refuse,
        },
        head: HeadLimits {
            bytes_max: limits.head.as_usize(),
            headers_max: usize::from(limits.headers),
            target_max: limits.target.as_usize(),
        },
        connections_max: limits.connections as usize,
        requests_per_connection: u64::from(limits.requests_per_connection),
        streams_max: limits.streams,
        open: registry.listener(&address),
        address,
    })
}
