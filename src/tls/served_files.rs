//! Content of the files of a listener's TLS, each part renewed apart from the others.

use std::{sync::Arc, time::SystemTime};

use super::{
    Certificate, Renewal, RevocationLists, ServerSettings, Stamps, TlsFault,
    authorities::Authorities, part::Part,
};

/// Content of the files.
#[derive(Debug, Default)]
pub(super) struct ServedFiles {
    pub(super) certificates: Vec<Part<Arc<Certificate>>>,
    /// The certificate that a CA issues; none until it does.
    pub(super) issued: Option<Part<Option<Arc<Certificate>>>>,
    /// Authorities whose certificates are accepted.
    pub(super) authorities: Option<Part<Arc<Authorities>>>,
    /// Certificates that these have revoked.
    pub(super) revoked: Option<Part<Arc<RevocationLists>>>,
}

impl ServedFiles {
    pub(super) fn load(settings: &ServerSettings) -> Result<Self, TlsFault> {
        let certificates = settings.certificates.iter().map(Part::certificate);
        let auth = settings.client_auth.as_ref();
        let authorities = auth.map(|auth| Part::authorities(&auth.ca));
        Ok(Self {
            certificates: certificates.collect::<Result<_, _>>()?,
            issued: settings.acme.as_ref().map(Part::issued),
            authorities: authorities.transpose()?,
            revoked: settings.crl().map(Part::revocation_lists).transpose()?,
        })
    }

    pub(super) fn renewed(&self, settings: &ServerSettings, renewal: &mut Renewal) -> Self {
        let now = SystemTime::now();
        let certificates = self.certificates.iter();
        let certificates = certificates.map(|used| used.renewed_certificate(now, renewal));
        let certificates = certificates.collect();
        let issued = settings.acme.as_ref().zip(self.issued.as_ref());
        let issued = issued.map(|(acme, used)| used.renewed_issued(&acme.path, now, renewal));
        let auth = settings.client_auth.as_ref();
        let authorities = auth.zip(self.authorities.as_ref());
        let authorities =
            authorities.map(|(auth, used)| used.renewed_authorities(&auth.ca, renewal));
        let revoked = settings.crl().zip(self.revoked.as_ref());
        let revoked = revoked.map(|(file, used)| used.renewed_lists(file, renewal));
        Self {
            certificates,
            issued,
            authorities,
            revoked,
        }
    }

    /// In the order of [`ServerSettings::files`].
    pub(super) fn stamps(&self) -> Stamps {
        let certificates = self.certificates.iter().map(|part| &part.stamps);
        let issued = self.issued.iter().map(|part| &part.stamps);
        let authorities = self.authorities.iter().map(|part| &part.stamps);
        let revoked = self.revoked.iter().map(|part| &part.stamps);
        Stamps::join(certificates.chain(issued).chain(authorities).chain(revoked))
    }

    pub(super) fn certificates(&self) -> Vec<Arc<Certificate>> {
        let parts = self.certificates.iter();
        let issued = self.issued.iter().filter_map(|part| part.value.clone());
        parts
            .map(|part| Arc::clone(&part.value))
            .chain(issued)
            .collect()
    }
}
