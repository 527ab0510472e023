//! Invariants of every exchange, whatever a test is about.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::client::Answer;
use super::message::Seen;

/// The request ids of the answers that clients of one proxy got.
#[derive(Default)]
pub(crate) struct Ledger(Mutex<Vec<String>>);

impl Ledger {
    /// Checks an answer and keeps its request id.
    pub(crate) fn note(&self, answer: &Answer) {
        check_answer(answer);
        let mut ids = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ids.push(answer.field("x-request-id").to_owned());
    }

    /// Returns the fault of an access log: each noted id must be on exactly as many lines as there
    /// were answers with it. `None` if there is none.
    pub(crate) fn fault_in(&self, log: &[serde_json::Value]) -> Option<String> {
        let mut balance: HashMap<&str, i64> = HashMap::new();
        for line in log {
            let id = line["request_id"].as_str().unwrap_or_default();
            *balance.entry(id).or_default() += 1;
        }
        let ids = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut wanted: HashMap<&str, i64> = HashMap::new();
        for id in ids.iter() {
            *wanted.entry(id).or_default() += 1;
        }
        wanted.into_iter().find_map(|(id, count)| {
            let lines = balance.get(id).copied().unwrap_or_default();
            (lines != count).then(|| format!("{lines} lines for {count} answers with id {id}"))
        })
    }
}

/// Fields of one connection that must not pass an intermediary (RFC 9110 section 7.6.1).
const HOP_BY_HOP: [&str; 4] = ["keep-alive", "proxy-connection", "te", "proxy"];

/// Checks an answer that a client received.
fn check_answer(answer: &Answer) {
    for name in HOP_BY_HOP {
        assert!(
            !answer.fields.has(name),
            "{name} reached the client: {answer:?}"
        );
    }
    let connection = answer.field("connection").to_ascii_lowercase();
    let allowed: &[&str] = match answer.status {
        101 => &["upgrade"],
        // An endpoint may forget the field that the status requires.
        426 if answer.fields.has("upgrade") => &["upgrade", "close", "keep-alive"],
        _ => &["", "close", "keep-alive"],
    };
    assert!(
        allowed.contains(&connection.as_str()),
        "Connection of the upstream reached the client: {answer:?}"
    );
    assert!(
        answer.status == 101 || answer.status == 426 || !answer.fields.has("upgrade"),
        "Upgrade reached the client: {answer:?}"
    );
    assert_eq!(
        answer.fields.all("x-request-id").len(),
        1,
        "one X-Request-Id: {answer:?}"
    );
    // An informational answer needs none (RFC 9110 section 6.6.1).
    let dates = answer.fields.all("date").len();
    assert!(answer.status < 200 || dates == 1, "one Date: {answer:?}");
}

/// Checks a request that an upstream server received.
pub(crate) fn check_forwarded(seen: &Seen) {
    let upgrade = seen.fields.has("upgrade");
    for name in [
        "keep-alive",
        "proxy-connection",
        "proxy",
        "proxy-authorization",
    ] {
        assert!(
            !seen.fields.has(name),
            "{name} reached the endpoint: {seen:?}"
        );
    }
    let te = seen.field("te");
    assert!(te.is_empty() || te == "trailers", "TE: {seen:?}");
    let mut options = seen.fields.all("connection").join(",").to_ascii_lowercase();
    // A field of this hop is there if it is listed, and the reverse; HTTP/2 has no such list.
    let is_http2 = seen.fields.has(":authority");
    let lists_te = options.split(',').any(|option| option.trim() == "te");
    assert_eq!(lists_te, te == "trailers" && !is_http2, "TE: {seen:?}");
    if lists_te {
        let others = options.split(',').filter(|option| option.trim() != "te");
        options = others.collect::<Vec<_>>().join(",");
    }
    let fits = match options.trim() {
        "" | "keep-alive" | "close" => !upgrade,
        "upgrade" => upgrade,
        _ => false,
    };
    assert!(
        fits,
        "Connection of the client reached the endpoint: {seen:?}"
    );
    assert_eq!(seen.fields.all("host").len(), 1, "one Host: {seen:?}");
    for name in [
        "x-request-id",
        "via",
        "x-forwarded-for",
        "x-forwarded-proto",
    ] {
        assert!(seen.fields.has(name), "{name} at the endpoint: {seen:?}");
    }
    assert!(
        !(seen.fields.has("content-length") && seen.fields.has("transfer-encoding")),
        "two framings: {seen:?}"
    );
}
