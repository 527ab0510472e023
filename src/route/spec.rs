//! Conditions of a route, as the configuration gives them.

use std::fmt;
use std::sync::Arc;

use http::{HeaderName, Method};
use ipnet::IpNet;
use regex::Regex;

use super::matcher::matches_path;
use crate::{
    config::value::{CertificatePart, HostPattern, ValueMatch},
    failure::BadRequest,
    semantics::path::normalise,
};

/// The match part of a route. All given conditions must hold; an empty list is no condition.
///
/// Of several routes that match, the first by this order takes the request: higher
/// `priority`; exact host, then the longest wildcard, then no host; exact path, then
/// regex, then the longest prefix; one with methods before one without; most header
/// matches (a cookie, the source network and a part of the client's certificate count as
/// one each); most query matches;
/// last the name in alphabetical order.
#[derive(Clone, Debug)]
pub struct RouteSpec {
    /// Identity of the route.
    pub name: Arc<str>,
    /// Listeners it takes requests of; `None` for all.
    pub listeners: Option<Vec<Arc<str>>>,
    /// One of these hosts; empty for any.
    pub hosts: Vec<HostPattern>,
    /// Condition on the path.
    pub path: PathMatch,
    /// One of these methods; empty for any.
    pub methods: Vec<Method>,
    /// Takes the CORS preflights for these methods, too.
    pub preflights: bool,
    /// All of these header fields.
    pub headers: Vec<(HeaderName, ValueMatch)>,
    /// All of these query parameters, by decoded name; of a repeated one the first counts.
    pub query: Vec<(String, ValueMatch)>,
    /// All of these cookies.
    pub cookies: Vec<(String, ValueMatch)>,
    /// The client is in one of these networks; empty for any.
    pub source: Vec<IpNet>,
    /// All of these of the client's verified certificate.
    pub client_certificate: Vec<(CertificatePart, ValueMatch)>,
    /// Overrides every other precedence; 0 unless given.
    pub priority: i32,
}

impl RouteSpec {
    /// Makes a route of this name that takes every request.
    pub fn any(name: &str) -> Self {
        Self {
            name: name.into(),
            listeners: None,
            hosts: Vec::new(),
            path: PathMatch::Any,
            methods: Vec::new(),
            preflights: false,
            headers: Vec::new(),
            query: Vec::new(),
            cookies: Vec::new(),
            source: Vec::new(),
            client_certificate: Vec::new(),
            priority: 0,
        }
    }

    /// Returns true if it has conditions besides listener, host and path.
    pub(super) fn has_conditions(&self) -> bool {
        let Self {
            name: _,
            listeners: _,
            hosts: _,
            path: _,
            methods,
            preflights: _,
            headers,
            query,
            cookies,
            source,
            client_certificate,
            priority: _,
        } = self;
        !(methods.is_empty()
            && headers.is_empty()
            && query.is_empty()
            && cookies.is_empty()
            && source.is_empty()
            && client_certificate.is_empty())
    }
}

/// Condition on the path of a request, in its normal form.
#[derive(Clone, Debug)]
pub enum PathMatch {
    /// Any path.
    Any,
    /// This path, byte for byte in normal form.
    Exact(Box<str>),
    /// This path or one under it, by whole segments; without a final slash, so `""` is `/`.
    Prefix(Box<str>),
    /// A path in which the expression finds a match; anchor it with `^` and `$`.
    Regex(Regex),
}

impl PathMatch {
    /// Makes an exact path, in normal form.
    ///
    /// # Errors
    /// If no request can have this path.
    pub fn exact(path: &str) -> Result<Self, PathPatternError> {
        Ok(Self::Exact(normal(path)?.into()))
    }

    /// Returns true if a path of a request, in normal form, matches.
    pub fn matches(&self, path: &str) -> bool {
        matches_path(self, path)
    }

    /// Makes a prefix of whole segments; `/a` and `/a/` are the same.
    ///
    /// # Errors
    /// If no request can have this path.
    pub fn prefix(path: &str) -> Result<Self, PathPatternError> {
        let path = normal(path)?;
        Ok(Self::Prefix(path.strip_suffix('/').unwrap_or(&path).into()))
    }
}

impl fmt::Display for PathMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any path"),
            Self::Exact(path) => write!(f, "path \"{path}\""),
            Self::Prefix(path) if path.is_empty() => f.write_str("path prefix \"/\""),
            Self::Prefix(path) => write!(f, "path prefix \"{path}\""),
            Self::Regex(regex) => write!(f, "path regex \"{regex}\""),
        }
    }
}

/// Reasons why a text is not a path of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathPatternError {
    /// It does not begin with a slash.
    #[error("a path begins with \"/\"")]
    NoSlash,
    /// A query or fragment.
    #[error("a path has neither \"?\" nor \"#\" nor spaces")]
    NotOnlyPath,
    /// Requests with this path are refused before routing.
    #[error("a path like this is refused in every request: {}", .0.sentence())]
    Refused(BadRequest),
    /// An encoded slash.
    #[error("an encoded slash is not allowed in the path of a route")]
    EncodedSlash,
}

fn normal(path: &str) -> Result<String, PathPatternError> {
    if !path.starts_with('/') {
        return Err(PathPatternError::NoSlash);
    }
    let normal = normalise(path.as_bytes()).map_err(|rule| match rule {
        BadRequest::Target => PathPatternError::NotOnlyPath,
        rule => PathPatternError::Refused(rule),
    })?;
    if normal.with_slashes_decoded().is_some() {
        return Err(PathPatternError::EncodedSlash);
    }
    Ok(normal.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_routes_are_normal() {
        let show = |path: Result<PathMatch, PathPatternError>| path.map(|path| path.to_string());
        assert_eq!(show(PathMatch::exact("/%7Ea/")), Ok("path \"/~a/\"".into()));
        assert_eq!(
            show(PathMatch::prefix("/a/")),
            Ok("path prefix \"/a\"".into())
        );
        assert_eq!(show(PathMatch::prefix("/")), Ok("path prefix \"/\"".into()));
        assert_eq!(show(PathMatch::exact("a")), Err(PathPatternError::NoSlash));
        assert_eq!(
            show(PathMatch::exact("/a?b")),
            Err(PathPatternError::NotOnlyPath)
        );
        assert_eq!(
            show(PathMatch::prefix("/a%2Fb")),
            Err(PathPatternError::EncodedSlash)
        );
        assert_eq!(
            show(PathMatch::exact("/..")),
            Err(PathPatternError::Refused(BadRequest::Path))
        );
    }
}
