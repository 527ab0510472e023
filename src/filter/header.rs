//! Changes to the header fields of requests and responses.
//!
//! In the order remove, set, add. A value that is not valid in a field, because of the text that
//! fills its template, is left out; a field that should have been set to it is removed. Values are
//! made from the fields as they were before the first change, so that a field can be renamed.

use std::borrow::Cow;

use http::{HeaderName, HeaderValue};

use super::{Said, Scope, Verdict, escape::Form, render};
use crate::{
    config::{
        schema::HeaderChanges,
        value::{Placeholder, Template},
    },
    exchange::{Exchange, Request, Response},
    semantics::{Headers, variable},
};

/// Changes the header fields on a route.
#[derive(Debug)]
pub struct HeaderFilter {
    request: Changes,
    response: Changes,
    /// Fields of the request that the answer is changed by.
    kept: Box<[Placeholder]>,
}

/// Values of fields of the request for its answer.
struct Kept(Vec<(Placeholder, Vec<u8>)>);

#[derive(Debug)]
struct Changes {
    remove: Vec<HeaderName>,
    set: Vec<(HeaderName, Value)>,
    add: Vec<(HeaderName, Value)>,
    /// True if values are made of fields that may change meanwhile.
    reads_fields: bool,
    /// True for requests, of which something is removed or set.
    hides_aliases: bool,
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
        let response = Changes::new(response);
        let mut request = Changes::new(request);
        request.hides_aliases = !(request.remove.is_empty() && request.set.is_empty());
        Self {
            request,
            kept: response
                .fills()
                .filter(|it| is_field(it))
                .cloned()
                .collect(),
            response,
        }
    }

    /// Returns true if it keeps something of a request for the answer.
    pub(super) fn keeps(&self) -> bool {
        !self.kept.is_empty()
    }

    pub(super) fn on_request(&self, exchange: &mut Exchange, request: &mut Request) -> Verdict {
        if self.keeps() {
            let said = Said::Fields(&request.headers);
            let values = self.kept.iter().map(|place| {
                let mut value = Vec::new();
                said.put(place, &mut value);
                (place.clone(), value)
            });
            exchange.keep(Kept(values.collect()));
        }
        let scope = Scope {
            path: request.uri.path(),
            query: request.uri.query(),
            method: request.method.as_str(),
            said: Said::Nothing,
        };
        if self.request.reads_fields {
            self.request
                .apply_read(exchange, scope, &mut request.headers);
        } else {
            self.request.apply(exchange, scope, &mut request.headers);
        }
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
            said: exchange
                .kept::<Kept>()
                .map_or(Said::Nothing, |kept| Said::Kept(&kept.0)),
        };
        self.response.apply(exchange, scope, &mut response.headers);
    }
}

impl Changes {
    fn new(changes: &HeaderChanges) -> Self {
        let mut compiled = Self {
            remove: changes.remove.clone(),
            set: changes.set.iter().map(compile).collect(),
            add: changes.add.iter().map(compile).collect(),
            reads_fields: false,
            hides_aliases: false,
        };
        let reads_fields = compiled.fills().any(is_field);
        compiled.reads_fields = reads_fields;
        compiled
    }

    /// Gives what is filled into the values.
    fn fills(&self) -> impl Iterator<Item = &Placeholder> {
        let values = self.set.iter().chain(&self.add);
        let made = values.filter_map(|(_, value)| match value {
            Value::Made(template) => Some(template),
            Value::Constant(_) => None,
        });
        made.flat_map(Template::fills)
    }

    fn owns(&self, name: &[u8]) -> bool {
        let set = self.set.iter().map(|(set, _)| set);
        let mut owned = self.remove.iter().chain(set);
        owned.any(|owned| variable::is_same(owned.as_str().as_bytes(), name))
    }

    /// Removes what is not to be there, from requests also what a server may take for it or for a
    /// field that is set.
    fn remove(&self, headers: &mut Headers) {
        if self.hides_aliases {
            variable::remove_aliases(headers, |name| self.owns(name));
        }
        for name in &self.remove {
            headers.remove(name);
        }
    }

    /// Makes all values before the first change.
    fn apply_read(&self, exchange: &Exchange, scope: Scope<'_>, headers: &mut Headers) {
        let scope = Scope {
            said: Said::Fields(headers),
            ..scope
        };
        let make = |pairs: &[(HeaderName, Value)]| {
            let values = pairs.iter().map(|(_, value)| value.fill(exchange, scope));
            let values = values.map(|value| value.map(Cow::into_owned));
            values.collect::<Vec<Option<HeaderValue>>>()
        };
        let (set, add) = (make(&self.set), make(&self.add));
        self.remove(headers);
        for ((name, _), value) in self.set.iter().zip(set) {
            match value {
                Some(value) => headers.insert(name, value),
                None => drop(headers.remove(name)),
            }
        }
        for ((name, _), value) in self.add.iter().zip(add) {
            if let Some(value) = value {
                headers.append(name, value);
            }
        }
    }

    fn apply(&self, exchange: &Exchange, scope: Scope<'_>, headers: &mut Headers) {
        self.remove(headers);
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
                let made = render(template, exchange, scope, Form::Field)?;
                HeaderValue::try_from(made).ok().map(Cow::Owned)
            }
        }
    }
}

fn is_field(place: &Placeholder) -> bool {
    matches!(place, Placeholder::Header(..) | Placeholder::Cookie(_))
}

fn compile((name, template): &(HeaderName, Template)) -> (HeaderName, Value) {
    let constant = template
        .constant()
        .and_then(|text| HeaderValue::from_str(text).ok());
    let value = constant.map_or_else(|| Value::Made(template.clone()), Value::Constant);
    (name.clone(), value)
}
