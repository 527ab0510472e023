//! `[listeners.NAME.tls]` and `[pools.NAME.tls]`: certificates shown, asked for and verified.

use std::path::PathBuf;

use crate::config::setting::{table, words};

table! {
    /// TLS towards clients.
    pub struct ListenerTls {
        /// The certificates. A client is shown the one for the name it asks for: an exact name before a wildcard; a client that asks for no known name is shown the first.
        pub certificates: Vec<ServedCertificate>,
        /// Authorities whose certificates clients may show, as PEM.
        pub client_ca: Option<PathBuf> = None,
        /// Whether a client must show a certificate; asked for where `client_ca` is set.
        pub client_auth: ClientAuth = ClientAuth::Required,
        /// The oldest version of TLS that is spoken.
        pub minimum_version: TlsVersion = TlsVersion::Tls12,
    }
    later { "acme" }
}

table! {
    /// TLS towards endpoints. With an empty table the system's authorities are trusted.
    pub struct PoolTls {
        /// The name to ask for and to verify; the endpoint's host unless written.
        pub server_name: Option<String> = None,
        /// Authorities to trust instead of the system's, as PEM.
        pub ca: Option<PathBuf> = None,
        /// The certificate to show to endpoints that ask for one.
        pub client: Option<KeyPair> = None,
        /// Whether the certificate of the endpoint is verified.
        pub verify: bool = true,
    }
}

table! {
    /// A certificate with its key, and what its authority says of it. The files are watched: renewed ones are taken up by themselves.
    pub struct ServedCertificate {
        /// The certificate, followed by those that lead to its authority, as PEM.
        pub chain: PathBuf,
        /// Its private key, as PEM.
        pub key: PathBuf,
        /// An OCSP response about it, in DER, shown to clients that ask for one (stapled) until it runs out.
        pub ocsp: Option<PathBuf> = None,
    }
}

table! {
    /// A certificate with its key. The files are watched: renewed ones are taken up by themselves.
    pub struct KeyPair {
        /// The certificate, followed by those that lead to its authority, as PEM.
        pub chain: PathBuf,
        /// Its private key, as PEM.
        pub key: PathBuf,
    }
}

words! {
    /// Whether clients must show a certificate.
    pub enum ClientAuth {
        /// A client without one is refused.
        Required = "required",
        /// One that is shown is verified.
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
