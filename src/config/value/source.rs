//! Parts of an exchange that a key or a log field is taken from: `"header:x-user"`.

use std::fmt;

use http::HeaderName;

use super::{Mismatch, header};
use crate::config::value::nearest::alternatives;

/// Input of a hashing picker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashKey {
    /// The address of the client.
    ClientIp,
    /// The path of the request.
    Path,
    /// A header of the request.
    Header(HeaderName),
    /// A cookie of the request.
    Cookie(String),
    /// A parameter of the query.
    Query(String),
}

impl HashKey {
    /// Parses a key.
    ///
    /// # Errors
    ///
    /// Names the valid kinds of key.
    pub fn parse(text: &str) -> Result<Self, Mismatch> {
        match text.split_once(':') {
            None if text == "client_ip" => return Ok(Self::ClientIp),
            None if text == "path" => return Ok(Self::Path),
            Some(("header", name)) => return header::name(name).map(Self::Header),
            Some(("cookie", name)) if is_plain(name) => return Ok(Self::Cookie(name.to_owned())),
            Some(("query", name)) if !name.is_empty() => return Ok(Self::Query(name.to_owned())),
            _ => {}
        }
        let kinds = [
            "client_ip",
            "path",
            "header:NAME",
            "cookie:NAME",
            "query:NAME",
        ];
        Err(Mismatch::new(
            format!("\"{text}\" is not a key to hash"),
            alternatives("allowed", text, &kinds),
        ))
    }
}

impl fmt::Display for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClientIp => f.write_str("client_ip"),
            Self::Path => f.write_str("path"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Cookie(name) => write!(f, "cookie:{name}"),
            Self::Query(name) => write!(f, "query:{name}"),
        }
    }
}

/// Source of an additional field of the access log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldSource {
    /// A header of the request.
    RequestHeader(HeaderName),
    /// A header of the response.
    ResponseHeader(HeaderName),
    /// The country of the client.
    GeoCountry,
    /// The number of the client's autonomous system.
    GeoAsn,
}

impl FieldSource {
    /// Parses a source.
    ///
    /// # Errors
    ///
    /// Names the valid kinds of source.
    pub fn parse(text: &str) -> Result<Self, Mismatch> {
        match text.split_once(':') {
            None if text == "geo.country" => Ok(Self::GeoCountry),
            None if text == "geo.asn" => Ok(Self::GeoAsn),
            Some(("header", name)) => header::name(name).map(Self::RequestHeader),
            Some(("response_header", name)) => header::name(name).map(Self::ResponseHeader),
            _ => Err(Mismatch::new(
                format!("\"{text}\" is not a source of a log field"),
                alternatives("allowed", text, &FIELD_SOURCES),
            )),
        }
    }
}

impl fmt::Display for FieldSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RequestHeader(name) => write!(f, "header:{name}"),
            Self::ResponseHeader(name) => write!(f, "response_header:{name}"),
            Self::GeoCountry => f.write_str("geo.country"),
            Self::GeoAsn => f.write_str("geo.asn"),
        }
    }
}

/// Sources of fields, as they are written.
const FIELD_SOURCES: [&str; 4] = [
    "header:NAME",
    "response_header:NAME",
    "geo.country",
    "geo.asn",
];

/// Tells whether `name` can be the name of a cookie.
fn is_plain(name: &str) -> bool {
    header::name(name).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_printed() {
        for text in [
            "client_ip",
            "path",
            "header:x-user",
            "cookie:sid",
            "query:id",
        ] {
            assert_eq!(HashKey::parse(text).unwrap().to_string(), text);
        }
        for text in ["header:a", "response_header:b", "geo.country", "geo.asn"] {
            assert_eq!(FieldSource::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn strangers_are_refused() {
        for text in [
            "",
            "clientip",
            "header:",
            "header:a b",
            "cookie:",
            "query:",
            "jwt:sub",
        ] {
            assert!(HashKey::parse(text).is_err(), "{text}");
        }
        assert!(FieldSource::parse("cookie:a").is_err());
    }
}
