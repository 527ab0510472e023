//! Routing of a request to its entry in the table.

use http::Method;
use schemars::{Schema, SchemaGenerator};

use super::{
    entries::ENTRIES,
    operations::{EndpointAction, RolloutAction},
};

/// One line of the table.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) verb: Verb,
    /// A segment in braces is a parameter.
    pub(super) path: &'static str,
    pub(super) action: Action,
    pub(super) access: Access,
    pub(super) answer: Answer,
    pub(super) summary: &'static str,
}

/// Answer of an entry, if nothing prevents it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    /// Text of this media type.
    Text(&'static str),
    /// JSON of this schema.
    Json(SchemaOf),
    /// Server-sent events whose data has this schema; a list of them as JSON, by `Accept`.
    Events(SchemaOf),
}

/// Returns the schema of a type, and adds the definitions that it needs.
pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// Methods in use; HEAD is answered wherever GET is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Post,
}

/// Clients with access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Anyone who reaches the socket: orchestrators probe without credentials.
    Open,
    /// Reading: with the token, or without one from this machine.
    Read,
    /// Changing something: with the token only.
    Change,
}

/// Part of the table that a server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of it.
    Whole,
    /// Metrics and the two probes, for anyone.
    Metrics,
}

/// Action of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Index,
    Asset,
    Overview,
    Certificates,
    OpenApi,
    Live,
    Ready,
    Metrics,
    Status,
    Config,
    Origins,
    Listeners,
    Routes,
    Pools,
    Pool,
    Connections,
    Requests,
    Request,
    Events,
    Explain,
    Check,
    Diff,
    Reload,
    Upgrade,
    Drain,
    Maintenance,
    Endpoint(EndpointAction),
    Caches,
    PurgeCache,
    Rollouts,
    Rollout,
    ChangeRollout(RolloutAction),
}

/// Result of looking a request up in the table.
#[derive(Debug)]
pub(super) enum Routed {
    /// Found, with the values of the parameters in order.
    Found(&'static Entry, Vec<String>),
    /// The path exists, for another method.
    WrongMethod { allow: &'static str },
    /// The path does not exist.
    NotFound,
}

/// Finds the entry of a request.
pub(super) fn route(method: &Method, path: &str) -> Routed {
    let mut allow = None;
    for entry in ENTRIES {
        let Some(parameters) = matches(entry.path, path) else {
            continue;
        };
        if entry.verb.answers(method) {
            return Routed::Found(entry, parameters);
        }
        allow = Some(entry.verb.allow());
    }
    allow.map_or(Routed::NotFound, |allow| Routed::WrongMethod { allow })
}

impl Verb {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }

    fn allow(self) -> &'static str {
        match self {
            Self::Get => "GET, HEAD",
            Self::Post => "POST",
        }
    }

    fn answers(self, method: &Method) -> bool {
        match self {
            Self::Get => method == Method::GET || method == Method::HEAD,
            Self::Post => method == Method::POST,
        }
    }
}

impl Entry {
    /// Returns true if a server of this scope has the entry.
    pub(super) fn is_in(&self, scope: Scope) -> bool {
        match scope {
            Scope::Whole => true,
            Scope::Metrics => matches!(self.action, Action::Live | Action::Ready | Action::Metrics),
        }
    }

    /// Names of the parameters in the path.
    pub(super) fn parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(parameter)
    }
}

fn parameter(segment: &'static str) -> Option<&'static str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

/// Compares segment by segment; decodes only afterwards, so that an encoded slash stays inside its
/// parameter (`unix:%2Frun%2Fapp.sock` is an address).
fn matches(pattern: &'static str, path: &str) -> Option<Vec<String>> {
    let mut parameters = Vec::new();
    let mut given = path.split('/');
    for wanted in pattern.split('/') {
        let segment = given.next()?;
        if parameter(wanted).is_some() {
            let decoded = decode(segment)?;
            if decoded.is_empty() {
                return None;
            }
            parameters.push(decoded);
        } else if wanted != segment {
            return None;
        }
    }
    given.next().is_none().then_some(parameters)
}

/// Percent-decodes; none if the result is not UTF-8 or an escape is malformed.
pub(super) fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        rest = after;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        bytes.push(u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(method: &Method, path: &str) -> Option<(Action, Vec<String>)> {
        match route(method, path) {
            Routed::Found(entry, parameters) => Some((entry.action, parameters)),
            Routed::WrongMethod { .. } | Routed::NotFound => None,
        }
    }

    #[test]
    fn parameters_are_decoded_after_the_path_was_split() {
        let drain = Action::Endpoint(EndpointAction::Drain);
        let path = "/pools/a%20b/endpoints/unix:%2Frun%2Fapp.sock/drain";
        let parameters = vec!["a b".to_owned(), "unix:/run/app.sock".to_owned()];
        assert_eq!(found(&Method::POST, path), Some((drain, parameters)));
        let path = "/pools/app/endpoints/[::1]:80/eject";
        let (_, parameters) = found(&Method::POST, path).unwrap();
        assert_eq!(parameters[1], "[::1]:80");
    }

    #[test]
    fn what_is_malformed_or_unknown_is_not_found() {
        for path in [
            "/pools/",
            "/pools/%",
            "/pools/%f",
            "/pools/%+1",
            "/pools/%ff",
            "/pools/a/",
            "//",
            "",
            "/Live",
        ] {
            assert!(
                matches!(route(&Method::GET, path), Routed::NotFound),
                "{path}"
            );
        }
    }

    #[test]
    fn another_method_is_told_which_ones_there_are() {
        for (method, path, expected) in [
            (Method::POST, "/status", "GET, HEAD"),
            (Method::GET, "/reload", "POST"),
            (Method::OPTIONS, "/", "GET, HEAD"),
        ] {
            match route(&method, path) {
                Routed::WrongMethod { allow } => assert_eq!(allow, expected),
                other => panic!("{path}: {other:?}"),
            }
        }
        assert!(found(&Method::HEAD, "/status").is_some());
    }
}
