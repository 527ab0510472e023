//! Compiles `acme` of `[listeners.NAME.tls]`.

use std::sync::Arc;

use super::Source;
use crate::{
    acme::{Binding, Method, Order},
    config::{Config, schema},
    state::{AcmeCertificate, Registry},
    tls::{AcmeFile, Challenges},
};

pub(super) fn build(
    source: &Source<'_>,
    registry: &mut Registry,
    listener: &schema::Listener,
) -> Option<Arc<AcmeCertificate>> {
    let order = order(source, listener.tls.as_ref()?)?;
    let standing = registry.certificate(order.certificate());
    Some(Arc::new(AcmeCertificate { order, standing }))
}

/// The file that a listener presents.
pub(super) fn file(
    source: &Source<'_>,
    registry: &Registry,
    tls: &schema::ListenerTls,
) -> Option<AcmeFile> {
    let order = order(source, tls)?;
    let answers = order.method == Method::TlsAlpn01;
    Some(AcmeFile {
        path: order.certificate(),
        names: order.names,
        challenges: answers.then(|| Arc::clone(registry.challenges())),
    })
}

/// The challenges that listeners without TLS answer, if a certificate is proved that way.
pub(super) fn challenges(config: &Config, registry: &Registry) -> Option<Arc<Challenges>> {
    let tables = config.listeners.values().filter_map(|it| it.tls.as_ref());
    let mut tables = tables.filter_map(|tls| tls.acme.as_ref());
    let any = tables.any(|acme| acme.challenge == schema::AcmeChallenge::Http01);
    any.then(|| Arc::clone(registry.challenges()))
}

fn order(source: &Source<'_>, tls: &schema::ListenerTls) -> Option<Order> {
    let written = tls.acme.as_ref()?;
    // The check refuses it without.
    let state_dir = source.config.proxy.state_dir.as_deref()?;
    let names = written.domains.iter();
    let mut names: Vec<String> = names.map(|domain| domain.value.to_string()).collect();
    names.sort_unstable();
    names.dedup();
    Some(Order {
        names,
        contact: written.contact.clone(),
        folder: Order::folder(state_dir, &written.directory),
        directory: written.directory.clone(),
        ca: written.directory_ca.clone(),
        method: match written.challenge {
            schema::AcmeChallenge::Http01 => Method::Http01,
            schema::AcmeChallenge::TlsAlpn01 => Method::TlsAlpn01,
        },
        binding: written.eab.as_ref().map(|binding| Binding {
            key_id: binding.key_id.clone(),
            key: binding.key.clone(),
        }),
    })
}
