//! Names that are looked up in DNS, and the servers that are asked.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::Mismatch;
use super::address::is_host_name;
use super::punycode::ascii_name;

/// A name in DNS, in lower case. With a final dot it is whole, and no search domain is added.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DnsName(Arc<str>);

impl DnsName {
    /// Parses a name; `_` is allowed, as in `_http._tcp.orders.internal`.
    ///
    /// # Errors
    ///
    /// Refuses addresses, ports, URLs and names that are not ASCII.
    pub fn parse(text: &str) -> Result<Self, Mismatch> {
        let such_as = "such as \"orders.internal\" or \"_http._tcp.orders.internal\"";
        if is_host_name(text) {
            return Ok(Self(text.to_ascii_lowercase().into()));
        }
        let why = if text.contains("://") {
            ": it must be a name, not a URL"
        } else if text.parse::<IpAddr>().is_ok() {
            ": an IP address needs no look-up; it belongs in \"endpoints\""
        } else if let Some((host, _)) = text.rsplit_once(':')
            && is_host_name(host)
        {
            ": the port has a key of its own, \"port\""
        } else if let Some(ascii) = ascii_name(text).filter(|it| it != text && is_host_name(it)) {
            let message = format!("\"{text}\" is not a name in DNS: it is not ASCII");
            return Err(Mismatch::new(
                message,
                format!("its form in DNS: \"{ascii}\""),
            ));
        } else {
            ""
        };
        let message = format!("\"{text}\" is not a name in DNS{why}");
        Err(Mismatch::new(message, such_as))
    }

    /// The name as written, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The address of a name server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NameServer(pub SocketAddr);

impl NameServer {
    /// Parses `ip` or `ip:port`; the port is 53 by default.
    ///
    /// # Errors
    ///
    /// Refuses names: they would have to be looked up first.
    pub fn parse(text: &str) -> Result<Self, Mismatch> {
        let such_as = "such as \"10.0.0.2\", \"127.0.0.1:8600\" or \"[2001:db8::1]:53\"";
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self(SocketAddr::new(address, PORT)));
        }
        let why = match text.parse::<SocketAddr>() {
            Ok(address) if address.port() == 0 => ": port 0 cannot be asked",
            Ok(address) => return Ok(Self(address)),
            Err(_) if is_host_name(text.rsplit_once(':').map_or(text, |(host, _)| host)) => {
                ": it must be an IP address, since a name would have to be looked up first"
            }
            Err(_) => "",
        };
        let message = format!("\"{text}\" is not the address of a name server{why}");
        Err(Mismatch::new(message, such_as))
    }
}

impl fmt::Display for NameServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Port of name servers.
const PORT: u16 = 53;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_case_and_keep_their_final_dot() {
        for (written, read) in [
            ("Orders.Internal", "orders.internal"),
            ("orders", "orders"),
            ("_http._tcp.orders.internal.", "_http._tcp.orders.internal."),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(DnsName::parse(written).unwrap().as_str(), read);
        }
    }

    #[test]
    fn what_is_no_name_is_refused_with_a_reason() {
        for (text, why) in [
            ("", "is not a name in DNS"),
            (".", "is not a name in DNS"),
            ("10.0.0.1", "needs no look-up"),
            ("::1", "needs no look-up"),
            ("orders.internal:80", "\"port\""),
            ("http://orders", "not a URL"),
            ("bücher.example", "not ASCII"),
            ("a..b", "is not a name in DNS"),
        ] {
            let refused = DnsName::parse(text).unwrap_err();
            assert!(refused.message.contains(why), "{}", refused.message);
        }
    }

    #[test]
    fn servers_are_addresses_with_port_53_by_default() {
        for (written, read) in [
            ("10.0.0.2", "10.0.0.2:53"),
            ("127.0.0.1:8600", "127.0.0.1:8600"),
            ("2001:db8::1", "[2001:db8::1]:53"),
            ("[2001:db8::1]:5353", "[2001:db8::1]:5353"),
        ] {
            assert_eq!(NameServer::parse(written).unwrap().to_string(), read);
        }
        for text in ["dns.internal", "dns.internal:53", "10.0.0.2:0", "", "[::1]"] {
            assert!(NameServer::parse(text).is_err(), "{text}");
        }
    }
}
