//! Refusal of methods, also of those that a header asks an endpoint to take in place of the request's
//! own.

use http::{HeaderValue, Method};

use crate::semantics::Headers;

/// Methods that may be used.
#[derive(Debug)]
pub struct AllowedMethods {
    /// The methods.
    pub list: Vec<Method>,
    /// Their names in `Allow`.
    pub named: HeaderValue,
}

impl AllowedMethods {
    /// Returns the reason to refuse a request.
    pub(super) fn refusal(&self, method: &Method, headers: &Headers) -> Option<&'static str> {
        if !self.list.contains(method) {
            return Some("access: the method is not allowed");
        }
        let overrides = OVERRIDES.into_iter().flat_map(|name| headers.get_all(name));
        let is_allowed = |asked: &[u8]| {
            let mut list = self.list.iter();
            list.any(|method| method.as_str().as_bytes().eq_ignore_ascii_case(asked))
        };
        // Endpoints differ about several lines, commas and the case of letters.
        let mut asked = overrides.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        let refused = asked.any(|asked| !is_allowed(asked.trim_ascii()));
        refused.then_some("access: the method that a header asks for is not allowed")
    }
}

/// Headers with which frameworks let clients ask for another method.
const OVERRIDES: [&str; 3] = [
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
];
