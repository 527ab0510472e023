//! `[tests.NAME]`: a request, and what must become of it.

use std::net::IpAddr;

use http::{HeaderName, HeaderValue, Method, StatusCode, Uri};

use crate::config::setting::{Spanned, table};
use crate::config::value::{Name, ValueMatch};

table! {
    /// A request, and what must become of it.
    pub struct RouteTest {
        /// The request.
        pub request: TestRequest,
        /// What must become of it; all that is given.
        pub expect: Expectation,
    }
}

table! {
    /// The request of a test.
    pub struct TestRequest {
        /// Its method.
        pub method: Method = Method::GET,
        /// Its URL, with scheme and host. Scheme and port say which listener it comes in by.
        pub url: Uri,
        /// Its headers.
        pub headers: Vec<(HeaderName, HeaderValue)> = Vec::new(),
        /// The listener that it comes in by, where scheme and port do not say it.
        pub listener: Option<Spanned<Name>> = None,
        /// The address that it comes from; 127.0.0.1 unless given.
        pub source: Option<IpAddr> = None,
        /// The certificate that its client shows; without it none.
        pub client_certificate: Option<TestCertificate> = None,
    }
}

table! {
    /// What the certificate of a test's client says.
    pub struct TestCertificate: Default {
        /// Its subject (RFC 4514).
        pub subject: String = String::new(),
        /// Its DNS names.
        pub dns: Vec<String> = Vec::new(),
        /// Its URIs.
        pub uri: Vec<String> = Vec::new(),
        /// Its mail addresses.
        pub email: Vec<String> = Vec::new(),
        /// Its IP addresses.
        pub ip: Vec<String> = Vec::new(),
    }
}

table! {
    /// What must become of the request of a test.
    pub struct Expectation: Default {
        /// The route that wins.
        pub route: Option<Spanned<Name>> = None,
        /// The pool that it goes to.
        pub pool: Option<Spanned<Name>> = None,
        /// The version requirement that the route sets.
        pub version: Option<semver::VersionReq> = None,
        /// The status of the proxy's own answer.
        pub status: Option<StatusCode> = None,
        /// Headers of the proxy's own answer, or set on the request.
        pub header: Vec<(HeaderName, ValueMatch)> = Vec::new(),
        /// Where the redirect leads.
        pub redirect: Option<String> = None,
    }
}
