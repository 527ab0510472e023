//! Certificates that a list is about (RFC 5280 section 5.2.5).

use x509_parser::{
    extensions::{DistributionPointName, GeneralName, IssuingDistributionPoint, ParsedExtension},
    oid_registry::OID_X509_EXT_CRL_DISTRIBUTION_POINTS,
    prelude::X509Certificate,
};

/// Certificates of an authority that a list is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scope {
    only: Option<Role>,
    /// The distribution point of the list, if it has one.
    uris: Option<Vec<String>>,
}

/// Place of a certificate in its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The client's own.
    Client,
    /// One between it and an authority.
    Between,
}

impl Scope {
    /// Reads what a list says about itself; none if it is limited in a way that is not supported.
    pub(super) fn of(said: &IssuingDistributionPoint<'_>) -> Option<Self> {
        let limited = said.indirect_crl
            || said.only_contains_attribute_certs
            || said.only_some_reasons.is_some();
        let Some(DistributionPointName::FullName(names)) = &said.distribution_point else {
            return None;
        };
        let only = match (said.only_contains_user_certs, said.only_contains_ca_certs) {
            (false, false) => None,
            (true, false) => Some(Role::Client),
            (false, true) => Some(Role::Between),
            (true, true) => return None,
        };
        (!limited).then(|| Self {
            only,
            uris: Some(uris(names).map(str::to_owned).collect()),
        })
    }

    /// Returns true if the list is about this certificate of its issuer.
    pub(super) fn has(&self, certificate: &X509Certificate<'_>, role: Role) -> bool {
        if self.only.is_some_and(|only| only != role) {
            return false;
        }
        let Some(own) = &self.uris else {
            return true;
        };
        let oid = OID_X509_EXT_CRL_DISTRIBUTION_POINTS;
        let Some(extension) = certificate.extensions().iter().find(|it| it.oid == oid) else {
            return true;
        };
        let ParsedExtension::CRLDistributionPoints(points) = extension.parsed_extension() else {
            return false;
        };
        let whole = points
            .iter()
            .filter(|point| point.crl_issuer.is_none() && point.reasons.is_none());
        let mut names = whole.filter_map(|point| match &point.distribution_point {
            Some(DistributionPointName::FullName(names)) => Some(names),
            _ => None,
        });
        names.any(|names| uris(names).any(|uri| own.iter().any(|it| it == uri)))
    }
}

fn uris<'a>(names: &'a [GeneralName<'_>]) -> impl Iterator<Item = &'a str> {
    names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    })
}
