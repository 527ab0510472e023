//! Addresses to listen on and to connect to.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Mismatch;
use super::punycode::ascii_name;

/// Writes a host with its port, an IPv6 address in brackets.
pub fn host_with_port(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// An address to accept connections at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BindAddress {
    /// A TCP port of one or all local addresses.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl BindAddress {
    /// Parses `ip:port` or `unix:path`; a relative path is taken from `base`.
    ///
    /// # Errors
    ///
    /// Refuses names, missing ports and an empty path.
    pub fn parse(text: &str, base: &Path) -> Result<Self, Mismatch> {
        if let Some(path) = unix_path(text, base)? {
            return Ok(Self::Unix(path));
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Tcp(canonical(address)));
        }
        let named = text.rsplit_once(':').filter(|(host, _)| is_host_name(host));
        let why = if text.parse::<Ipv6Addr>().is_ok() {
            ": an IPv6 address needs brackets and a port"
        } else if text.parse::<IpAddr>().is_ok() {
            ": it has no port"
        } else if text.starts_with(':') {
            ": it has no address before the port"
        } else if text.contains("://") {
            ": it must be an address, not a URL"
        } else if named.is_some() {
            ": a name is looked up only for endpoints; write the IP address"
        } else if has_address_before_port(text) {
            ": the port must be from 0 to 65535"
        } else {
            ""
        };
        let such_as = match named {
            Some(("localhost", port)) => format!("\"127.0.0.1:{port}\" for this machine alone"),
            _ => "such as \"0.0.0.0:8080\", \"[::]:8080\" or \"unix:proxy.sock\"".to_owned(),
        };
        Err(Mismatch::new(
            format!("\"{text}\" is not an address to listen at{why}"),
            such_as,
        ))
    }

    /// Returns true if sockets at both addresses cannot exist at the same time.
    pub fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tcp(one), Self::Tcp(two)) => {
                let any = one.ip().is_unspecified() || two.ip().is_unspecified();
                one.port() == two.port() && (any || one.ip() == two.ip())
            }
            _ => self == other,
        }
    }

    /// Tells whether only this machine can reach it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl fmt::Display for BindAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The address of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndpointAddress {
    /// An IP address and a port.
    Socket(SocketAddr),
    /// A name in lower case, looked up when connecting, and a port.
    Name(Arc<str>, u16),
    /// A Unix socket.
    Unix(PathBuf),
}

impl EndpointAddress {
    /// Parses `ip:port`, `name:port` or `unix:path`; a relative path is taken from `base`.
    ///
    /// # Errors
    ///
    /// Refuses URLs, missing ports, port 0 and malformed names.
    pub fn parse(text: &str, base: &Path) -> Result<Self, Mismatch> {
        if let Some(path) = unix_path(text, base)? {
            return Ok(Self::Unix(path));
        }
        let refused = |why: &str| {
            Mismatch::new(
                format!("\"{text}\" is not the address of an endpoint{why}"),
                "such as \"10.0.0.7:8080\", \"app.internal:8080\" or \"unix:app.sock\"",
            )
        };
        if text.contains("://") || text.contains('/') {
            return Err(refused(": it must be an address, not a URL"));
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            if address.port() == 0 {
                return Err(refused(": port 0 cannot be connected to"));
            }
            return Ok(Self::Socket(canonical(address)));
        }
        if text.parse::<Ipv6Addr>().is_ok() {
            return Err(refused(": an IPv6 address needs brackets and a port"));
        }
        let Some((host, port)) = text.rsplit_once(':') else {
            return Err(refused(": it has no port"));
        };
        let port = port
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| port.parse::<u16>().ok())
            .flatten()
            .filter(|port| *port != 0)
            .ok_or_else(|| refused(": the port must be from 1 to 65535"))?;
        if !is_host_name(host) {
            let ascii = ascii_name(host).filter(|ascii| ascii != host && is_host_name(ascii));
            return Err(match ascii {
                Some(ascii) => Mismatch::new(
                    format!("\"{text}\" is not the address of an endpoint: the name is not ASCII"),
                    format!("its form in DNS: \"{ascii}:{port}\""),
                ),
                None => refused(": the name before the port is malformed"),
            });
        }
        Ok(Self::Name(host.to_ascii_lowercase().into(), port))
    }

    /// Gives the name or IP address alone; empty for a Unix socket.
    pub fn host(&self) -> Cow<'_, str> {
        match self {
            Self::Socket(address) => address.ip().to_string().into(),
            Self::Name(name, _) => Cow::Borrowed(name),
            Self::Unix(_) => Cow::Borrowed(""),
        }
    }

    /// Tells whether it is on this machine, so that nobody on the way can read.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Socket(address) => address.ip().is_loopback(),
            Self::Name(name, _) => &**name == "localhost",
            Self::Unix(_) => true,
        }
    }
}

impl fmt::Display for EndpointAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(address) => address.fmt(f),
            Self::Name(name, port) => write!(f, "{name}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Returns the IPv4 address of one mapped into IPv6: sockets treat both the same.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn has_address_before_port(text: &str) -> bool {
    let Some((host, _)) = text.rsplit_once(':') else {
        return false;
    };
    let host = host.strip_prefix('[').unwrap_or(host);
    let host = host.strip_suffix(']').unwrap_or(host);
    host.parse::<IpAddr>().is_ok()
}

/// Tells whether `text` can be a host name (RFC 1123, with `_` as DNS allows); four
/// numbers with dots are an address that did not parse, not a name.
pub(crate) fn is_host_name(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    let label_fits = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let last_is_number = text
        .rsplit('.')
        .next()
        .is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    text.len() <= 253 && text.split('.').all(label_fits) && !last_is_number
}

fn unix_path(text: &str, base: &Path) -> Result<Option<PathBuf>, Mismatch> {
    let Some(path) = text.strip_prefix("unix:") else {
        return Ok(None);
    };
    if path.is_empty() || path.contains('\0') {
        let message = format!("\"{text}\" has no path after \"unix:\"");
        return Err(Mismatch::new(message, "such as \"unix:proxy.sock\""));
    }
    if let Some(name) = path.strip_prefix('@') {
        return Err(Mismatch::new(
            format!("\"{text}\" would be an abstract socket, which is not served"),
            format!("a path; \"unix:./@{name}\" if that is the name of the file"),
        ));
    }
    let path = base.join(path);
    if path.as_os_str().len() > UNIX_PATH_MAX {
        let message = format!("the path of \"{text}\" is too long for a Unix socket");
        let expected = format!("at most {UNIX_PATH_MAX} bytes, with the folder of the file");
        return Err(Mismatch::new(message, expected));
    }
    Ok(Some(path))
}

/// Path bytes that `sockaddr_un` holds on Linux, without the closing NUL.
const UNIX_PATH_MAX: usize = 107;

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> Result<String, Mismatch> {
        EndpointAddress::parse(text, Path::new("/etc/x")).map(|address| address.to_string())
    }

    #[test]
    fn endpoints_are_addresses_names_or_sockets() {
        assert_eq!(endpoint("127.0.0.1:80").unwrap(), "127.0.0.1:80");
        assert_eq!(endpoint("[::1]:80").unwrap(), "[::1]:80");
        assert_eq!(endpoint("App.Internal:80").unwrap(), "app.internal:80");
        assert_eq!(endpoint("unix:a.sock").unwrap(), "unix:/etc/x/a.sock");
    }

    #[test]
    fn endpoints_that_cannot_be_reached_are_refused() {
        for text in [
            "",
            "localhost",
            "::1",
            "http://a:80",
            "a:0",
            "a:99999",
            ":80",
            "a b:80",
            "-a:80",
            "1.2.3.400:80",
            "a:+80",
            "unix:",
            "a:",
        ] {
            assert!(endpoint(text).is_err(), "{text}");
        }
    }

    #[test]
    fn listeners_need_an_address_and_a_port() {
        let parse = |text: &str| BindAddress::parse(text, Path::new("/x"));
        assert!(parse("[::]:80").is_ok());
        let mapped = parse("[::ffff:127.0.0.1]:80").unwrap();
        assert_eq!(mapped.to_string(), "127.0.0.1:80");
        assert!(mapped.is_local());
        assert!(!parse("0.0.0.0:80").unwrap().is_local());
        assert!(parse("unix:/run/a").unwrap().is_local());
        for text in [
            "",
            "80",
            ":80",
            "0.0.0.0",
            "localhost:80",
            "unix:",
            "unix:@a",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        let long = format!("unix:{}", "x".repeat(200));
        assert!(parse(&long).is_err());
    }
}
