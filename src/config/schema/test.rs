//! `[tests.NAME]`: a request, and what must become of it.

use std::net::IpAddr;

use http::{HeaderName, HeaderValue, Method, StatusCode, Uri};

use crate::config::setting::{Spanned, table};
use crate::config::value::{Name, ValueMatch};

table! {
    /// A request and the expected result.
    pub struct RouteTest {
        /// The request.
        pub request: TestRequest,
        /// Expected result; all that is given must hold.
        pub expect: Expectation,
    }
}

table! {
    /// The request of a test.
    pub struct TestRequest {
        /// Method of the request.
        pub method: Method = Method::GET,
        /// URL with scheme and host. Scheme and port say which listener accepts it.
        pub url: Uri,
        /// Headers of the request.
        pub headers: Vec<(HeaderName, HeaderValue)> = Vec::new(),
        /// Listener that accepts it, where scheme and port do not say so.
        pub listener: Option<Spanned<Name>> = None,
        /// Address of the client; 127.0.0.1 by default.
        pub source: Option<IpAddr> = None,
        /// Certificate of the client; none by default.
        pub client_certificate: Option<TestCertificate> = None,
    }
}

table! {
    /// Names in the certificate of a test's client.
    pub struct TestCertificate: Default {
        /// Subject (RFC 4514).
        pub subject: String = String::new(),
        /// DNS names.
        pub dns: Vec<String> = Vec::new(),
        /// URIs it names.
        pub uri: Vec<String> = Vec::new(),
        /// Mail addresses.
        pub email: Vec<String> = Vec::new(),
        /// IP addresses.
        pub ip: Vec<String> = Vec::new(),
    }
}

table! {
    /// Expected result of a test.
    pub struct Expectation: Default {
        /// Route that wins.
        pub route: Option<Spanned<Name>> = None,
        /// Pool that the request goes to.
        pub pool: Option<Spanned<Name>> = None,
        /// Version requirement of the route.
        pub version: Option<semver::VersionReq> = None,
        /// Status of the proxy's own answer.
        pub status: Option<StatusCode> = None,
        /// Headers of the proxy's own answer, or those set on the request.
        pub header: Vec<(HeaderName, ValueMatch)> = Vec::new(),
        /// Target of the redirect.
        pub redirect: Option<String> = None,
    }
}
