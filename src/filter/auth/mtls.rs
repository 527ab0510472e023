//! Verified certificates of clients.

use super::{Asked, denial::Denial};
use crate::{
    config::value::ValueMatch,
    exchange::{ClientCertificate, Exchange},
};

/// Checks the certificate that a client has shown in the handshake.
#[derive(Debug)]
pub struct MtlsAuth {
    /// Subjects.
    pub subjects: Vec<ValueMatch>,
    /// DNS names, in lower case.
    pub dns: Vec<ValueMatch>,
    /// URIs.
    pub uris: Vec<ValueMatch>,
}

impl MtlsAuth {
    pub(super) fn ask(&self, exchange: &Exchange) -> Asked {
        let Some(certificate) = exchange.client_certificate() else {
            let detail = "mtls: the client has shown no certificate";
            return Asked::Denied(Denial::forbidden(detail));
        };
        let subject = &*certificate.subject;
        if !self.lets_in(certificate) {
            let detail =
                format!("mtls: the certificate of {subject:?} is not one of those allowed");
            return Asked::Denied(Denial::forbidden(detail));
        }
        Asked::named((!subject.is_empty()).then(|| subject.into()))
    }

    fn lets_in(&self, certificate: &ClientCertificate) -> bool {
        let (subjects, dns, uris) = (&self.subjects, &self.dns, &self.uris);
        let has = |wanted: &[ValueMatch], names: &[String]| {
            let mut names = names.iter().map(|name| Some(name.as_bytes()));
            names.any(|name| wanted.iter().any(|it| it.matches(name)))
        };
        let subject = certificate.subject.as_bytes();
        let subject = (!subject.is_empty()).then_some(subject);
        let any = subjects.is_empty() && dns.is_empty() && uris.is_empty();
        any || (subject.is_some() && subjects.iter().any(|it| it.matches(subject)))
            || has(dns, &certificate.dns)
            || has(uris, &certificate.uri)
    }
}
