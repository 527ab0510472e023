//! OCSP responses, stapled to certificates (RFC 6960, RFC 6066 section 8).
//!
//! Clients verify the signature, so the proxy does not. It checks for mistakes of operators:
//! another certificate's response, one that revokes the certificate, one that is too old.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::digest;
use x509_parser::{
    asn1_rs::{Any, Class, FromDer as _, Tag},
    prelude::X509Certificate,
    time::ASN1Time,
};

/// A response that confirms a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Staple {
    /// As read and sent.
    pub(super) der: Vec<u8>,
    from: i64,
    until: Option<i64>,
}

/// Reasons why a response cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OcspFault {
    /// It is not an OCSP response in DER.
    Malformed(&'static str),
    /// The responder did not answer; the reason in its words.
    NoAnswer(&'static str),
    /// It is about other certificates.
    Stranger,
    /// The certificate was revoked at this time.
    Revoked(i64),
    /// The responder does not know the certificate.
    Unknown,
    /// It is valid from this time on.
    Early(i64),
    /// It was valid until this time.
    Over(i64),
}

impl Staple {
    /// Reads a response about this certificate.
    pub(super) fn read(der: Vec<u8>, about: &X509Certificate<'_>) -> Result<Self, OcspFault> {
        let (from, until) = parse(&der, about)?;
        Ok(Self { der, from, until })
    }

    /// Returns the reason why the response is not valid at this time, if it is not.
    pub(super) fn overdue(&self, now_s: i64) -> Option<OcspFault> {
        match self.until {
            Some(until) if now_s > until => Some(OcspFault::Over(until)),
            _ if now_s.saturating_add(CLOCKS_DIFFER_S) < self.from => {
                Some(OcspFault::Early(self.from))
            }
            _ => None,
        }
    }
}

impl fmt::Display for OcspFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(why) => write!(f, "is malformed: {why}"),
            Self::NoAnswer(why) => write!(f, "is no answer: the responder said \"{why}\""),
            Self::Stranger => f.write_str("is not about this certificate"),
            Self::Revoked(at) => {
                write!(f, "says that the certificate was revoked at {}", time(*at))
            }
            Self::Unknown => f.write_str("says that the certificate is not known"),
            Self::Early(from) => write!(f, "does not count before {}", time(*from)),
            Self::Over(until) => write!(f, "ran out at {}", time(*until)),
        }
    }
}

/// Formats seconds of Unix time for people.
pub(super) fn time(unix_s: i64) -> String {
    // A date before 1970 is as good as one in it.
    let since = Duration::from_secs(u64::try_from(unix_s).unwrap_or(0));
    let at = UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH);
    humantime::format_rfc3339_seconds(at).to_string()
}

/// Seconds of Unix time.
pub(super) fn unix_s(now: SystemTime) -> i64 {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Returns the times from when and until when the response is valid.
fn parse(der: &[u8], about: &X509Certificate<'_>) -> Result<(i64, Option<i64>), OcspFault> {
    let mut file = Items(der);
    let mut response = file.sequence("no OCSP response in DER")?;
    file.end()?;
    let status = response.item(Class::Universal, Tag::Enumerated.0, "no status")?;
    let word = match status {
        [0] => None,
        [1] => Some("malformed request"),
        [2] => Some("internal error"),
        [3] => Some("try later"),
        [5] => Some("signature required"),
        [6] => Some("unauthorized"),
        _ => Some("an unknown status"),
    };
    if let Some(word) = word {
        return Err(OcspFault::NoAnswer(word));
    }
    let explicit = response.item(Class::ContextSpecific, 0, "no answer in it")?;
    let mut bytes = Items(explicit).sequence("no answer in it")?;
    let kind = bytes.item(Class::Universal, Tag::Oid.0, "no kind of answer")?;
    if kind != BASIC {
        return Err(OcspFault::Malformed("an answer of an unknown kind"));
    }
    let basic = bytes.item(Class::Universal, Tag::OctetString.0, "no basic answer")?;
    let mut signed = Items(basic).sequence("no basic answer")?;
    let mut answer = signed.sequence("no answer that is signed")?;
    answer.optional(0);
    // Who signed, and when.
    answer.any("no responder")?;
    answer.any("no time of the answer")?;
    let mut singles = answer.sequence("no list of certificates")?;
    while !singles.0.is_empty() {
        let single = singles.sequence("an entry that is none")?;
        if let Some(found) = judge(single, about)? {
            return Ok(found);
        }
    }
    Err(OcspFault::Stranger)
}

/// Reads one entry; nothing if it is about another certificate.
fn judge(
    mut single: Items<'_>,
    about: &X509Certificate<'_>,
) -> Result<Option<(i64, Option<i64>)>, OcspFault> {
    let id = single.sequence("an entry about no certificate")?;
    if !is_about(id, about)? {
        return Ok(None);
    }
    let status = single.any("an entry without a status")?;
    match (status.class(), status.tag().0) {
        (Class::ContextSpecific, 0) => {}
        (Class::ContextSpecific, 1) => {
            let at = Items(status.data).time("no time of the revocation")?;
            return Err(OcspFault::Revoked(at));
        }
        (Class::ContextSpecific, 2) => return Err(OcspFault::Unknown),
        _ => return Err(OcspFault::Malformed("an entry with a status that is none")),
    }
    let from = single.time("an entry without a time")?;
    let until = match single.optional(0) {
        Some(explicit) => Some(Items(explicit).time("an end that is no time")?),
        None => None,
    };
    Ok(Some((from, until)))
}

/// Returns true if an entry is about this certificate: by its serial number and its issuer.
fn is_about(mut id: Items<'_>, about: &X509Certificate<'_>) -> Result<bool, OcspFault> {
    let mut hash = id.sequence("no kind of hash")?;
    let hash = hash.item(Class::Universal, Tag::Oid.0, "no kind of hash")?;
    let issuer = id.item(Class::Universal, Tag::OctetString.0, "no issuer")?;
    id.any("no key of the issuer")?;
    let serial = id.item(Class::Universal, Tag::Integer.0, "no serial number")?;
    if serial != about.tbs_certificate.raw_serial() {
        return Ok(false);
    }
    let algorithm = HASHES.iter().find(|(oid, _)| *oid == hash);
    // By a hash that is not known the number has to do.
    Ok(algorithm.is_none_or(|(_, algorithm)| {
        digest::digest(algorithm, about.issuer().as_raw()).as_ref() == issuer
    }))
}

/// Unread part of a constructed value.
#[derive(Clone, Copy)]
struct Items<'a>(&'a [u8]);

impl<'a> Items<'a> {
    fn any(&mut self, missing: &'static str) -> Result<Any<'a>, OcspFault> {
        let (rest, item) = Any::from_der(self.0).map_err(|_| OcspFault::Malformed(missing))?;
        self.0 = rest;
        Ok(item)
    }

    fn item(
        &mut self,
        class: Class,
        tag: u32,
        missing: &'static str,
    ) -> Result<&'a [u8], OcspFault> {
        let item = self.any(missing)?;
        if item.class() == class && item.tag().0 == tag {
            Ok(item.data)
        } else {
            Err(OcspFault::Malformed(missing))
        }
    }

    fn sequence(&mut self, missing: &'static str) -> Result<Self, OcspFault> {
        self.item(Class::Universal, Tag::Sequence.0, missing)
            .map(Self)
    }

    /// Returns the content of the next item if it has this context tag; else does not consume it.
    fn optional(&mut self, tag: u32) -> Option<&'a [u8]> {
        let mut ahead = *self;
        let found = ahead.item(Class::ContextSpecific, tag, "").ok()?;
        *self = ahead;
        Some(found)
    }

    fn time(&mut self, missing: &'static str) -> Result<i64, OcspFault> {
        let (rest, time) = ASN1Time::from_der(self.0).map_err(|_| OcspFault::Malformed(missing))?;
        self.0 = rest;
        Ok(time.timestamp())
    }

    fn end(self) -> Result<(), OcspFault> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(OcspFault::Malformed("something follows the response"))
        }
    }
}

/// `id-pkix-ocsp-basic`, 1.3.6.1.5.5.7.48.1.1.
const BASIC: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01];
/// Hashes that identify issuers.
static HASHES: [(&[u8], &digest::Algorithm); 4] = [
    (
        &[0x2b, 0x0e, 0x03, 0x02, 0x1a],
        &digest::SHA1_FOR_LEGACY_USE_ONLY,
    ),
    (
        &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01],
        &digest::SHA256,
    ),
    (
        &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02],
        &digest::SHA384,
    ),
    (
        &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03],
        &digest::SHA512,
    ),
];
/// Maximum lead of the responder's clock over ours.
const CLOCKS_DIFFER_S: i64 = 300;

#[cfg(test)]
mod tests;
