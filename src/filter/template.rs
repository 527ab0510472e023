//! Texts with `{places}` that are filled from an exchange.
//!
//! A value that the client wrote stays what it is: in a field it cannot begin another one, since
//! the whole is checked as one value; in the target of a redirect and in a body it is escaped.

use std::io::Write as _;

use regex::Regex;

use super::escape::{self, Form};
use crate::{
    config::value::{Placeholder, Template, template::Piece},
    exchange::Exchange,
    semantics::{Headers, cookie, path::normalise, query},
};

/// Parts of a message that a template may name besides the exchange.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scope<'a> {
    /// The path, without query.
    pub path: &'a str,
    /// The query, without `?`.
    pub query: Option<&'a str>,
    /// The method.
    pub method: &'a str,
    /// The fields of the request.
    pub said: Said<'a>,
}

/// Fields of the request, as far as they are still there.
#[derive(Clone, Copy, Debug, Default)]
pub enum Said<'a> {
    /// None.
    #[default]
    Nothing,
    /// All of them.
    Fields(&'a Headers),
    /// Those kept for the answer.
    Kept(&'a [(Placeholder, Vec<u8>)]),
}

/// Fills a template; none if the values are too long in all. One without a value is left empty.
pub fn render(
    template: &Template,
    exchange: &Exchange,
    scope: Scope<'_>,
    form: Form,
) -> Option<Vec<u8>> {
    fill(template, form, |place, out| {
        put(place, exchange, scope, out);
    })
}

/// Fills a template with the values that `put` adds; none if they are too long in all.
pub fn fill(
    template: &Template,
    form: Form,
    mut put: impl FnMut(&Placeholder, &mut Vec<u8>),
) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let mut filled = 0;
    for piece in template.pieces() {
        match piece {
            Piece::Text(literal) => text.extend_from_slice(literal.as_bytes()),
            Piece::Fill(place) => {
                let start = text.len();
                put(place, &mut text);
                escape::value(&mut text, start, place, form);
                filled += text.len() - start;
                if filled > FILLED_BYTES_MAX {
                    return None;
                }
            }
        }
    }
    Some(text)
}

fn put(place: &Placeholder, exchange: &Exchange, scope: Scope<'_>, out: &mut Vec<u8>) {
    let text = match place {
        Placeholder::ClientIp => {
            let _ = write!(out, "{}", exchange.client_ip());
            return;
        }
        Placeholder::ClientPort => {
            if let Some(port) = exchange.client_port() {
                let _ = write!(out, "{port}");
            }
            return;
        }
        Placeholder::GeoCountry => {
            if let Some(country) = exchange.snapshot.shared.country(exchange.client_ip()) {
                out.extend_from_slice(country.as_str().as_bytes());
            }
            return;
        }
        Placeholder::GeoAsn => {
            if let Some(asn) = exchange.snapshot.shared.asn(exchange.client_ip()) {
                let _ = write!(out, "{asn}");
            }
            return;
        }
        Placeholder::Query => return put_query(scope.query, out),
        Placeholder::Claim(_) => {
            let claim = exchange.claim(place.part());
            out.extend_from_slice(claim.as_deref().unwrap_or_default().as_bytes());
            return;
        }
        Placeholder::Header(..) | Placeholder::Cookie(_) => return scope.said.put(place, out),
        Placeholder::Parameter(_) => return put_parameter(scope.query, place.part(), out),
        Placeholder::Group(_) => {
            let target = exchange.target();
            let path = target.split_once('?').map_or(target, |(path, _)| path);
            return put_group(exchange.path_regex(), path, place.part(), out);
        }
        Placeholder::RequestId => Some(exchange.request_id()),
        Placeholder::Host => Some(exchange.host()),
        Placeholder::HostPort => Some(exchange.host_port()),
        Placeholder::Listener => Some(exchange.listener_name()),
        Placeholder::Route => exchange.route_name(),
        Placeholder::Pool => exchange.pool_name(),
        Placeholder::Endpoint => exchange.endpoint(),
        Placeholder::Version => exchange.version(),
        Placeholder::Path => Some(scope.path),
        Placeholder::Scheme => Some(exchange.scheme().as_str()),
        Placeholder::TlsSubject => exchange.tls_subject(),
        Placeholder::AuthUser => exchange.user(),
        Placeholder::Method => Some(scope.method),
    };
    out.extend_from_slice(text.unwrap_or_default().as_bytes());
}

impl Said<'_> {
    /// Adds the value of a header or cookie; the lines of a header are joined as RFC 9110 section
    /// 5.3 has it.
    pub(crate) fn put(self, place: &Placeholder, out: &mut Vec<u8>) {
        match (self, place) {
            (Self::Fields(headers), Placeholder::Header(_, name)) => {
                for (number, line) in headers.get_all(name).enumerate() {
                    if number > 0 {
                        out.extend_from_slice(b", ");
                    }
                    out.extend_from_slice(line.as_bytes());
                }
            }
            (Self::Fields(headers), Placeholder::Cookie(_)) => {
                let found = cookie::find(headers, place.part());
                out.extend_from_slice(found.unwrap_or_default());
            }
            (Self::Kept(kept), place) => {
                let found = kept.iter().find(|(known, _)| known == place);
                out.extend_from_slice(found.map_or(&[], |(_, value)| value));
            }
            (Self::Nothing | Self::Fields(_), _) => {}
        }
    }
}

/// Adds a query with its `?`.
pub(crate) fn put_query(query: Option<&str>, out: &mut Vec<u8>) {
    if let Some(query) = query {
        out.push(b'?');
        out.extend_from_slice(query.as_bytes());
    }
}

/// Adds the decoded value of a parameter.
pub(crate) fn put_parameter(query: Option<&str>, name: &str, out: &mut Vec<u8>) {
    if let Some(value) = query::find(query.map(str::as_bytes), name) {
        out.extend(value);
    }
}

/// Adds a group of a route's regular expression, matched as the route was.
pub(crate) fn put_group(regex: Option<&Regex>, path: &str, group: &str, out: &mut Vec<u8>) {
    let (Some(regex), Ok(path)) = (regex, normalise(path.as_bytes())) else {
        return;
    };
    let Some(groups) = regex.captures(path.as_str()) else {
        return;
    };
    let found = match group.parse() {
        Ok(number) => groups.get(number),
        Err(_) => groups.name(group),
    };
    out.extend_from_slice(found.map_or("", |it| it.as_str()).as_bytes());
}

/// Maximum length of all values in one text: half of what a request head may have by default.
const FILLED_BYTES_MAX: usize = 32 << 10;
