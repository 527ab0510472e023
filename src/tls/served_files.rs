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

/// Authorities of clients and their lists.
type Trust = (
    Option<Part<Arc<Authorities>>>,
    Option<Part<Arc<RevocationLists>>>,
);

impl ServedFiles {
    pub(super) fn load(settings: &ServerSettings) -> Result<Self, TlsFault> {
        let certificates = settings.certificates.iter().map(Part::certificate);
        let auth = settings.client_auth.as_ref();
        let authorities = auth.map(|auth| Part::authorities(&auth.ca)).transpose()?;
        let revoked = settings.crl().zip(authorities.as_ref());
        let revoked = revoked.map(|(file, part)| Part::revocation_lists(file, &part.value));
        Ok(Self {
            certificates: certificates.collect::<Result<_, _>>()?,
            issued: settings.acme.as_ref().map(Part::issued),
            authorities,
            revoked: revoked.transpose()?,
        })
    }

    pub(super) fn renewed(&self, settings: &ServerSettings, renewal: &mut Renewal) -> Self {
        let now = SystemTime::now();
        let certificates = self.certificates.iter();
        let certificates = certificates.map(|used| used.renewed_certificate(now, renewal));
        let certificates = certificates.collect();
        let issued = settings.acme.as_ref().zip(self.issued.as_ref());
        let issued = issued.map(|(acme, used)| used.renewed_issued(&acme.path, now, renewal));
        let (authorities, revoked) = self.renewed_trust(settings, renewal);
        Self {
            certificates,
            issued,
            authorities,
            revoked,
        }
    }

    /// Renews the authorities of clients and their lists. New authorities are not taken up if the
    /// lists in use would lock out their clients.
    fn renewed_trust(&self, settings: &ServerSettings, renewal: &mut Renewal) -> Trust {
        let auth = settings.client_auth.as_ref();
        let Some((auth, used)) = auth.zip(self.authorities.as_ref()) else {
            return (None, None);
        };
        let before = renewal.renewed.len();
        let authorities = used.renewed_authorities(&auth.ca, renewal);
        let Some((file, lists)) = settings.crl().zip(self.revoked.as_ref()) else {
            return (Some(authorities), None);
        };
        let read = lists.renewed_lists(file, &authorities.value, renewal);
        if !Arc::ptr_eq(&read.value, &lists.value) {
            renewal.warnings.extend(read.value.warnings.iter().cloned());
            return (Some(authorities), Some(read));
        }
        if Arc::ptr_eq(&authorities.value, &used.value) {
            return (Some(authorities), Some(read));
        }
        match lists.value.refit(&authorities.value) {
            Ok(fitted) => {
                renewal.warnings.extend(fitted.warnings.iter().cloned());
                let stamps = lists.stamps.clone();
                let value = Arc::new(fitted);
                (Some(authorities), Some(Part { value, stamps }))
            }
            Err(fault) => {
                renewal.renewed.truncate(before);
                renewal.faults.push(fault);
                (Some(used.clone()), Some(lists.clone()))
            }
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
