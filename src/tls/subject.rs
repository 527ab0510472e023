//! Subject of a certificate as text (RFC 4514), as headers and logs show it.
//!
//! The output is printable ASCII only, and syntax characters are escaped: a name cannot be made
//! that reads like another.

use std::fmt::Write as _;

use x509_parser::{
    objects::{oid_registry, oid2abbrev},
    prelude::X509Certificate,
    x509::{AttributeTypeAndValue, X509Name},
};

/// The subject of a certificate.
pub(super) fn of(certificate: &X509Certificate<'_>) -> String {
    text(certificate.subject())
}

/// A name as text, cut to a length that fits into a line of a log.
pub(super) fn short(name: &X509Name<'_>) -> String {
    let mut text = text(name);
    if text.is_empty() {
        return "(no name)".to_owned();
    }
    if text.len() > SHORT_BYTES_MAX {
        // All of it is ASCII.
        text.truncate(SHORT_BYTES_MAX);
        text.push_str("...");
    }
    text
}

/// Writes the most specific part first, against the order in the certificate (section 2.1).
fn text(name: &X509Name<'_>) -> String {
    let mut sets: Vec<String> = name
        .iter_rdn()
        .map(|set| {
            let parts: Vec<String> = set.iter().map(part).collect();
            parts.join("+")
        })
        .collect();
    sets.reverse();
    sets.join(",")
}

fn part(part: &AttributeTypeAndValue<'_>) -> String {
    let mut text = match oid2abbrev(part.attr_type(), oid_registry()) {
        Ok(short) => short.to_owned(),
        Err(_) => part.attr_type().to_id_string(),
    };
    text.push('=');
    match part.as_str() {
        Ok(value) => escape(&mut text, value),
        Err(_) => {
            text.push('#');
            for byte in part.as_slice() {
                let _ = write!(text, "{byte:02x}");
            }
        }
    }
    text
}

fn escape(text: &mut String, value: &str) {
    let last = value.len().saturating_sub(1);
    for (at, character) in value.char_indices() {
        match character {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' | '=' => {
                text.push('\\');
                text.push(character);
            }
            '#' | ' ' if at == 0 => {
                text.push('\\');
                text.push(character);
            }
            ' ' if at == last => text.push_str("\\ "),
            ' '..='~' => text.push(character),
            _ => {
                for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                    let _ = write!(text, "\\{byte:02X}");
                }
            }
        }
    }
}

/// Maximum length of a name in a message.
const SHORT_BYTES_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};
    use x509_parser::prelude::FromDer as _;

    use super::*;

    fn subject(parts: &[(DnType, &str)]) -> String {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in parts {
            params.distinguished_name.push(kind.clone(), *value);
        }
        let key = KeyPair::generate().unwrap();
        let made = params.self_signed(&key).unwrap();
        of(&X509Certificate::from_der(made.der()).unwrap().1)
    }

    #[test]
    fn the_most_specific_part_comes_first() {
        let parts = [
            (DnType::OrganizationName, "Example"),
            (DnType::CommonName, "client 1"),
        ];
        assert_eq!(subject(&parts), "CN=client 1,O=Example");
    }

    #[test]
    fn a_name_cannot_pretend_to_have_parts() {
        let parts = [(DnType::CommonName, " a,O=Admins\r\nx: \u{e9} ")];
        let expected = "CN=\\ a\\,O\\=Admins\\0D\\0Ax: \\C3\\A9\\ ";
        assert_eq!(subject(&parts), expected);
    }
}
