//! Checks on certificates that are ordered from a CA.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::{Check, Secrets, tls};
use crate::config::{
    schema::{Acme, AcmeChallenge, ClientAuth, Listener, ListenerTls},
    value::{BindAddress, HostPattern, Name, base64url},
};

pub(super) fn check(
    check: &mut Check<'_>,
    name: &Name,
    listener: &Listener,
    tls: &ListenerTls,
    acme: &Acme,
) {
    let place = format!("listeners.{name}.tls.acme");
    if check.config.proxy.state_dir.is_none() && !check.is_broken("proxy.state_dir") {
        let message = format!("{place} needs proxy.state_dir");
        let hint = "without it each restart would order a new certificate, and the CA refuses \
                    that soon";
        check.error(acme.spans.anchor(), message, hint);
    }
    check_domains(check, &place, acme);
    check_others(check, name, acme);
    check_directory(check, &place, acme);
    match acme.challenge {
        AcmeChallenge::Http01 => check_http(check, &place, acme),
        AcmeChallenge::TlsAlpn01 => check_alpn(check, &place, listener, tls, acme),
    }
}

fn check_domains(check: &mut Check<'_>, place: &str, acme: &Acme) {
    let whole = acme.spans.of("domains");
    if acme.domains.is_empty() && !check.is_broken(&format!("{place}.domains")) {
        let message = format!("{place}.domains is empty");
        check.error(whole, message, "such as [\"shop.example\"]");
    }
    if acme.domains.len() > DOMAINS_MAX {
        let message = format!("{place}.domains has {} names", acme.domains.len());
        let hint = format!("at most {DOMAINS_MAX}, as CAs have it; use several listeners");
        check.error(whole, message, hint);
    }
    let mut seen = BTreeSet::new();
    for domain in &acme.domains {
        match &domain.value {
            HostPattern::Exact(host) if is_address(host) => {
                let message = format!("{place}.domains: {host} is an address, not a name");
                let hint = "a name, or a certificate in `certificates`";
                check.error(domain.span, message, hint);
            }
            HostPattern::Exact(_) => {}
            HostPattern::Wildcard(_) | HostPattern::Any => {
                let message = format!(
                    "{place}.domains: \"{}\" is a wildcard, which CAs certify by dns-01 only",
                    domain.value
                );
                let hint = "dns-01 is not supported; list the names, or order the certificate \
                            with another tool and name its files in `certificates`";
                check.error(domain.span, message, hint);
            }
        }
        if !seen.insert(&domain.value) {
            let message = format!("{place}.domains has \"{}\" twice", domain.value);
            check.error(domain.span, message, "remove one");
        }
    }
}

/// Warns of a name that is in another certificate as well: both are ordered and renewed.
fn check_others(check: &mut Check<'_>, name: &Name, acme: &Acme) {
    let set = |acme: &Acme| -> BTreeSet<String> {
        let names = acme.domains.iter();
        names.map(|domain| domain.value.to_string()).collect()
    };
    let own = set(acme);
    let config = check.config;
    for (other, listener) in config.listeners.range::<Name, _>(..name) {
        let Some(written) = listener.tls.as_ref().and_then(|tls| tls.acme.as_ref()) else {
            continue;
        };
        let others = set(written);
        if others == own {
            continue;
        }
        for domain in &acme.domains {
            let text = domain.value.to_string();
            if others.contains(&text) {
                let message = format!(
                    "\"{text}\" is in a certificate of listener \"{other}\", too, with other names"
                );
                let hint = "two certificates are ordered; with the same domains one serves both";
                check.warn(domain.span, message, hint);
            }
        }
    }
}

fn check_directory(check: &mut Check<'_>, place: &str, acme: &Acme) {
    let spans = &acme.spans;
    if !acme.directory.tls {
        let message = format!("{place}.directory is not https://");
        let hint = "ACME is spoken over TLS only; directory_ca names the authorities of a CA of \
                    your own";
        check.error(spans.of("directory"), message, hint);
    }
    if let Some(ca) = &acme.directory_ca {
        let span = spans.of("directory_ca");
        tls::check_authorities(check, &format!("{place}.directory_ca"), ca, span);
    }
    if let Some(contact) = &acme.contact {
        let address = contact.strip_prefix("mailto:").unwrap_or_default();
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b",?".contains(&byte);
        if !address.contains('@') || !address.bytes().all(is_plain) {
            let message = format!("{place}.contact {contact:?} is not the URL of a mail address");
            let hint = "such as \"mailto:ops@shop.example\"";
            check.error(spans.of("contact"), message, hint);
        }
    }
    if let Some(binding) = &acme.eab {
        let span = binding.spans.of("key");
        check.secret(&format!("{place}.eab.key"), span, &binding.key);
        let decoded = binding.key.reveal().ok();
        let decoded = decoded.map(|key| base64url::decode(key.trim_end_matches('=').as_bytes()));
        if check.rules.secrets == Secrets::Needed && decoded == Some(None) {
            let message = format!("{place}.eab.key is not Base64 for URLs");
            check.error(span, message, "as the CA prints it (\"HMAC key\")");
        }
    }
}

/// Looks for a listener that the CA can reach without TLS.
fn check_http(check: &mut Check<'_>, place: &str, acme: &Acme) {
    let config = check.config;
    let plain = || config.listeners.values().filter(|it| it.tls.is_none());
    let span = if acme.spans.has("challenge") {
        acme.spans.of("challenge")
    } else {
        acme.spans.anchor()
    };
    if plain().next().is_none() {
        if !check.has_broken("listeners") {
            let message = format!("{place}: no listener is without TLS, to answer http-01");
            let hint = "add one on port 80, or write challenge = \"tls-alpn-01\"";
            check.error(span, message, hint);
        }
    } else if !plain().any(|it| port(&it.address) == Some(80)) {
        let message = format!("{place}: no listener without TLS is on port 80");
        let hint = "the CA calls port 80 of the name: it must lead to one of these listeners";
        check.warn(span, message, hint);
    }
}

fn check_alpn(
    check: &mut Check<'_>,
    place: &str,
    listener: &Listener,
    tls: &ListenerTls,
    acme: &Acme,
) {
    let span = acme.spans.of("challenge");
    if tls.client_ca.is_some() && tls.client_auth == ClientAuth::Required {
        let message = format!("{place}: tls-alpn-01 does not go with client_auth = \"required\"");
        let hint = "the CA has no certificate to show; use \"http-01\"";
        check.error(span, message, hint);
    } else if port(&listener.address) != Some(443) {
        let message = format!("{place}: the listener is not on port 443");
        let hint = "the CA calls port 443 of the name: it must lead to this listener";
        check.warn(span, message, hint);
    }
}

fn port(address: &BindAddress) -> Option<u16> {
    match address {
        BindAddress::Tcp(address) => Some(address.port()),
        BindAddress::Unix(_) => None,
    }
}

fn is_address(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.parse::<IpAddr>().is_ok()
}

/// Maximum number of names of a certificate at Let's Encrypt.
const DOMAINS_MAX: usize = 100;
