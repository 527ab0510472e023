//! Content of a client's certificate that routes match on, and that headers and logs show.

use std::{net::IpAddr, path::Path};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use x509_parser::{
    extensions::GeneralName,
    prelude::{FromDer as _, X509Certificate},
};

use super::{TlsFault, pem, subject};

/// A verified client certificate; in a question, a hypothetical one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClientCertificate {
    /// Its subject (RFC 4514); empty if it has none or it cannot be read.
    pub subject: Box<str>,
    /// Its DNS names, in lower case.
    pub dns: Vec<String>,
    /// Its URIs, such as SPIFFE ids.
    pub uri: Vec<String>,
    /// Its mail addresses.
    pub email: Vec<String>,
    /// Its IP addresses, as text.
    pub ip: Vec<String>,
}

impl ClientCertificate {
    /// Reads a certificate. All fields are empty if it cannot be read.
    pub(super) fn of(der: &[u8]) -> Self {
        let Ok((_, parsed)) = X509Certificate::from_der(der) else {
            return Self::default();
        };
        let mut read = Self {
            subject: subject::of(&parsed).into(),
            ..Self::default()
        };
        // Of an extension that stands there twice none counts.
        let extension = parsed.subject_alternative_name().ok().flatten();
        let listed = extension.map_or(&[][..], |extension| &extension.value.general_names);
        for name in listed {
            match name {
                GeneralName::DNSName(name) => read.dns.push(name.to_ascii_lowercase()),
                GeneralName::URI(uri) => read.uri.push((*uri).to_owned()),
                GeneralName::RFC822Name(email) => read.email.push((*email).to_owned()),
                GeneralName::IPAddress(bytes) => read.ip.extend(address(bytes)),
                _ => {}
            }
        }
        read
    }

    /// Reads the first certificate of a PEM file; blocks on the disk.
    ///
    /// # Errors
    /// The reason why the file has none.
    pub fn load(path: &Path) -> Result<Self, TlsFault> {
        let chain = pem::chain(path)?;
        Ok(chain
            .first()
            .map_or_else(Self::default, |der| Self::of(der)))
    }
}

fn address(bytes: &[u8]) -> Option<String> {
    let address = match *bytes {
        [a, b, c, d] => IpAddr::from([a, b, c, d]),
        _ => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?),
    };
    Some(address.to_string())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    #[test]
    fn each_kind_of_name_is_kept_apart() {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "client");
        params.subject_alt_names = vec![
            SanType::DnsName("Client.Example".try_into().unwrap()),
            SanType::URI("spiffe://cluster/ns/a".try_into().unwrap()),
            SanType::Rfc822Name("a@b.example".try_into().unwrap()),
            SanType::IpAddress([10, 0, 0, 1].into()),
            SanType::IpAddress("2001:db8::1".parse().unwrap()),
        ];
        let key = KeyPair::generate().unwrap();
        let read = ClientCertificate::of(params.self_signed(&key).unwrap().der());
        assert!(read.subject.contains("CN=client"), "{}", read.subject);
        assert_eq!(read.dns, ["client.example"]);
        assert_eq!(read.uri, ["spiffe://cluster/ns/a"]);
        assert_eq!(read.email, ["a@b.example"]);
        assert_eq!(read.ip, ["10.0.0.1", "2001:db8::1"]);
    }

    #[test]
    fn garbage_says_nothing() {
        let nothing = ClientCertificate::default();
        assert_eq!(ClientCertificate::of(b"not a certificate"), nothing);
    }
}
