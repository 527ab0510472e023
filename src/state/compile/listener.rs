//! Compiles `[listeners.NAME]`.

use std::sync::Arc;

use super::{
    BuildError, Source, TlsFiles, acme, filter,
    rate_limit::{self, Owner},
    register,
};
use crate::{
    config::schema,
    http1::HeadLimits,
    semantics::forwarded::TrustedProxies,
    socket::bind::BindOptions,
    state::{AltSvc, Listener, ListenerTimeouts, Registry},
    tls::{ClientAuth, KeyPair, MinimumVersion, ServerSettings, ServerTls, Stamps, TlsFault},
};

pub(super) fn build(
    source: &Source<'_>,
    registry: &mut Registry,
    index: u32,
    name: &Arc<str>,
    written: &schema::Listener,
) -> Result<Arc<Listener>, BuildError> {
    let address = written.address.clone();
    let speaks = |protocol| written.protocols.contains(&protocol);
    let limits = &written.limits;
    let tls = match &written.tls {
        None => None,
        Some(tls) => Some(
            build_tls(source, registry, name, written, tls)
                .map_err(|fault| BuildError::Listener(Arc::clone(name), fault))?,
        ),
    };
    let acme = acme::build(source, registry, written);
    let rates = rate_limit::build(source, registry, Owner::Listener(name), &written.rate_limit)
        .map_err(|fault| BuildError::Listener(Arc::clone(name), fault))?;
    Ok(Arc::new(Listener {
        name: Arc::clone(name),
        index,
        socket: BindOptions {
            ipv6_only: written.ipv6_only,
            mode: written.mode,
        },
        http1: speaks(schema::ListenerProtocol::Http1),
        http2: speaks(schema::ListenerProtocol::H2),
        http3: speaks(schema::ListenerProtocol::H3),
        alt_svc: alt_svc(source, written),
        proxy_protocol: written
            .proxy_protocol
            .as_ref()
            .map(|proxies| TrustedProxies::new(proxies.from.iter().copied())),
        timeouts: ListenerTimeouts {
            handshake: written.timeouts.handshake,
            head: written.timeouts.head,
            idle: written.timeouts.idle,
            lifetime: written.timeouts.lifetime,
            body_idle: written.timeouts.body_idle,
        },
        underscores: written.underscores,
        head: HeadLimits {
            bytes_max: limits.head.as_usize(),
            headers_max: usize::from(limits.headers),
            target_max: limits.target.as_usize(),
        },
        connections_max: limits.connections as usize,
        connections_per_client: limits.connections_per_client as usize,
        clients: registry.clients(&address),
        requests_per_connection: u64::from(limits.requests_per_connection),
        streams_max: limits.streams,
        error_pages: filter::error_pages(&written.error_pages, None),
        rates: rates.map(Arc::new),
        registration: register::build(written),
        open: registry.listener(&address),
        refused: registry.refused_connections(&address),
        address,
        acme,
        tls,
    }))
}

/// Returns the TLS of the last snapshot if it is unchanged, else a new one.
fn build_tls(
    source: &Source<'_>,
    registry: &Registry,
    name: &Arc<str>,
    listener: &schema::Listener,
    written: &schema::ListenerTls,
) -> Result<Arc<ServerTls>, TlsFault> {
    let settings = ServerSettings {
        listener: Arc::clone(name),
        certificates: written.certificates.iter().map(served).collect(),
        acme: acme::file(source, registry, written),
        client_auth: written.client_ca.as_ref().map(|ca| ClientAuth {
            ca: ca.clone(),
            crl: written.client_crl.clone(),
            required: written.client_auth == schema::ClientAuth::Required,
        }),
        minimum: match written.minimum_version {
            schema::TlsVersion::Tls12 => MinimumVersion::Tls12,
            schema::TlsVersion::Tls13 => MinimumVersion::Tls13,
        },
        http1: listener
            .protocols
            .contains(&schema::ListenerProtocol::Http1),
        http2: listener.protocols.contains(&schema::ListenerProtocol::H2),
        http3: listener.protocols.contains(&schema::ListenerProtocol::H3),
    };
    let mut known = source.last.iter().flat_map(|last| &last.listeners);
    let same = known.find_map(|listener| {
        let tls = listener.tls.as_ref()?;
        let same = *tls.settings() == settings && tls.stamps() == Stamps::of(&tls.files());
        same.then(|| Arc::clone(tls))
    });
    match same {
        Some(same) => Ok(same),
        None if source.files == TlsFiles::Left => {
            ServerTls::unread(settings, registry.tickets()).map(Arc::new)
        }
        None => ServerTls::load(settings, registry.tickets()).map(Arc::new),
    }
}

/// Returns the way to HTTP/3 that clients are told. Where it was spoken before, they are told to
/// forget it.
fn alt_svc(source: &Source<'_>, written: &schema::Listener) -> Option<AltSvc> {
    if written.protocols.contains(&schema::ListenerProtocol::H3) {
        return Some(AltSvc::default());
    }
    let mut known = source.last.iter().flat_map(|last| &last.listeners);
    let last = known.find(|listener| listener.address == written.address)?;
    last.alt_svc.as_ref().map(|_| AltSvc::gone())
}

pub(super) fn key_pair(written: &schema::KeyPair) -> KeyPair {
    KeyPair {
        chain: written.chain.clone(),
        key: written.key.clone(),
        ocsp: None,
    }
}

fn served(written: &schema::ServedCertificate) -> KeyPair {
    KeyPair {
        chain: written.chain.clone(),
        key: written.key.clone(),
        ocsp: written.ocsp.clone(),
    }
}
