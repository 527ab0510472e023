//! Version 2: signature, command, family, length, addresses, additional fields.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Ends, HEADER_MAX, Header, Malformed};

pub(super) fn parse(received: &[u8]) -> Result<Option<(Header, usize)>, Malformed> {
    let known = received.len().min(SIGNATURE.len());
    if received[..known] != SIGNATURE[..known] {
        return Err(Malformed);
    }
    let Some((front, rest)) = received.split_first_chunk::<FRONT>() else {
        return Ok(None);
    };
    let [.., command, family, high, low] = *front;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if FRONT + length > HEADER_MAX || !matches!(command, LOCAL | PROXY) || !is_family(family) {
        return Err(Malformed);
    }
    let Some(body) = rest.get(..length) else {
        return Ok(None);
    };
    let header = match (command, family) {
        (LOCAL, _) => Header::Local,
        (_, TCP4) => Header::Ends(ends4(body).ok_or(Malformed)?),
        (_, TCP6) => Header::Ends(ends6(body).ok_or(Malformed)?),
        (_, UNIX_STREAM) if length < UNIX_BYTES => return Err(Malformed),
        // Unix sockets have no address that could be a client's, and datagrams none that
        // could be this client's.
        _ => Header::Unknown,
    };
    Ok(Some((header, FRONT + length)))
}

pub(super) fn encode(header: &Header) -> Vec<u8> {
    let mut out = SIGNATURE.to_vec();
    match header {
        Header::Local => out.extend([LOCAL, UNSPECIFIED, 0, 0]),
        Header::Unknown => out.extend([PROXY, UNSPECIFIED, 0, 0]),
        Header::Ends(ends) => {
            let ends = ends.aligned();
            match (ends.source, ends.destination) {
                (SocketAddr::V4(source), SocketAddr::V4(destination)) => {
                    out.extend([PROXY, TCP4, 0, 12]);
                    out.extend(source.ip().octets());
                    out.extend(destination.ip().octets());
                }
                (SocketAddr::V6(source), SocketAddr::V6(destination)) => {
                    out.extend([PROXY, TCP6, 0, 36]);
                    out.extend(source.ip().octets());
                    out.extend(destination.ip().octets());
                }
                // Aligned ends are of one family.
                _ => return encode(&Header::Unknown),
            }
            out.extend(ends.source.port().to_be_bytes());
            out.extend(ends.destination.port().to_be_bytes());
        }
    }
    out
}

fn ends4(body: &[u8]) -> Option<Ends> {
    let (source, body) = body.split_first_chunk::<4>()?;
    let (destination, body) = body.split_first_chunk::<4>()?;
    let (source_port, destination_port) = ports(body)?;
    Some(Ends {
        source: SocketAddr::new(Ipv4Addr::from(*source).into(), source_port),
        destination: SocketAddr::new(Ipv4Addr::from(*destination).into(), destination_port),
    })
}

fn ends6(body: &[u8]) -> Option<Ends> {
    let (source, body) = body.split_first_chunk::<16>()?;
    let (destination, body) = body.split_first_chunk::<16>()?;
    let (source_port, destination_port) = ports(body)?;
    Some(Ends {
        source: SocketAddr::new(Ipv6Addr::from(*source).into(), source_port),
        destination: SocketAddr::new(Ipv6Addr::from(*destination).into(), destination_port),
    })
}

fn ports(body: &[u8]) -> Option<(u16, u16)> {
    let (source, body) = body.split_first_chunk::<2>()?;
    let (destination, _) = body.split_first_chunk::<2>()?;
    Some((
        u16::from_be_bytes(*source),
        u16::from_be_bytes(*destination),
    ))
}

/// Tells whether the byte is a valid family: unspecified, IPv4, IPv6 or unix in the high half;
/// unspecified, stream or datagram in the low half.
fn is_family(byte: u8) -> bool {
    byte >> 4 <= 3 && byte & 0xf <= 2
}

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Size of signature, command, family and length.
const FRONT: usize = 16;
const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
const UNSPECIFIED: u8 = 0x00;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;
const UNIX_STREAM: u8 = 0x31;
/// Size of two paths.
const UNIX_BYTES: usize = 216;
