//! Host that a request is for.
//!
//! Runs before routing: its result is the only form of the host used from here on. A name that two
//! servers could read differently is refused. Source: RFC 3986 section 3.2, RFC 9110 section 7.2,
//! RFC 9112 section 3.2, RFC 9113 section 8.3.1.

use std::net::Ipv6Addr;

use http::Version;
use smallvec::SmallVec;

use super::headers::{Headers, Known, Value};
use crate::failure::BadRequest;

/// A valid `host[:port]`, in lower case. A name of usual length costs no allocation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Authority {
    text: SmallVec<[u8; INLINE]>,
    host_len: usize,
    port: Option<u16>,
}

impl Authority {
    /// Reads the value of a Host field, of an absolute-form target or of `:authority`.
    ///
    /// # Errors
    /// [`BadRequest::Host`] for user information, an empty or malformed name, a zone id, or a port
    /// that is not a number up to 65535.
    pub fn parse(text: &[u8]) -> Result<Self, BadRequest> {
        let parts = Parts::scan(text)?;
        let (text, host_len) = if parts.canonical {
            (SmallVec::from_slice(text), parts.host_len)
        } else {
            parts.rewrite(text)
        };
        Ok(Self {
            text,
            host_len,
            port: parts.port,
        })
    }

    /// The host in lower case, without port and without a final dot; IPv6 in brackets.
    pub fn host(&self) -> &str {
        self.as_str().get(..self.host_len).unwrap_or_default()
    }

    /// The port, if given.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Host and port in the form of a Host field.
    pub fn as_str(&self) -> &str {
        // Nothing but ASCII gets in here.
        std::str::from_utf8(&self.text).unwrap_or_default()
    }

    /// The value of a Host field for this authority.
    pub fn as_value(&self) -> Value<'_> {
        Value::of_checked(&self.text)
    }

    /// Tells whether both have the same host and port.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.port == other.port && self.host() == other.host()
    }
}

/// Finds the one authority of a request; `None` only for HTTP/1.0 without Host.
///
/// `target` is the authority of an absolute-form target (HTTP/1) or of `:authority` (HTTP/2,
/// HTTP/3). In HTTP/1 an absolute form wins over Host, which must still be present and valid; from
/// HTTP/2 on both must agree.
///
/// # Errors
/// [`BadRequest::Host`] if Host is missing, repeated, malformed or not the authority.
pub fn effective_authority(
    version: Version,
    target: Option<&str>,
    headers: &Headers,
) -> Result<Option<Authority>, BadRequest> {
    let mut lines = headers.get_all(Known::Host).map(Value::as_bytes);
    let host = lines.next().map(Authority::parse).transpose()?;
    if lines.next().is_some() {
        return Err(BadRequest::Host);
    }
    let target = target
        .map(str::as_bytes)
        .map(Authority::parse)
        .transpose()?;
    if version >= Version::HTTP_2 {
        return match (target, host) {
            (Some(target), Some(host)) if !target.is_same(&host) => Err(BadRequest::Host),
            (Some(authority), _) | (None, Some(authority)) => Ok(Some(authority)),
            (None, None) => Err(BadRequest::Host),
        };
    }
    if host.is_none() && version == Version::HTTP_11 {
        return Err(BadRequest::Host);
    }
    Ok(target.or(host))
}

/// Result of a scan, before anything is copied.
struct Parts {
    /// Bytes of the host, without a final dot.
    host_len: usize,
    port: Option<u16>,
    ipv6: Option<Ipv6Addr>,
    /// The text is already canonical.
    canonical: bool,
}

impl Parts {
    fn scan(text: &[u8]) -> Result<Self, BadRequest> {
        if text.first() == Some(&b'[') {
            return Self::scan_ipv6(text);
        }
        let colon = memchr::memchr(b':', text);
        let (name, port) = match colon {
            Some(at) => (&text[..at], read_port(&text[at + 1..])?),
            None => (text, None),
        };
        let host = name.strip_suffix(b".").unwrap_or(name);
        check_name(host)?;
        let upper = host.iter().any(u8::is_ascii_uppercase);
        let empty_port = colon.is_some() && port.is_none();
        Ok(Self {
            host_len: host.len(),
            port,
            ipv6: None,
            canonical: !upper && !empty_port && host.len() == name.len(),
        })
    }

    fn scan_ipv6(text: &[u8]) -> Result<Self, BadRequest> {
        let end = memchr::memchr(b']', text).ok_or(BadRequest::Host)?;
        let port = match &text[end + 1..] {
            [] => None,
            [b':', digits @ ..] => read_port(digits)?,
            _ => return Err(BadRequest::Host),
        };
        let address = std::str::from_utf8(&text[1..end])
            .ok()
            .and_then(|inner| inner.parse::<Ipv6Addr>().ok())
            .ok_or(BadRequest::Host)?;
        Ok(Self {
            host_len: end + 1,
            port,
            ipv6: Some(address),
            // One address has many spellings and a route only one.
            canonical: false,
        })
    }

    /// Returns the canonical form of a text, and the length of its host.
    fn rewrite(&self, text: &[u8]) -> (SmallVec<[u8; INLINE]>, usize) {
        let mut host = match self.ipv6 {
            Some(address) => format!("[{address}]"),
            None => String::from_utf8_lossy(&text[..self.host_len]).to_ascii_lowercase(),
        };
        let host_len = host.len();
        if let Some(port) = self.port {
            host.push(':');
            host.push_str(itoa::Buffer::new().format(port));
        }
        (SmallVec::from_vec(host.into_bytes()), host_len)
    }
}

/// Accepts names of letters, digits, `-`, `_`, `~`, sub-delimiters and single dots.
///
/// Percent escapes are in the grammar too, but servers interpret them differently.
fn check_name(host: &[u8]) -> Result<(), BadRequest> {
    if host.is_empty() || host.len() > HOST_BYTES_MAX {
        return Err(BadRequest::Host);
    }
    let mut label_empty = true;
    for &byte in host {
        match byte {
            b'.' if label_empty => return Err(BadRequest::Host),
            b'.' => label_empty = true,
            b'-' | b'_' | b'~' => label_empty = false,
            b'!' | b'$' | b'&'..=b',' | b';' | b'=' => label_empty = false,
            _ if byte.is_ascii_alphanumeric() => label_empty = false,
            _ => return Err(BadRequest::Host),
        }
    }
    if label_empty {
        return Err(BadRequest::Host);
    }
    Ok(())
}

/// Reads the digits after the colon; no digits are allowed and mean no port.
fn read_port(digits: &[u8]) -> Result<Option<u16>, BadRequest> {
    if digits.is_empty() {
        return Ok(None);
    }
    if digits.len() > 5 {
        return Err(BadRequest::Host);
    }
    let mut port: u32 = 0;
    for &byte in digits {
        if !byte.is_ascii_digit() {
            return Err(BadRequest::Host);
        }
        port = port * 10 + u32::from(byte - b'0');
    }
    u16::try_from(port).map(Some).map_err(|_| BadRequest::Host)
}

/// Room for a name without an allocation.
const INLINE: usize = 48;
/// Longest name that DNS can hold (RFC 1035 section 2.3.4).
const HOST_BYTES_MAX: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::headers::fields;

    fn hosts(values: &[&str]) -> Headers {
        let lines: Vec<_> = values.iter().map(|value| ("host", *value)).collect();
        fields(&lines)
    }

    #[test]
    fn names_addresses_and_ports_are_read() {
        for (text, host, port, whole) in [
            ("shop.example", "shop.example", None, "shop.example"),
            (
                "Shop.Example:8080",
                "shop.example",
                Some(8080),
                "shop.example:8080",
            ),
            ("shop.example.", "shop.example", None, "shop.example"),
            ("shop.example.:1", "shop.example", Some(1), "shop.example:1"),
            ("shop.example:", "shop.example", None, "shop.example"),
            ("10.0.0.1:0", "10.0.0.1", Some(0), "10.0.0.1:0"),
            ("[::1]", "[::1]", None, "[::1]"),
            ("!$&'()*+,;=:1", "!$&'()*+,;=", Some(1), "!$&'()*+,;=:1"),
            ("[0:0:0:0:0:0:0:1]:443", "[::1]", Some(443), "[::1]:443"),
            ("[2001:DB8::A]", "[2001:db8::a]", None, "[2001:db8::a]"),
        ] {
            let authority = Authority::parse(text.as_bytes()).unwrap();
            assert_eq!(authority.host(), host, "{text}");
            assert_eq!(authority.port(), port, "{text}");
            assert_eq!(authority.as_str(), whole, "{text}");
        }
    }

    #[test]
    fn what_servers_read_differently_is_refused() {
        for text in [
            "",
            ".",
            "a..b",
            ".a",
            "user@host",
            "a b",
            "a/b",
            "a%2eb",
            "a\\b",
            "a:b",
            "a:65536",
            "a:+1",
            "a:000080",
            "::1",
            "[::1",
            "[::1]x",
            "[fe80::1%25eth0]",
            "[v1.a]",
            "a?b",
            "a#b",
            "a:1:2",
            "ä",
        ] {
            assert_eq!(
                Authority::parse(text.as_bytes()),
                Err(BadRequest::Host),
                "{text}"
            );
        }
        let long = "a".repeat(254);
        assert_eq!(Authority::parse(long.as_bytes()), Err(BadRequest::Host));
    }

    #[test]
    fn http_1_1_needs_exactly_one_host() {
        let read = |values: &[&str]| effective_authority(Version::HTTP_11, None, &hosts(values));
        assert_eq!(read(&["a"]).unwrap().unwrap().host(), "a");
        assert_eq!(read(&[]), Err(BadRequest::Host));
        assert_eq!(read(&["a", "a"]), Err(BadRequest::Host));
        assert_eq!(read(&["a", "b"]), Err(BadRequest::Host));
        let old = effective_authority(Version::HTTP_10, None, &hosts(&[]));
        assert_eq!(old, Ok(None));
    }

    #[test]
    fn absolute_form_wins_over_host_but_host_must_be_valid() {
        let read = |values: &[&str]| {
            effective_authority(Version::HTTP_11, Some("real.example"), &hosts(values))
        };
        assert_eq!(read(&["a"]).unwrap().unwrap().host(), "real.example");
        assert_eq!(read(&["a b"]), Err(BadRequest::Host));
        assert_eq!(read(&[]), Err(BadRequest::Host));
    }

    #[test]
    fn http_2_refuses_a_host_that_differs_from_the_authority() {
        let read = |target, values: &[&str]| {
            effective_authority(Version::HTTP_2, target, &hosts(values))
                .map(|found| found.map(|authority| authority.as_str().to_owned()))
        };
        assert_eq!(read(Some("A"), &["a"]), Ok(Some("a".into())));
        assert_eq!(read(None, &["a:1"]), Ok(Some("a:1".into())));
        assert_eq!(read(Some("a"), &[]), Ok(Some("a".into())));
        assert_eq!(read(Some("a"), &["b"]), Err(BadRequest::Host));
        assert_eq!(read(Some("a:1"), &["a:2"]), Err(BadRequest::Host));
        assert_eq!(read(None, &[]), Err(BadRequest::Host));
    }
}
