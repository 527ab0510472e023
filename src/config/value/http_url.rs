//! Addresses of HTTP services that the proxy itself asks: `http://HOST:PORT/PATH`, and `https://`.

use std::{fmt, net::SocketAddr, path::Path};

use http::Uri;

use super::{EndpointAddress, Mismatch};

/// URL of an HTTP service, without credentials.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HttpUrl {
    /// True if it is spoken to over TLS.
    pub tls: bool,
    /// Host and port.
    pub address: EndpointAddress,
    /// Host and port as written, for the header `Host`.
    pub authority: String,
    /// Path and query; at least `/`.
    pub path: String,
}

impl HttpUrl {
    /// Parses a URL.
    ///
    /// # Errors
    ///
    /// Refuses other schemes, credentials, fragments and malformed addresses.
    pub fn parse(text: &str) -> Result<Self, Mismatch> {
        let wrong = |why: &str| {
            Mismatch::new(
                format!("not the URL of an HTTP service: {why}"),
                "such as \"http://127.0.0.1:8500\" or \"https://registry.internal/orders\"",
            )
        };
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| wrong("it has no scheme"))?;
        let tls = match &*scheme.to_ascii_lowercase() {
            "http" => false,
            "https" => true,
            _ => return Err(wrong("the scheme is http or https")),
        };
        let (authority, _) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if authority.starts_with("unix:") {
            return Err(wrong("it has no host"));
        }
        if authority.contains('@') {
            return Err(wrong("credentials do not belong into a URL"));
        }
        if text.contains('#') {
            return Err(wrong("it has a fragment"));
        }
        let uri: Uri = text
            .parse()
            .map_err(|_| wrong("it has characters that must be percent-encoded, or no host"))?;
        let has_port = uri.port().is_some();
        let with_port = match (has_port, tls) {
            (true, _) => authority.to_owned(),
            (false, false) => format!("{authority}:80"),
            (false, true) => format!("{authority}:443"),
        };
        let address = EndpointAddress::parse(&with_port, Path::new(""))
            .map_err(|_| wrong("the host is a name or an IP address, and a port is 1 to 65535"))?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Ok(Self {
            tls,
            address,
            authority: authority.to_owned(),
            path: match path.starts_with('/') {
                true => path.to_owned(),
                false => format!("/{path}"),
            },
        })
    }

    /// Returns the usual URL of an agent of Consul.
    #[must_use]
    pub fn consul() -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], 8500));
        Self {
            tls: false,
            address: EndpointAddress::Socket(address),
            authority: address.to_string(),
            path: "/".to_owned(),
        }
    }

    /// Returns the path and query of `below` under the path of this URL, which is then a prefix.
    #[must_use]
    pub fn join(&self, below: &str) -> String {
        let prefix = self.path.split('?').next().unwrap_or_default();
        format!("{}{below}", prefix.trim_end_matches('/'))
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority)?;
        match &*self.path {
            "/" => Ok(()),
            path => f.write_str(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_scheme_and_a_host_and_may_have_a_port_and_a_path() {
        for (written, printed, address, path) in [
            ("http://127.0.0.1:8500", "", "127.0.0.1:8500", "/"),
            ("http://[::1]:8500/", "http://[::1]:8500", "[::1]:8500", "/"),
            ("http://A.internal/v1?a=b", "", "a.internal:80", "/v1?a=b"),
            ("https://a.internal/x/", "", "a.internal:443", "/x/"),
            (
                "http://a.internal?dc=x",
                "http://a.internal/?dc=x",
                "a.internal:80",
                "/?dc=x",
            ),
        ] {
            let url = HttpUrl::parse(written).unwrap();
            let printed = if printed.is_empty() { written } else { printed };
            assert_eq!(url.to_string(), printed);
            assert_eq!(url.address.to_string(), address);
            assert_eq!(url.path, path);
        }
        let url = HttpUrl::parse("http://a:1/eureka/?x=1").unwrap();
        assert_eq!(url.join("/apps"), "/eureka/apps");
        assert_eq!(HttpUrl::parse("http://a:1").unwrap().join("/v1"), "/v1");
    }

    #[test]
    fn strangers_and_credentials_are_refused_and_not_repeated() {
        for text in [
            "",
            "127.0.0.1:8500",
            "ftp://a",
            "http://",
            "http://a:0",
            "http://a:b",
            "http://a b/",
            "http://a/#b",
            "http://me:hunter2@host/",
            "http://unix:/a",
        ] {
            let refused = HttpUrl::parse(text);
            let refused = refused.map_err(|mismatch| format!("{mismatch:?}"));
            assert!(
                refused.as_ref().is_err_and(|it| !it.contains("hunter2")),
                "{text}: {refused:?}"
            );
        }
    }
}
