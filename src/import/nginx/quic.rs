//! HTTP/3: `listen … quic` beside the `listen … ssl` of the same address, and the field that tells
//! clients of it.

use super::{
    Translator,
    level::Level,
    listen::{Listener, address, bound},
    syntax::Directive,
};
use crate::import::{
    document::{Table, quoted},
    text::WITH_HTTP3,
};

/// Ports at which the servers of nginx speak HTTP/3.
#[derive(Debug, Default)]
pub(super) struct QuicPorts {
    /// Those that a listener has now.
    spoken: Vec<String>,
    /// Those that none has.
    lost: Vec<String>,
}

/// Returns true for a `listen` for HTTP/3 alone.
pub(super) fn is_quic(listen: &Directive) -> bool {
    listen.args.iter().any(|arg| arg == "quic")
}

impl<'a> Translator<'a> {
    /// Turns HTTP/3 on where a server has it; returns what has no place.
    pub(super) fn quic(
        &mut self,
        level: &Level<'a>,
        both_families: &[String],
        listeners: &[Listener],
    ) -> Table {
        let mut rest = Table::default();
        let lines = level.own("listen").into_iter().filter(|it| is_quic(it));
        let lines: Vec<&Directive> = lines.collect();
        if lines.is_empty() {
            return rest;
        }
        let switch = level.one("http3");
        let is_off = switch.is_some_and(|it| it.first() == "off");
        let mut named = false;
        for line in lines {
            if is_off {
                rest.needless(&line.source, "http3 is off, and QUIC carries nothing else");
                continue;
            }
            let at = bound(&address(line.first()), both_families);
            let port = at.rsplit(':').next().unwrap_or_default().to_owned();
            let listener = listeners.iter().find(|it| it.address == at);
            let wanted = listener.map(|it| format!("listeners.{}", it.name));
            let mut tables = self.made.listeners.iter_mut();
            let table = tables.find(|it| wanted.as_ref() == Some(&it.name));
            match table.filter(|it| it.has_below("tls")) {
                Some(table) => {
                    table.set(&line.source, "protocols", WITH_HTTP3);
                    table.also(&line.source, "protocols");
                    if let Some(switch) = switch {
                        table.also(&switch.source, "protocols");
                        named = true;
                    }
                    self.quic_ports.spoken.push(port);
                }
                None => {
                    let what = format!(
                        "HTTP/3 is spoken at address and port of a listener with TLS, and none has {at}: protocols = {WITH_HTTP3} of such a listener; a port of its own needs a listener of its own, with tls, which opens TCP as well"
                    );
                    rest.untranslated(&line.source, what);
                    self.quic_ports.lost.push(port);
                }
            }
        }
        if let Some(switch) = switch.filter(|_| !named) {
            let why = "\"h3\" in protocols of a listener with TLS turns HTTP/3 on";
            rest.needless(&switch.source, why);
        }
        rest
    }

    /// Writes a field `Alt-Svc` for HTTP/3 only where clients see another port; returns false if it
    /// is a field like others.
    pub(super) fn alt_svc(&self, table: &mut Table, line: &Directive) -> bool {
        let QuicPorts { spoken, lost } = &self.quic_ports;
        let value = line.args.get(1).map_or("", String::as_str);
        let ports: Vec<&str> = h3_ports(value).collect();
        if ports.is_empty() || (spoken.is_empty() && lost.is_empty()) {
            return false;
        }
        let is_own = |port: &&str| port.contains('$') || spoken.iter().any(|it| it == port);
        let leads_nowhere = |port: &&str| lost.iter().any(|it| it == port);
        if !spoken.is_empty() && ports.iter().all(is_own) {
            table.needless(&line.source, "the proxy sends Alt-Svc by itself");
            return true;
        }
        if spoken.is_empty() || ports.iter().any(leads_nowhere) {
            table.untranslated(
                &line.source,
                "nothing speaks HTTP/3 at that port here, so clients are not sent there; the proxy sends Alt-Svc by itself once protocols of the listener has \"h3\"",
            );
            return true;
        }
        table.note("Clients see HTTP/3 at another port than the listener's: the field of the proxy is replaced.");
        table.set(&line.source, "headers_response.set.alt-svc", quoted(value));
        true
    }
}

/// Ports of this host that a value of `Alt-Svc` names for HTTP/3.
fn h3_ports(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').filter_map(|service| {
        let (protocol, rest) = service.trim().split_once('=')?;
        let rest = rest.trim_start_matches('"').strip_prefix(':')?;
        let port = rest.split(['"', ';']).next()?;
        protocol.starts_with("h3").then_some(port)
    })
}
