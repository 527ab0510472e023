//! Parts of a client's certificate: its subject, and its names by their kind.
//!
//! Names of different kinds are never compared with each other: an authority that verifies DNS
//! names may let clients choose their URIs, or the other way round.

use super::value;
use crate::{
    config::value::{CertificatePart, ValueMatch},
    tls::ClientCertificate,
};

/// Tells whether this part of a certificate meets the condition; without a certificate no part
/// is present.
pub(super) fn matches(
    part: CertificatePart,
    shown: Option<&ClientCertificate>,
    wanted: &ValueMatch,
) -> bool {
    let Some(shown) = shown else {
        return wanted.matches(None);
    };
    let mut names = names(part, shown).peekable();
    if names.peek().is_none() {
        return wanted.matches(None);
    }
    names.any(|name| wanted.matches(Some(name.as_bytes())))
}

/// Describes why the certificate does not meet the condition.
pub(super) fn describe(
    part: CertificatePart,
    shown: Option<&ClientCertificate>,
    wanted: &ValueMatch,
) -> String {
    let Some(shown) = shown else {
        return "the client has shown no certificate".to_owned();
    };
    let names: Vec<&str> = names(part, shown).collect();
    let all = (!names.is_empty()).then(|| names.join(", "));
    let found = all.as_deref().map(str::as_bytes);
    value::describe(wanted, "certificate", part.word(), found)
}

/// The names of a kind; the subject is one that is always there.
fn names(part: CertificatePart, shown: &ClientCertificate) -> impl Iterator<Item = &str> {
    let (subject, names): (Option<&str>, &[String]) = match part {
        CertificatePart::Subject => (Some(&shown.subject), &[]),
        CertificatePart::Dns => (None, &shown.dns),
        CertificatePart::Uri => (None, &shown.uri),
        CertificatePart::Email => (None, &shown.email),
        CertificatePart::Ip => (None, &shown.ip),
    };
    subject.into_iter().chain(names.iter().map(String::as_str))
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
        let fits = |part: CertificatePart, wanted: &ValueMatch| matches(part, Some(&shown), wanted);
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
            assert!(matches(part, None, &ValueMatch::Present(false)), "{part}");
            for wanted in [&any, &exact(""), &ValueMatch::Present(true)] {
                assert!(!matches(part, None, wanted), "{part}");
            }
        }
        assert!(matches(
            CertificatePart::Email,
            Some(&shown()),
            &ValueMatch::Present(false)
        ));
        assert!(!matches(CertificatePart::Email, Some(&shown()), &any));
    }
}
