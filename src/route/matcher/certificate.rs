//! Parts of a client's certificate: its subject, and its names by their kind.
//!
//! Names of different kinds are never compared with each other: an authority that verifies DNS
//! names may let clients choose their URIs, or the other way round.

use std::fmt;

use super::ValueMatch;
use crate::tls::ClientCertificate;

/// A part of a client's certificate that a route may test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CertificatePart {
    /// The subject (RFC 4514); present in every certificate.
    Subject,
    /// Any of the DNS names, in lower case.
    Dns,
    /// Any of the URIs.
    Uri,
    /// Any of the mail addresses.
    Email,
    /// Any of the IP addresses.
    Ip,
}

impl CertificatePart {
    /// Tells whether this part of a certificate meets the condition; without a certificate no part
    /// is present.
    pub(super) fn matches(self, shown: Option<&ClientCertificate>, wanted: &ValueMatch) -> bool {
        let Some(shown) = shown else {
            return wanted.matches(None);
        };
        let names = match self {
            Self::Subject => return wanted.matches(Some(shown.subject.as_bytes())),
            Self::Dns => &shown.dns,
            Self::Uri => &shown.uri,
            Self::Email => &shown.email,
            Self::Ip => &shown.ip,
        };
        if names.is_empty() {
            return wanted.matches(None);
        }
        let mut names = names.iter();
        names.any(|name| wanted.matches(Some(name.as_bytes())))
    }

    /// Describes why the certificate does not meet the condition.
    pub(super) fn describe(self, shown: Option<&ClientCertificate>, wanted: &ValueMatch) -> String {
        let Some(shown) = shown else {
            return "the client has shown no certificate".to_owned();
        };
        let names = match self {
            Self::Subject => {
                return wanted.describe("certificate", "subject", Some(shown.subject.as_bytes()));
            }
            Self::Dns => &shown.dns,
            Self::Uri => &shown.uri,
            Self::Email => &shown.email,
            Self::Ip => &shown.ip,
        };
        let all = (!names.is_empty()).then(|| names.join(", "));
        wanted.describe(
            "certificate",
            self.word(),
            all.as_deref().map(str::as_bytes),
        )
    }

    fn word(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Dns => "dns",
            Self::Uri => "uri",
            Self::Email => "email",
            Self::Ip => "ip",
        }
    }
}

impl fmt::Display for CertificatePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown() -> ClientCertificate {
        ClientCertificate {
            subject: "CN=a".into(),
            dns: vec!["a.example".into(), "b.example".into()],
            uri: vec!["spiffe://cluster/a".into()],
            ..ClientCertificate::default()
        }
    }

    fn exact(text: &str) -> ValueMatch {
        ValueMatch::Exact(text.into())
    }

    #[test]
    fn any_name_of_the_kind_will_do_and_none_of_another() {
        let shown = shown();
        let fits = |part: CertificatePart, wanted: &ValueMatch| part.matches(Some(&shown), wanted);
        assert!(fits(CertificatePart::Dns, &exact("b.example")));
        assert!(!fits(CertificatePart::Dns, &exact("spiffe://cluster/a")));
        assert!(!fits(CertificatePart::Uri, &exact("b.example")));
        let under = ValueMatch::Regex("^spiffe://cluster/".parse().unwrap());
        assert!(fits(CertificatePart::Uri, &under));
        assert!(fits(CertificatePart::Subject, &exact("CN=a")));
        assert!(!fits(CertificatePart::Subject, &exact("CN=b")));
    }

    #[test]
    fn without_a_certificate_only_absence_matches() {
        let parts = [
            CertificatePart::Subject,
            CertificatePart::Dns,
            CertificatePart::Uri,
            CertificatePart::Email,
            CertificatePart::Ip,
        ];
        let any = ValueMatch::Regex("".parse().unwrap());
        for part in parts {
            assert!(part.matches(None, &ValueMatch::Present(false)), "{part}");
            for wanted in [&any, &exact(""), &ValueMatch::Present(true)] {
                assert!(!part.matches(None, wanted), "{part}");
            }
        }
        assert!(CertificatePart::Email.matches(Some(&shown()), &ValueMatch::Present(false)));
        assert!(!CertificatePart::Email.matches(Some(&shown()), &any));
    }
}
