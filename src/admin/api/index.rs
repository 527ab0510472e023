//! Index of the API, for people, for browsers and for programs.

use std::fmt::Write;

use http::StatusCode;
use http::header::{ACCEPT, VARY};

use super::super::dashboard;
use super::super::openapi;
use super::super::reply::{self, Reply};
use super::super::{
    entries::{ENTRIES, PLAIN},
    router::Access,
};
use super::ApiCall;

/// `GET /`: the dashboard for a browser, else the list of entries.
pub(super) fn index(call: &ApiCall) -> Reply {
    let accepted = call.request.headers().get(ACCEPT);
    let accepted = accepted.and_then(|value| value.to_str().ok());
    let mut reply = match accepted {
        Some(accepted) if accepted.contains("text/html") => dashboard::page(),
        _ => text(),
    };
    let vary = http::HeaderValue::from_static("accept");
    reply.headers_mut().insert(VARY, vary);
    reply
}

/// `GET /dashboard/{file}`
pub(super) fn asset(call: &ApiCall) -> Reply {
    let name = call.parameter(0);
    dashboard::file(&name).unwrap_or_else(|| {
        let sentence = format!("the dashboard has no file {name:?}");
        reply::error(StatusCode::NOT_FOUND, sentence)
    })
}

fn text() -> Reply {
    let version = env!("CARGO_PKG_VERSION");
    let mut text = format!("Sluicegate {version}, admin API\n\n");
    for entry in ENTRIES {
        let token = match entry.access {
            Access::Change => " (needs the token)",
            Access::Open | Access::Read => "",
        };
        let (verb, path, summary) = (entry.verb.name(), entry.path, entry.summary);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{verb:4} {path:40} {summary}{token}");
    }
    reply::text(PLAIN, text)
}

/// `GET /openapi.json`
pub(super) fn open_api() -> Reply {
    reply::json(StatusCode::OK, &openapi::document())
}
