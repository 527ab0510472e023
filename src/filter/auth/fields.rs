//! Fields of a request that authentication owns.
//!
//! No step changes the request while steps are still asked: each sees what the client wrote. Once
//! all have passed,
//! 1. credentials go away, unless a method that let the client in has read them in the same place
//!    and keeps them;
//! 2. fields that a method of the route may give go away, whether or not it was asked;
//! 3. what the methods that let the client in have given takes their place. Of one field, what the
//!    last of them gave.

use http::{
    HeaderName, HeaderValue,
    header::{AUTHORIZATION, COOKIE},
};

use super::{AuthMethod, credentials::Credentials};
use crate::{
    exchange::{Exchange, Request, Response},
    semantics::{Headers, Known, Value, variable},
};

/// Effect of a method that let a client in, on request and answer.
#[derive(Debug, Default)]
pub(super) struct Leave {
    /// Fields that the endpoint gets.
    pub(super) fields: Vec<(HeaderName, HeaderValue)>,
    /// Cookies that the client gets.
    pub(super) cookies: Vec<HeaderValue>,
}

/// Cookies that a client gets with the answer to his request.
pub(super) struct Cookies(Vec<HeaderValue>);

/// Fields of one request, while its steps are asked.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    /// Names of all fields that the methods of the route may give.
    owned: &'a [HeaderName],
    /// Fields that methods have given.
    given: Vec<(HeaderName, HeaderValue)>,
    /// Places of credentials that stay.
    kept: Vec<&'a Credentials>,
}

impl Leave {
    /// Keeps the cookies for the client.
    pub(super) fn keep_cookies(&mut self, exchange: &mut Exchange) {
        if !self.cookies.is_empty() {
            let known = exchange.take_kept::<Cookies>();
            let mut cookies = known.map_or_else(Vec::new, |known| known.0);
            cookies.append(&mut self.cookies);
            exchange.keep(Cookies(cookies));
        }
    }
}

impl Cookies {
    pub(super) fn give(self, response: &mut Response) {
        for cookie in &self.0 {
            response.headers.append(Known::SetCookie, cookie);
        }
        // They are of one user: no cache on the way may give them to others.
        let private = Value::from_static("private, no-store");
        response.headers.insert(Known::CacheControl, private);
    }
}

impl<'a> Fields<'a> {
    /// Nothing is given yet.
    pub(super) fn new(owned: &'a [HeaderName]) -> Self {
        Self {
            owned,
            given: Vec::new(),
            kept: Vec::new(),
        }
    }

    /// Takes over what a method has given that let the client in.
    pub(super) fn pass(&mut self, method: &'a AuthMethod, fields: Vec<(HeaderName, HeaderValue)>) {
        for name in method.fields() {
            self.given.retain(|(given, _)| given != name);
        }
        self.given.extend(fields);
        if method.keeps() {
            self.kept.push(method.credentials());
        }
    }

    /// The fields that a service sees which is asked: those of the client, but what methods give
    /// only from them. Credentials are there to be checked, also where a method replaces them.
    pub(super) fn seen_by_service(&self, request: &Request) -> Headers {
        let mut headers = request.headers.clone();
        let is_claimed = |name: &&HeaderName| **name != AUTHORIZATION && **name != COOKIE;
        for name in self.owned.iter().filter(is_claimed) {
            headers.remove(name);
        }
        self.remove_aliases(&mut headers);
        set_all(&mut headers, &self.given);
        headers
    }

    /// Changes the request as said above, after the last step.
    pub(super) fn apply<'m>(
        &self,
        methods: impl Iterator<Item = &'m AuthMethod>,
        request: &mut Request,
    ) {
        for place in methods.map(AuthMethod::credentials) {
            if !self.kept.contains(&place) {
                place.remove(request);
            }
        }
        for name in self.owned {
            request.headers.remove(name);
        }
        self.remove_aliases(&mut request.headers);
        set_all(&mut request.headers, &self.given);
    }

    /// Removes what a server may take for a field that methods give.
    fn remove_aliases(&self, headers: &mut Headers) {
        let same =
            |name: &[u8], owned: &HeaderName| variable::is_same(name, owned.as_str().as_bytes());
        variable::remove_aliases(headers, |name| self.owned.iter().any(|it| same(name, it)));
    }
}

/// Sets fields, each of which may have several values.
fn set_all(headers: &mut Headers, fields: &[(HeaderName, HeaderValue)]) {
    for (name, _) in fields {
        headers.remove(name);
    }
    for (name, value) in fields {
        headers.append(name, value);
    }
}
