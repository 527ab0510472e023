//! Signature of a revocation list (RFC 5280 section 5.1.1.3), verified as that of a certificate is.

use x509_parser::asn1_rs::{Any, FromDer as _};

use crate::tls::provider;

/// Result of the look at a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signed {
    /// By this key.
    ByIt,
    /// By another key, or it is damaged.
    ByAnother,
    /// With an algorithm that is not supported, or by another kind of key.
    Unknown,
}

/// Verifies the signature of a list; `key` is the content of a `SubjectPublicKeyInfo`.
pub(super) fn verify(list: &[u8], key: &[u8]) -> Signed {
    let Some((message, algorithm, signature)) = parts_of_list(list) else {
        return Signed::Unknown;
    };
    let Some((kind, key)) = parts_of_key(key) else {
        return Signed::Unknown;
    };
    let mut found = Signed::Unknown;
    let algorithms = provider().signature_verification_algorithms.all;
    for candidate in algorithms.iter().filter(|it| {
        it.signature_alg_id().as_ref() == algorithm && it.public_key_alg_id().as_ref() == kind
    }) {
        if candidate.verify_signature(key, message, signature).is_ok() {
            return Signed::ByIt;
        }
        found = Signed::ByAnother;
    }
    found
}

/// Returns true if lists signed by a key of this kind, in this way, can be verified at all.
pub(super) fn is_supported(list: &[u8]) -> bool {
    parts_of_list(list).is_some_and(|(_, algorithm, _)| {
        let algorithms = provider().signature_verification_algorithms.all;
        let mut known = algorithms.iter().map(|it| it.signature_alg_id());
        known.any(|it| it.as_ref() == algorithm)
    })
}

/// Returns the content of an element in DER.
pub(super) fn content(der: &[u8]) -> Option<&[u8]> {
    Some(Any::from_der(der).ok()?.1.data)
}

/// The signed bytes, the content of the algorithm, and the signature.
fn parts_of_list(list: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let content = content(list)?;
    let (after, _) = Any::from_der(content).ok()?;
    let message = &content[..content.len() - after.len()];
    let (after, algorithm) = Any::from_der(after).ok()?;
    let (_, signature) = Any::from_der(after).ok()?;
    Some((message, algorithm.data, bits(signature.data)?))
}

fn parts_of_key(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let (after, algorithm) = Any::from_der(key).ok()?;
    let (_, key) = Any::from_der(after).ok()?;
    Some((algorithm.data, bits(key.data)?))
}

/// The bytes of a bit string; none if they are not whole ones.
fn bits(string: &[u8]) -> Option<&[u8]> {
    match string.split_first()? {
        (0, bytes) => Some(bytes),
        _ => None,
    }
}
