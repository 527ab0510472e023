//! Listeners: the addresses of servers, with TLS and the limits of clients.

use std::net::{IpAddr, Ipv6Addr};

use super::{
    Translator,
    level::Level,
    named,
    quic::is_quic,
    syntax::Directive,
    value::{bytes, duration, name_of, size},
};
use crate::import::document::{Source, Table, quoted};

/// One `listen` of a server.
#[derive(Clone, Debug)]
pub(super) struct Listen {
    /// The address as it is bound: `0.0.0.0:80`.
    pub(super) address: String,
    pub(super) is_default: bool,
    pub(super) is_tls: bool,
    has_proxy_protocol: bool,
    source: Source,
}

/// A listener that servers share.
#[derive(Clone, Debug)]
pub(super) struct Listener {
    pub(super) address: String,
    pub(super) name: String,
}

impl Listen {
    /// Reads the addresses of a server.
    pub(super) fn of(level: &Level<'_>, block: &Directive) -> Vec<Self> {
        let written = level.own("listen");
        if written.is_empty() {
            return vec![Self {
                address: "0.0.0.0:80".to_owned(),
                is_default: false,
                is_tls: false,
                has_proxy_protocol: false,
                source: block.source.clone(),
            }];
        }
        let tls = level.own("ssl").iter().any(|it| it.is_on());
        // HTTP/3 goes with the listener of the same address; one that speaks it alone is one, too.
        let alone = written.iter().all(|it| is_quic(it));
        written
            .into_iter()
            .filter(|it| alone || !is_quic(it))
            .map(|it| {
                let has = |word: &str| it.args.iter().any(|arg| arg == word);
                Self {
                    address: address(it.first()),
                    is_default: has("default_server") || has("default"),
                    is_tls: tls || alone || has("ssl"),
                    has_proxy_protocol: has("proxy_protocol"),
                    source: it.source.clone(),
                }
            })
            .collect()
    }
}

/// Returns the address to bind.
pub(super) fn address(written: &str) -> String {
    if let Some(path) = written.strip_prefix("unix:") {
        return format!("unix:{path}");
    }
    if written.bytes().all(|it| it.is_ascii_digit()) {
        return format!("0.0.0.0:{written}");
    }
    let (host, port) = match written.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|it| it.is_ascii_digit()) => (host, port),
        _ => (written, "80"),
    };
    match host {
        "*" | "" => format!("0.0.0.0:{port}"),
        "localhost" => format!("127.0.0.1:{port}"),
        host => format!("{host}:{port}"),
    }
}

impl<'a> Translator<'a> {
    /// Returns the listener of an address; makes it if it is new.
    pub(super) fn listener(
        &mut self,
        listen: &Listen,
        both_families: &[String],
        known: &mut Vec<Listener>,
        level: &Level<'a>,
    ) -> String {
        let address = bound(&listen.address, both_families);
        let name = match known.iter().find(|it| it.address == address) {
            Some(listener) => listener.name.clone(),
            None => {
                let name = self
                    .made
                    .name("listeners", &listener_name(&address, listen.is_tls));
                let mut table = Table::new(format!("listeners.{name}"));
                table.set(&listen.source, "address", quoted(&address));
                self.client_limits(&mut table, level);
                self.made.listeners.push(table);
                let name_of_it = name.clone();
                known.push(Listener { address, name });
                name_of_it
            }
        };
        let wanted = format!("listeners.{name}");
        let Some(at) = self.made.listeners.iter().position(|it| it.name == wanted) else {
            return name;
        };
        let mut table = std::mem::take(&mut self.made.listeners[at]);
        table.also(&listen.source, "address");
        if listen.has_proxy_protocol {
            self.proxy_protocol(&mut table, listen, level);
        }
        if listen.is_tls {
            self.tls(&mut table, listen, level);
        }
        self.made.listeners[at] = table;
        name
    }

    fn proxy_protocol(&self, table: &mut Table, listen: &Listen, level: &Level<'a>) {
        let from = level.all("set_real_ip_from");
        if from.is_empty() {
            table.untranslated(
                &listen.source,
                "proxy_protocol = { from = [\"10.0.0.0/8\"] } needs the peers that may send the header: those of your load balancer",
            );
        }
        for peer in from {
            table.push(&peer.source, "proxy_protocol.from", quoted(peer.first()));
        }
    }

    fn tls(&self, table: &mut Table, listen: &Listen, level: &Level<'a>) {
        let chains = level.all("ssl_certificate");
        if chains.is_empty() {
            table.untranslated(
                &listen.source,
                "without a certificate this listener speaks plain HTTP: tls = { acme = { domains = [\"…\"] } }, which orders one (docs/tls.md), or tls = { certificates = [{ chain = \"…\", key = \"…\" }] }",
            );
        }
        let keys = level.all("ssl_certificate_key");
        for (chain, key) in chains.iter().zip(&keys) {
            if chain.first().contains('$') {
                table.untranslated(&chain.source, "a file with a variable: name each certificate; the right one is chosen by its names");
                continue;
            }
            let file = |it: &Directive| quoted(&self.path_of(it.first()).to_string_lossy());
            let item = format!("{{ chain = {}, key = {} }}", file(chain), file(key));
            table.push(&chain.source, "tls.certificates", item);
        }
        if let Some(protocols) = level.one("ssl_protocols") {
            let has = |name: &str| protocols.args.iter().any(|it| it == name);
            if !has("TLSv1.2") && has("TLSv1.3") {
                table.set(&protocols.source, "tls.minimum_version", "\"1.3\"");
            } else if has("TLSv1") || has("TLSv1.1") {
                table.needless(&protocols.source, "TLS 1.0 and 1.1 are not spoken here");
            } else {
                table.set(&protocols.source, "tls.minimum_version", "\"1.2\"");
            }
        }
        let (ca, verify) = (
            level.one("ssl_client_certificate"),
            level.one("ssl_verify_client"),
        );
        if let (Some(ca), Some(verify)) = (ca, verify)
            && matches!(verify.first(), "on" | "optional")
        {
            let file = self.path_of(ca.first());
            table.set(&ca.source, "tls.client_ca", quoted(&file.to_string_lossy()));
            if let Some(lists) = level.one("ssl_crl") {
                let file = self.path_of(lists.first());
                let file = quoted(&file.to_string_lossy());
                table.set(&lists.source, "tls.client_crl", file);
            }
            // Of servers that share a listener the strictest decides.
            if verify.first() == "on" {
                table.set_plain("tls.client_auth", "\"required\"");
                if table.is("tls.client_auth", "\"optional\"") {
                    table.remove("tls.client_auth");
                    table.set(&verify.source, "tls.client_auth", "\"required\"");
                }
            } else {
                table.set(&verify.source, "tls.client_auth", "\"optional\"");
            }
        }
    }

    /// Timeouts and limits of clients.
    fn client_limits(&self, table: &mut Table, level: &Level<'a>) {
        for (name, key) in [
            ("client_header_timeout", "timeouts.head"),
            ("keepalive_timeout", "timeouts.idle"),
            ("client_body_timeout", "timeouts.body_idle"),
            ("send_timeout", "timeouts.body_idle"),
        ] {
            if let Some(it) = level.one(name)
                && let Some(time) = duration(it.first())
                && it.first() != "0"
            {
                table.set(&it.source, key, time);
                table.also(&it.source, key);
            }
        }
        if let Some(it) = level.one("keepalive_requests") {
            table.set(&it.source, "limits.requests_per_connection", it.first());
        }
        if let Some(it) = level.one("underscores_in_headers")
            && it.is_on()
        {
            table.set(&it.source, "underscores", "\"allow\"");
        }
        if let Some(it) = level.one("large_client_header_buffers")
            && let [number, each] = it.words()[..]
            && let (Ok(number), Some(each)) = (number.parse::<u64>(), bytes(each))
        {
            let all = (number * each).clamp(1 << 10, 1 << 20);
            table.set(&it.source, "limits.head", size(all));
        }
    }

    /// Peers that tell the addresses of clients.
    pub(super) fn trusted(&mut self, level: &Level<'a>) {
        let header = level.one("real_ip_header").map_or("", Directive::first);
        if header == "proxy_protocol" {
            return;
        }
        level.one("real_ip_recursive");
        for peer in level.all("set_real_ip_from") {
            let proxy = &mut self.proxy;
            proxy.push(&peer.source, "trusted_proxies", quoted(peer.first()));
        }
        if !matches!(header, "" | "X-Forwarded-For" | "X-Real-IP")
            && let Some(it) = level.one("real_ip_header")
        {
            self.proxy.untranslated(
                &it.source,
                "the addresses of clients are taken from X-Forwarded-For or Forwarded of trusted peers",
            );
        }
    }
}

/// Returns the address of the listener that takes what comes to this one: `[::]` takes IPv4, too.
pub(super) fn bound(address: &str, both_families: &[String]) -> String {
    match address.strip_prefix("0.0.0.0:") {
        Some(port) if both_families.iter().any(|it| it == port) => format!("[::]:{port}"),
        _ => address.to_owned(),
    }
}

/// Ports at which servers listen at all addresses of both families.
pub(super) fn both_families(listens: &[&Listen]) -> Vec<String> {
    let has = |address: &str| listens.iter().any(|it| it.address == address);
    let ports = listens
        .iter()
        .filter_map(|it| it.address.strip_prefix("[::]:"));
    ports
        .filter(|port| has(&format!("0.0.0.0:{port}")))
        .map(str::to_owned)
        .collect()
}

fn listener_name(address: &str, is_tls: bool) -> String {
    let scheme = if is_tls { "https" } else { "http" };
    let Some((host, port)) = address.rsplit_once(':') else {
        return name_of(address);
    };
    let host = host.trim_matches(['[', ']']);
    let is_all = host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified());
    match port {
        _ if address.starts_with("unix:") => name_of(address),
        "80" | "443" if is_all => scheme.to_owned(),
        port if is_all => format!("{scheme}_{port}"),
        port if host.parse::<Ipv6Addr>().is_ok() => format!("{scheme}_v6_{port}"),
        port => name_of(&format!("{scheme}_{host}_{port}")),
    }
}

/// The zone that a directive names, if it is not off.
pub(super) fn zone_named(directive: &Directive) -> Option<&str> {
    named(directive, "zone=")
}
