//! Comparison of the answer to a request with the answer to its copy.

use std::fmt;

use bytes::Bytes;
use http::{HeaderName, StatusCode};
use serde_json::Value;

use super::{
    body::BodySeen,
    json::{self, JsonPath},
};
use crate::semantics::{Headers, Known, grpc};

/// Parts of the answers that are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompareRules {
    /// The status, also that of a gRPC call.
    pub status: bool,
    /// Values of these headers.
    pub headers: Vec<HeaderName>,
    /// The body.
    pub body: BodyRule,
    /// Bytes of a body that is compared as JSON.
    pub body_max: usize,
}

/// Comparison of bodies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyRule {
    /// They may differ.
    Any,
    /// Byte for byte.
    Bytes,
    /// As JSON, without these members.
    Json(Vec<JsonPath>),
}

/// An answer, as far as it is compared.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Status of a gRPC call, once it is known.
    pub grpc_status: Option<u8>,
    /// Values of the compared headers, in the order of the rules.
    headers: Vec<Option<Bytes>>,
    /// Its content coding; empty if it has none.
    coding: Bytes,
    /// The body, where it is compared and came whole.
    pub body: Option<BodySeen>,
}

/// Result of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Likeness {
    /// They are the same.
    Equal,
    /// They differ; the first difference in words.
    Differ(String),
    /// They cannot be compared.
    Unknown,
}

impl CompareRules {
    /// Returns the number of bytes of a body that must be kept; none if the body is not compared.
    pub fn keeps(&self) -> Option<usize> {
        match self.body {
            BodyRule::Any => None,
            BodyRule::Bytes => Some(0),
            BodyRule::Json(_) => Some(self.body_max),
        }
    }
}

impl Answer {
    /// Takes the compared parts of a head.
    pub fn new(rules: &CompareRules, status: StatusCode, headers: &Headers) -> Self {
        let joined = |name: &HeaderName| {
            let values: Vec<&[u8]> = headers.get_all(name).map(|it| it.as_bytes()).collect();
            (!values.is_empty()).then(|| Bytes::from(values.join(&b", "[..])))
        };
        let coding = headers.get(Known::ContentEncoding);
        Self {
            status,
            grpc_status: grpc::status_in(headers),
            headers: rules.headers.iter().map(joined).collect(),
            coding: coding.map_or_else(Bytes::new, |it| Bytes::copy_from_slice(it.as_bytes())),
            body: None,
        }
    }
}

/// Compares the answer to a request with the answer to its copy.
pub fn compare(rules: &CompareRules, ours: &Answer, theirs: &Answer) -> Likeness {
    if rules.status && ours.status != theirs.status {
        let (ours, theirs) = (ours.status.as_u16(), theirs.status.as_u16());
        return Likeness::Differ(format!("status {ours}, of the copy {theirs}"));
    }
    if rules.status && ours.grpc_status != theirs.grpc_status {
        let [ours, theirs] = [ours, theirs].map(|it| GrpcStatus(it.grpc_status));
        return Likeness::Differ(format!("grpc-status {ours}, of the copy {theirs}"));
    }
    let both = ours.headers.iter().zip(&theirs.headers);
    let mut headers = rules.headers.iter().zip(both);
    if let Some((name, (ours, theirs))) = headers.find(|(_, (ours, theirs))| ours != theirs) {
        let why = match (ours, theirs) {
            (Some(_), None) => "the copy's answer has none",
            (None, Some(_)) => "only the copy's answer has it",
            // Values may be secrets.
            _ => "another value",
        };
        return Likeness::Differ(format!("header {name}: {why}"));
    }
    match &rules.body {
        BodyRule::Any => Likeness::Equal,
        BodyRule::Bytes => match (&ours.body, &theirs.body) {
            (Some(ours), Some(theirs)) => bytes(ours, theirs),
            _ => Likeness::Unknown,
        },
        BodyRule::Json(ignored) => json(rules, ignored, ours, theirs),
    }
}

fn bytes(ours: &BodySeen, theirs: &BodySeen) -> Likeness {
    if ours.is_same(theirs) {
        return Likeness::Equal;
    }
    let (ours, theirs) = (ours.length, theirs.length);
    Likeness::Differ(if ours == theirs {
        format!("body: other bytes ({ours} in both)")
    } else {
        format!("body: {ours} bytes, of the copy {theirs}")
    })
}

fn json(rules: &CompareRules, ignored: &[JsonPath], ours: &Answer, theirs: &Answer) -> Likeness {
    let (Some(our_body), Some(their_body)) = (&ours.body, &theirs.body) else {
        return Likeness::Unknown;
    };
    if ours.coding == theirs.coding && our_body.is_same(their_body) {
        return Likeness::Equal;
    }
    let decoded = [ours, theirs].map(|it| {
        let body = it.body.as_ref()?;
        body.decoded(&it.coding, rules.body_max)
    });
    let [Some(our_bytes), Some(their_bytes)] = decoded else {
        return Likeness::Unknown;
    };
    let parsed = [&our_bytes, &their_bytes].map(|it| serde_json::from_slice::<Value>(it));
    match parsed {
        [Ok(ours), Ok(theirs)] => match json::difference(&ours, &theirs, ignored) {
            None => Likeness::Equal,
            Some(path) => Likeness::Differ(format!("body: {path}")),
        },
        [Ok(_), Err(_)] => Likeness::Differ("body: the copy's is no JSON".to_owned()),
        [Err(_), Ok(_)] => Likeness::Differ("body: only the copy's is JSON".to_owned()),
        [Err(_), Err(_)] if our_bytes == their_bytes => Likeness::Equal,
        [Err(_), Err(_)] => Likeness::Differ(format!(
            "body: other bytes ({}, of the copy {})",
            our_bytes.len(),
            their_bytes.len()
        )),
    }
}

struct GrpcStatus(Option<u8>);

impl fmt::Display for GrpcStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(status) => write!(f, "{status}"),
            None => f.write_str("missing"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::BodyReader, *};
    use crate::semantics::headers::fields;

    fn answer(rules: &CompareRules, status: u16, lines: &[(&str, &str)], body: &str) -> Answer {
        let status = StatusCode::from_u16(status).unwrap();
        let mut answer = Answer::new(rules, status, &fields(lines));
        answer.body = rules.keeps().map(|bytes_max| {
            let mut reader = BodyReader::compared(bytes_max);
            reader.read(body.as_bytes());
            reader.end()
        });
        answer
    }

    fn rules(body: BodyRule) -> CompareRules {
        CompareRules {
            status: true,
            headers: vec![HeaderName::from_static("x-total")],
            body,
            body_max: 20,
        }
    }

    fn difference(rules: &CompareRules, ours: &Answer, theirs: &Answer) -> String {
        match compare(rules, ours, theirs) {
            Likeness::Differ(why) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn status_headers_and_body_are_compared_in_this_order() {
        let rules = rules(BodyRule::Bytes);
        let ours = answer(&rules, 200, &[("x-total", "1")], "a");
        let same = answer(&rules, 200, &[("x-total", "1"), ("date", "now")], "a");
        assert_eq!(compare(&rules, &ours, &same), Likeness::Equal);
        let other = answer(&rules, 500, &[], "b");
        assert_eq!(
            difference(&rules, &ours, &other),
            "status 200, of the copy 500"
        );
        let other = answer(&rules, 200, &[], "b");
        let told = difference(&rules, &ours, &other);
        assert_eq!(told, "header x-total: the copy's answer has none");
        let other = answer(&rules, 200, &[("x-total", "secret")], "b");
        let told = difference(&rules, &ours, &other);
        assert_eq!(told, "header x-total: another value");
        let other = answer(&rules, 200, &[("x-total", "1")], "ab");
        let told = difference(&rules, &ours, &other);
        assert_eq!(told, "body: 1 bytes, of the copy 2");
    }

    #[test]
    fn the_end_of_a_grpc_call_is_part_of_its_status() {
        let rules = rules(BodyRule::Any);
        let ours = answer(&rules, 200, &[("grpc-status", "0")], "");
        let theirs = answer(&rules, 200, &[("grpc-status", "13")], "");
        let told = difference(&rules, &ours, &theirs);
        assert_eq!(told, "grpc-status 0, of the copy 13");
    }

    #[test]
    fn json_is_compared_by_its_meaning_and_other_bodies_by_their_bytes() {
        let ignored = vec![JsonPath::parse("/at").unwrap()];
        let rules = rules(BodyRule::Json(ignored));
        let of = |body| answer(&rules, 200, &[], body);
        let ours = of(r#"{"a":1,"at":5}"#);
        let same = of(r#"{"at":6, "a" : 1}"#);
        assert_eq!(compare(&rules, &ours, &same), Likeness::Equal);
        assert_eq!(difference(&rules, &ours, &of(r#"{"a":2}"#)), "body: /a");
        let html = of("<p>");
        assert_eq!(
            difference(&rules, &ours, &html),
            "body: the copy's is no JSON"
        );
        assert_eq!(compare(&rules, &html, &of("<p>")), Likeness::Equal);
        let told = difference(&rules, &html, &of("<b>"));
        assert_eq!(told, "body: other bytes (3, of the copy 3)");
        let large = of(r#"{"a":"0123456789012345"}"#);
        assert_eq!(compare(&rules, &large, &large), Likeness::Equal);
        assert_eq!(
            compare(&rules, &large, &ours),
            Likeness::Unknown,
            "too large"
        );
    }
}
