//! Changes to the header fields of requests and responses.
//!
//! In the order remove, set, add. A value that is not valid in a field, because of the text that
//! fills its template, is left out; a field that should have been set to it is removed.

use std::borrow::Cow;

use http::{HeaderName, HeaderValue};

use super::{Scope, Verdict, render};
use crate::{
    config::{schema::HeaderChanges, value::Template},
    exchange::{Exchange, Request, Response},
    semantics::Headers,
};

/// Changes the header fields on a route.
#[derive(Debug)]
pub struct HeaderFilter {
    request: Changes,
    response: Changes,
}

#[derive(Debug)]
struct Changes {
    remove: Vec<HeaderName>,
    set: Vec<(HeaderName, Value)>,
    add: Vec<(HeaderName, Value)>,
}

/// A value that is constant, or made for each exchange.
#[derive(Debug)]
enum Value {
    Constant(HeaderValue),
    Made(Template),
}

impl HeaderFilter {
    /// Compiles the configured changes.
    pub fn new(request: &HeaderChanges, response: &HeaderChanges) -> Self {
        Self {
            request: Changes::new(request),
            response: Changes::new(response),
        }
    }

    pub(super) fn on_request(&self, exchange: &Exchange, request: &mut Request) -> Verdict {
        let scope = Scope {
            path: request.uri.path(),
            query: request.uri.query(),
            method: request.method.as_str(),
        };
        self.request.apply(exchange, scope, &mut request.headers);
        Verdict::Continue
    }

    /// Returns true if this name is removed from or set on requests.
    pub(super) fn owns_of_request(&self, name: &[u8]) -> bool {
        self.request.owns(name)
    }

    /// Returns true if this name is removed from or set on responses.
    pub(super) fn owns_of_response(&self, name: &[u8]) -> bool {
        self.response.owns(name)
    }

    pub(super) fn on_response(&self, exchange: &Exchange, response: &mut Response) {
        let target = exchange.target();
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let scope = Scope {
            path,
            query,
            method: exchange.method().as_str(),
        };
        self.response.apply(exchange, scope, &mut response.headers);
    }
}

impl Changes {
    fn new(changes: &HeaderChanges) -> Self {
        Self {
            remove: changes.remove.clone(),
            set: changes.set.iter().map(compile).collect(),
            add: changes.add.iter().map(compile).collect(),
        }
    }

    fn owns(&self, name: &[u8]) -> bool {
        let set = self.set.iter().map(|(set, _)| set);
        let mut owned = self.remove.iter().chain(set);
        owned.any(|owned| owned.as_str().as_bytes().eq_ignore_ascii_case(name))
    }

    fn apply(&self, exchange: &Exchange, scope: Scope<'_>, headers: &mut Headers) {
        for name in &self.remove {
            headers.remove(name);
        }
        for (name, value) in &self.set {
            match value.fill(exchange, scope) {
                Some(value) => headers.insert(name, &*value),
                // What the client sent must not stand in for it.
                None => drop(headers.remove(name)),
            }
        }
        for (name, value) in &self.add {
            if let Some(value) = value.fill(exchange, scope) {
                headers.append(name, &*value);
            }
        }
    }
}

impl Value {
    fn fill(&self, exchange: &Exchange, scope: Scope<'_>) -> Option<Cow<'_, HeaderValue>> {
        match self {
            Self::Constant(value) => Some(Cow::Borrowed(value)),
            Self::Made(template) => {
                let made = HeaderValue::try_from(render(template, exchange, scope));
                made.ok().map(Cow::Owned)
            }
        }
    }
}

fn compile((name, template): &(HeaderName, Template)) -> (HeaderName, Value) {
    let constant = template
        .constant()
        .and_then(|text| HeaderValue::from_str(text).ok());
    let value = constant.map_or_else(|| Value::Made(template.clone()), Value::Constant);
    (name.clone(), value)
}
