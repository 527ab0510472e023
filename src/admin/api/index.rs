//! Index of the API, for people and for programs.

use std::fmt::Write;

use http::StatusCode;

use super::super::openapi;
use super::super::reply::{self, Reply};
use super::super::{
    entries::{ENTRIES, PLAIN},
    router::Access,
};

/// `GET /`
pub(super) fn text() -> Reply {
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
