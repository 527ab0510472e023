//! Changes to path and host on the way to the pool.
//!
//! Parts that are not rewritten are forwarded byte for byte.

use std::borrow::Cow;

use http::{HeaderValue, Uri, uri::PathAndQuery};
use regex::Regex;

use super::{Said, Scope, Verdict, escape::Form, render};
use crate::{
    config::value::{Placeholder, Template},
    exchange::{Exchange, Request},
    failure::{BadRequest, Failure},
    semantics::{
        Known,
        authority::Authority,
        path::{rewritable, strip_prefix},
    },
};

/// Rewrites path and host of a request.
#[derive(Debug)]
pub struct RewriteFilter {
    /// Rule for the path.
    pub path: Option<PathRule>,
    /// The host that the endpoint sees.
    pub host: Option<Template>,
}

/// Rules for a path.
#[derive(Debug)]
pub enum PathRule {
    /// Removes the first from the front, in whole segments, then adds the second in front.
    Prefix {
        /// Prefix to remove; in normal form and without a final slash. Empty: none.
        strip: String,
        /// Prefix to add. Empty: none.
        add: String,
    },
    /// Replaces every match.
    Replace(Regex, String),
}

impl RewriteFilter {
    pub(super) fn on_request(
        &self,
        exchange: &Exchange,
        request: &mut Request,
    ) -> Result<Verdict, Failure> {
        if let Some(rule) = &self.path
            && let Some(path) = rule.apply(request.uri.path())?
        {
            let target = match request.uri.query() {
                Some(query) => format!("{path}?{query}"),
                None => path,
            };
            let target = PathAndQuery::try_from(target).map_err(|_| BadRequest::Target)?;
            let raw = request.raw_target.take();
            request.raw_target = raw.and_then(|raw| raw.with_path(&target));
            request.uri = Uri::from(target);
        }
        if let Some(host) = &self.host {
            let scope = Scope {
                path: request.uri.path(),
                query: request.uri.query(),
                method: request.method.as_str(),
                said: Said::Fields(&request.headers),
            };
            let text = render(host, exchange, scope, Form::Field).ok_or(BadRequest::Host)?;
            let named = host.fills().any(Placeholder::is_of_client);
            // A client may choose a name, but nothing that is none.
            if named && Authority::parse(&text).is_err() {
                return Err(BadRequest::Host.into());
            }
            let host = HeaderValue::try_from(text).map_err(|_| BadRequest::Host)?;
            request.headers.insert(Known::Host, host);
        }
        Ok(Verdict::Continue)
    }
}

impl PathRule {
    /// Returns the new path; none if it does not change.
    ///
    /// Matches the normal form, as routes do, and keeps the bytes of the unchanged part.
    pub(super) fn apply(&self, path: &str) -> Result<Option<String>, BadRequest> {
        if path == "*" {
            return Ok(None);
        }
        let rewritten = match self {
            Self::Prefix { strip, add } => {
                let rest = if strip.is_empty() {
                    None
                } else {
                    strip_prefix(path, strip)?
                };
                let rest = rest.as_deref().unwrap_or(path);
                let joined = format!("{}{rest}", add.trim_end_matches('/'));
                if joined.is_empty() {
                    "/".to_owned()
                } else {
                    joined
                }
            }
            Self::Replace(regex, to) => {
                let normal = rewritable(path)?;
                let Cow::Owned(replaced) = regex.replace_all(normal.as_str(), to.as_str()) else {
                    return Ok(None);
                };
                if replaced.starts_with('/') {
                    replaced
                } else {
                    format!("/{replaced}")
                }
            }
        };
        Ok((rewritten != path).then_some(rewritten))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_taken_off_and_put_on_in_whole_segments() {
        for (strip, add, path, expected) in [
            ("/orders", "", "/orders/1", "/1"),
            ("/orders", "", "/orders", "/"),
            ("/orders", "", "/orders/", "/"),
            ("/orders", "/v2", "/orders/../orders/secret", "/v2/secret"),
            ("/orders", "/v2", "//orders//1", "/v2/1"),
            ("/orders", "/v2", "*", "*"),
            ("/orders", "", "/ordersx/1", "/ordersx/1"),
            ("/orders", "/v2", "/orders/1", "/v2/1"),
            ("", "/v2/", "/1", "/v2/1"),
            ("/a", "/b", "/a", "/b"),
            ("/a%2F", "", "/a%2f/x", "/x"),
            ("", "/v2", "//x/%7e", "/v2//x/%7e"),
        ] {
            let rule = PathRule::Prefix {
                strip: strip.to_owned(),
                add: add.to_owned(),
            };
            let found = rule.apply(path).unwrap().unwrap_or_else(|| path.to_owned());
            assert_eq!(found, expected, "{strip} {add} {path}");
        }
    }

    #[test]
    fn a_replacement_always_leaves_an_absolute_path() {
        let rule = PathRule::Replace(Regex::new("^/(a|b)/").unwrap(), "$1-".to_owned());
        assert_eq!(rule.apply("/a/x").unwrap().as_deref(), Some("/a-x"));
        let found = rule.apply("/x/..//%61/x").unwrap();
        assert_eq!(found.as_deref(), Some("/a-x"));
        assert_eq!(rule.apply("/c//x"), Ok(None));
        let hidden = rule.apply("/a/x%2f..%2f..%2fy");
        assert_eq!(hidden, Err(BadRequest::Path));
    }
}
