//! `[listeners.NAME.tls]` and `[pools.NAME.tls]`: certificates shown, asked for and verified.

use std::path::PathBuf;

use super::acme::Acme;
use crate::config::setting::{table, words};

table! {
    /// TLS towards clients.
    pub struct ListenerTls {
        /// Certificates, chosen by the name that the client asks for: an exact name before a wildcard, and the first one if no name matches. Required without `acme`.
        pub certificates: Vec<ServedCertificate> = Vec::new(),
        /// A certificate that is ordered from a CA and renewed in time (ACME). It stands behind those of `certificates`.
        pub acme: Option<Acme> = None,
        /// Authorities whose client certificates are accepted, as PEM.
        pub client_ca: Option<PathBuf> = None,
        /// Revocation lists (CRL) of these authorities, as PEM: one file with one list or more. Every certificate of a client's chain must be of an authority that has a list there, and must not be on it; of several lists that one key signed, the newest counts. A file that fits none of the authorities, or with a list that another key signed, is an error. The file is watched; a list whose successor is overdue stays in use, and is reported.
        pub client_crl: Option<PathBuf> = None,
        /// Requirement of a client certificate, where `client_ca` is set: `"optional"` also accepts clients without one.
        pub client_auth: ClientAuth = ClientAuth::Required,
        /// Oldest version of TLS that is accepted.
        pub minimum_version: TlsVersion = TlsVersion::Tls12,
    }
}

table! {
    /// TLS towards endpoints. With an empty table the system's authorities are trusted.
    pub struct PoolTls: Default {
        /// Name to ask for (SNI) and to verify; by default the host of the endpoint.
        pub server_name: Option<String> = None,
        /// Authorities to trust instead of those of the system, as PEM.
        pub ca: Option<PathBuf> = None,
        /// Certificate to show to endpoints that ask for one.
        pub client: Option<KeyPair> = None,
        /// Verifies the certificate of the endpoint.
        pub verify: bool = true,
    }
}

table! {
    /// A certificate with its key and an OCSP response. The files are watched; renewed ones are used without a reload.
    pub struct ServedCertificate {
        /// File with the certificate, followed by the intermediate ones, as PEM.
        pub chain: PathBuf,
        /// File with its private key, as PEM.
        pub key: PathBuf,
        /// File with an OCSP response, in DER, which is stapled for clients that ask until it runs out.
        pub ocsp: Option<PathBuf> = None,
    }
}

table! {
    /// A certificate with its key. The files are watched; renewed ones are used without a reload.
    pub struct KeyPair {
        /// File with the certificate, followed by the intermediate ones, as PEM.
        pub chain: PathBuf,
        /// File with its private key, as PEM.
        pub key: PathBuf,
    }
}

words! {
    /// Requirement of a client certificate.
    pub enum ClientAuth {
        /// Refuses clients without one.
        Required = "required",
        /// Verifies one that is shown.
        Optional = "optional",
    }
}

words! {
    /// A version of TLS.
    pub enum TlsVersion {
        /// TLS 1.2, RFC 5246.
        Tls12 = "1.2",
        /// TLS 1.3, RFC 8446.
        Tls13 = "1.3",
    }
}
