//! Version 1: `PROXY TCP4 192.0.2.7 198.51.100.1 51234 443`, ended by CR LF.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Ends, Header, Malformed};

pub(super) fn parse(received: &[u8]) -> Result<Option<(Header, usize)>, Malformed> {
    let known = received.len().min(PREFIX.len());
    if received[..known] != PREFIX[..known] {
        return Err(Malformed);
    }
    let within = &received[..received.len().min(LINE_MAX)];
    let Some(end) = memchr::memchr(b'\n', within) else {
        return if within.len() == LINE_MAX {
            Err(Malformed)
        } else {
            Ok(None)
        };
    };
    let line = received[..end].strip_suffix(b"\r").ok_or(Malformed)?;
    let line = line.strip_prefix(PREFIX).ok_or(Malformed)?;
    let line = std::str::from_utf8(line).map_err(|_| Malformed)?;
    Ok(Some((header(line)?, end + 1)))
}

pub(super) fn encode(header: &Header) -> Vec<u8> {
    let ends = match header {
        // Version 1 has no word for the sender's own connections.
        Header::Local | Header::Unknown => return b"PROXY UNKNOWN\r\n".to_vec(),
        Header::Ends(ends) => ends.aligned(),
    };
    let family = if ends.source.is_ipv4() {
        "TCP4"
    } else {
        "TCP6"
    };
    format!(
        "PROXY {family} {} {} {} {}\r\n",
        ends.source.ip(),
        ends.destination.ip(),
        ends.source.port(),
        ends.destination.port()
    )
    .into_bytes()
}

fn header(line: &str) -> Result<Header, Malformed> {
    let mut words = line.split(' ');
    let family = words.next().unwrap_or_default();
    // What follows UNKNOWN is to be ignored.
    if family == "UNKNOWN" {
        return Ok(Header::Unknown);
    }
    let address: fn(&str) -> Option<IpAddr> = match family {
        "TCP4" => |word| word.parse::<Ipv4Addr>().ok().map(IpAddr::from),
        "TCP6" => |word| word.parse::<Ipv6Addr>().ok().map(IpAddr::from),
        _ => return Err(Malformed),
    };
    let mut next = || words.next().ok_or(Malformed);
    let (source, destination) = (next()?, next()?);
    let (source_port, destination_port) = (next()?, next()?);
    if words.next().is_some() {
        return Err(Malformed);
    }
    let end = |ip: &str, port: &str| {
        let ip = address(ip).ok_or(Malformed)?;
        Ok(SocketAddr::new(ip, number(port)?))
    };
    Ok(Header::Ends(Ends {
        source: end(source, source_port)?,
        destination: end(destination, destination_port)?,
    }))
}

/// Reads a port in decimal digits, without a sign or leading zeros.
fn number(word: &str) -> Result<u16, Malformed> {
    let plain = word.bytes().all(|byte| byte.is_ascii_digit());
    if !plain || (word.len() > 1 && word.starts_with('0')) {
        return Err(Malformed);
    }
    word.parse().map_err(|_| Malformed)
}

const PREFIX: &[u8] = b"PROXY ";

/// Maximum length of a line with its end.
const LINE_MAX: usize = 107;
