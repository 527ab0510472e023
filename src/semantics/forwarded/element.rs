//! The syntax of `Forwarded` (RFC 7239 section 4) and of the addresses in it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::semantics::quoted::{split_unquoted, unquote};

/// One hop of a `Forwarded` field; its values as written, without quotes, empty when there is
/// none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Element<'a> {
    /// The `for` parameter.
    pub(super) node: &'a [u8],
    /// The `proto` parameter.
    pub(super) proto: &'a [u8],
    /// The `host` parameter.
    pub(super) host: &'a [u8],
}

/// The elements of a line from right to left, as each was added. Commas in quotes do not count.
///
/// Text on the left, which anybody may have sent, does not change the reading of what a proxy has
/// appended: quotes are paired from the right.
pub(super) fn elements_from_right(line: &[u8]) -> impl Iterator<Item = Element<'_>> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let left = rest?;
        let (before, element) = split_last_unquoted(left);
        rest = before;
        Some(read_element(element))
    })
}

fn read_element(element: &[u8]) -> Element<'_> {
    let mut read = Element::default();
    let mut parameters = element;
    while !parameters.is_empty() {
        let (parameter, tail) = split_unquoted(parameters, b';');
        parameters = tail;
        if let Some(value) = value_of(parameter, b"for") {
            read.node = value;
        } else if let Some(value) = value_of(parameter, b"proto") {
            read.proto = value;
        } else if let Some(value) = value_of(parameter, b"host") {
            read.host = value;
        }
    }
    read
}

/// Splits at the last comma that is not in quotes; the comma itself is removed.
fn split_last_unquoted(line: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let mut quoted = false;
    for (at, &byte) in line.iter().enumerate().rev() {
        match byte {
            b'"' if quoted => {
                let before = &line[..at];
                let escapes = before.iter().rev().take_while(|byte| **byte == b'\\');
                // An odd number of them makes the quote a part of the text.
                quoted = escapes.count() % 2 == 1;
            }
            b'"' => quoted = true,
            b',' if !quoted => return (Some(&line[..at]), &line[at + 1..]),
            _ => {}
        }
    }
    (None, line)
}

/// Reads an address with or without port, brackets and quotes; none for the names and obfuscated
/// identifiers of RFC 7239 section 6.
pub(super) fn parse_node(node: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(unquote(node.trim_ascii())).ok()?;
    let bracketed = || {
        text.strip_prefix('[')?
            .strip_suffix(']')?
            .parse::<Ipv6Addr>()
            .ok()
    };
    let with_port = || text.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    let address = text.parse::<IpAddr>().ok();
    let address = address
        .or_else(|| bracketed().map(IpAddr::V6))
        .or_else(with_port)
        .or_else(|| obfuscated_port(text).map(IpAddr::V4))?;
    Some(address.to_canonical())
}

/// `192.0.2.1:_port`
fn obfuscated_port(text: &str) -> Option<Ipv4Addr> {
    let (address, _) = text.split_once(":_")?;
    address.parse().ok()
}

/// Returns the value of a `name=value` pair with this name.
fn value_of<'a>(parameter: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let equals = memchr::memchr(b'=', parameter)?;
    let (key, value) = parameter.split_at(equals);
    key.trim_ascii()
        .eq_ignore_ascii_case(name)
        .then(|| unquote(value[1..].trim_ascii()))
}
