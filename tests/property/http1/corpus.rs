//! The corpus of hostile and of odd requests: what becomes of each, and what hyper says.
//!
//! A case is `name | verdict | bytes`, the bytes in Rust's escapes. Verdicts:
//! - `accept "body" "left"`: the head and the body are read, with so many bytes left;
//! - `looser "body" "left"`: the same, though hyper refuses it for a byte of its target;
//! - `refuse Rule`: refused by that rule, and hyper refuses it too;
//! - `stricter Rule`: refused by that rule although hyper reads it as a request;
//! - `wait`: no end of the head or the body yet.

use std::fs;
use std::path::Path;

use bytes::BytesMut;
use sluicegate::{
    failure::BadRequest,
    http1::{BodyDecoder, HeadLimits, RequestHead, parse_request_head},
};

use super::differential::{self, Seen};
use super::{Body, decode};

/// One line of the corpus.
struct Case {
    name: String,
    verdict: String,
    bytes: Vec<u8>,
}

/// The codec's result for the first request in some bytes.
pub(crate) enum Ours {
    Accepted(Box<(RequestHead, Body, Vec<u8>)>),
    Refused(BadRequest),
    Waiting,
}

/// Reads one request with its body.
pub(crate) fn ours(bytes: &[u8]) -> Ours {
    let mut buffer = BytesMut::from(bytes);
    let limits = HeadLimits::default();
    let head = match parse_request_head(&mut buffer, &mut 0, &limits) {
        Ok(Some(head)) => head,
        Ok(None) => return Ours::Waiting,
        Err(rule) => return Ours::Refused(rule),
    };
    let mut decoder = BodyDecoder::new(head.framing, &limits);
    let mut body = Body::default();
    match decode(&mut decoder, &mut buffer, &mut body) {
        Ok(()) if body.done => Ours::Accepted(Box::new((head, body, buffer.to_vec()))),
        Ok(()) => Ours::Waiting,
        Err(fault) => Ours::Refused(fault.of_request()),
    }
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/property/http1/corpus");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
        .iter()
        .flat_map(|file| {
            let stem = file.file_stem().unwrap().to_str().unwrap().to_owned();
            let text = fs::read_to_string(file).unwrap();
            let lines = text
                .lines()
                .filter(|line| !line.is_empty() && !line.starts_with("# "));
            lines.map(|line| read_case(&stem, line)).collect::<Vec<_>>()
        })
        .collect()
}

fn read_case(stem: &str, line: &str) -> Case {
    let mut parts = line.splitn(3, " | ");
    let mut part = || parts.next().unwrap_or_else(|| panic!("{stem}: {line}"));
    let name = format!("{stem}: {}", part());
    let verdict = part().to_owned();
    Case {
        name,
        verdict,
        bytes: unescape(part()),
    }
}

/// Reads `\r \n \t \0 \\ \xNN`; everything else stands for itself.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let (byte, length) = match (first, after) {
            (b'\\', [b'r', ..]) => (b'\r', 2),
            (b'\\', [b'n', ..]) => (b'\n', 2),
            (b'\\', [b't', ..]) => (b'\t', 2),
            (b'\\', [b'0', ..]) => (0, 2),
            (b'\\', [b'\\', ..]) => (b'\\', 2),
            (b'\\', [b'x', high, low, ..]) => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).unwrap();
                (u8::from_str_radix(digits, 16).unwrap(), 4)
            }
            (b'\\', _) => panic!("bad escape in {text}"),
            (byte, _) => (*byte, 1),
        };
        bytes.push(byte);
        rest = &rest[length..];
    }
    bytes
}

/// The verdict in the words of the corpus.
fn verdict(ours: &Ours, hyper: Option<&Seen>) -> String {
    match ours {
        Ours::Accepted(request) => {
            let (head, body, left) = &**request;
            let kind = if hyper.is_none() && head.odd_target {
                "looser"
            } else {
                "accept"
            };
            format!(
                "{kind} \"{}\" \"{}\"",
                body.data.escape_ascii(),
                left.escape_ascii()
            )
        }
        Ours::Refused(rule) if hyper.is_some() => format!("stricter {rule:?}"),
        Ours::Refused(rule) => format!("refuse {rule:?}"),
        Ours::Waiting => "wait".to_owned(),
    }
}

#[tokio::test]
async fn every_case_has_its_verdict_and_hyper_agrees_where_it_is_accepted() {
    let cases = cases();
    assert!(cases.len() >= 150, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let ours = ours(&case.bytes);
        let hyper = differential::hyper(&case.bytes).await;
        let verdict = verdict(&ours, hyper.as_ref());
        if verdict != case.verdict {
            wrong.push(format!(
                "{}: {} instead of {}",
                case.name, verdict, case.verdict
            ));
        }
        differential::agree(&case.name, &case.bytes, &ours, hyper.as_ref());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn cases_arriving_byte_by_byte_are_no_more_acceptable() {
    for case in cases() {
        let whole = matches!(ours(&case.bytes), Ours::Accepted(_));
        let (mut buffer, mut scanned) = (BytesMut::new(), 0);
        let mut decoder = None;
        let (mut body, mut fault) = (Body::default(), false);
        for byte in &case.bytes {
            buffer.extend_from_slice(&[*byte]);
            if decoder.is_none() {
                match parse_request_head(&mut buffer, &mut scanned, &HeadLimits::default()) {
                    Ok(Some(head)) => {
                        decoder = Some(BodyDecoder::new(head.framing, &HeadLimits::default()));
                    }
                    Ok(None) => {}
                    Err(_) => fault = true,
                }
            }
            if let Some(decoder) = &mut decoder {
                fault |= decode(decoder, &mut buffer, &mut body).is_err();
            }
            if fault || body.done {
                break;
            }
        }
        assert_eq!(body.done && !fault, whole, "{}", case.name);
    }
}
