//! Addresses of servers that the proxy asks: `http://HOST:PORT`, and `https://` over TLS.

use std::{fmt, path::Path};

use super::{EndpointAddress, Mismatch};

/// Address of a server, without credentials and path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServerUrl {
    /// True if it is spoken to over TLS.
    pub tls: bool,
    /// Host and port.
    pub address: EndpointAddress,
}

impl ServerUrl {
    /// Parses a URL.
    ///
    /// # Errors
    ///
    /// Refuses other schemes, credentials, paths and malformed addresses.
    pub fn parse(text: &str) -> Result<Self, Mismatch> {
        let wrong = |why: &str| {
            let message = format!("not the URL of a server: {why}");
            Mismatch::new(
                message,
                "such as \"http://127.0.0.1:2379\" or \"https://store.internal:2379\"",
            )
        };
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| wrong("it does not begin with http:// or https://"))?;
        let tls = match scheme {
            "http" => false,
            "https" => true,
            _ => return Err(wrong("the scheme is http or https")),
        };
        if rest.contains('@') {
            return Err(wrong("user and password have keys of their own"));
        }
        let host = rest.strip_suffix('/').unwrap_or(rest);
        if host.contains('/') || host.starts_with("unix:") {
            return Err(wrong("it has a path"));
        }
        let address = EndpointAddress::parse(host, Path::new(""))
            .map_err(|_| wrong("it needs a host and a port"))?;
        Ok(Self { tls, address })
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_scheme_host_and_port_and_nothing_else() {
        for (written, printed) in [
            ("http://127.0.0.1:2379", "http://127.0.0.1:2379"),
            (
                "https://store.internal:2379/",
                "https://store.internal:2379",
            ),
            ("http://[::1]:7", "http://[::1]:7"),
        ] {
            assert_eq!(ServerUrl::parse(written).unwrap().to_string(), printed);
        }
        for text in [
            "",
            "127.0.0.1:2379",
            "ftp://a:1",
            "http://a",
            "http://a:1/v1",
            "http://unix:/a",
            "https://me:hunter2@host:1",
        ] {
            let refused = ServerUrl::parse(text).unwrap_err();
            assert!(!format!("{refused:?}").contains("hunter2"), "{text}");
        }
    }
}
