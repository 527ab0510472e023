//! `acme` of `[listeners.NAME.tls]`: a certificate that a CA issues by itself.

use std::path::PathBuf;

use crate::config::setting::{Spanned, table, words};
use crate::config::value::{EndpointAddress, HostPattern, HttpUrl, Secret};

table! {
    /// A certificate that is ordered from a CA and renewed in time (ACME, RFC 8555). Needs `proxy.state_dir`. Writing this table is the agreement to the CA's terms of service.
    pub struct Acme {
        /// Names of the certificate: one for all of them. Wildcards and addresses are not possible.
        pub domains: Vec<Spanned<HostPattern>>,
        /// Address that the CA writes to, such as `"mailto:ops@shop.example"`.
        pub contact: Option<String> = None,
        /// URL of the CA's directory. For trials, Let's Encrypt has `"https://acme-staging-v02.api.letsencrypt.org/directory"`, with generous limits and certificates that no browser trusts.
        pub directory: HttpUrl = lets_encrypt(),
        /// File of the authorities that may certify the directory, as PEM, for a CA of one's own; by default the system's.
        pub directory_ca: Option<PathBuf> = None,
        /// Proof that the names are in the hands of this proxy.
        pub challenge: AcmeChallenge = AcmeChallenge::Http01,
        /// Account at the CA that the new one is bound to, where the CA asks for it.
        pub eab: Option<AcmeBinding> = None,
    }
}

table! {
    /// An account that was made with the CA by other means (external account binding).
    pub struct AcmeBinding {
        /// Id of that account, as the CA prints it.
        pub key_id: String,
        /// Key of that account, in Base64 for URLs as the CA prints it.
        pub key: Secret,
    }
}

words! {
    /// A way to prove that a name is in the hands of the proxy.
    pub enum AcmeChallenge {
        /// The CA fetches a text over plain HTTP from port 80 of the name. Each listener without TLS answers it, before any route.
        Http01 = "http-01",
        /// The CA opens a TLS session to port 443 of the name. This listener answers it.
        TlsAlpn01 = "tls-alpn-01",
    }
}

/// The directory of Let's Encrypt.
fn lets_encrypt() -> HttpUrl {
    let host = "acme-v02.api.letsencrypt.org";
    HttpUrl {
        tls: true,
        address: EndpointAddress::Name(host.into(), 443),
        authority: host.to_owned(),
        path: "/directory".to_owned(),
    }
}
