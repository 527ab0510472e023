//! `cors` of a route: which pages may read its answers.

use std::time::Duration;

use http::{HeaderName, Method};

use crate::config::setting::{Spanned, table};
use crate::config::value::OriginPattern;

table! {
    /// Cross-origin requests of browsers (CORS, Fetch standard). The proxy answers preflights itself, and its fields replace those of the endpoint.
    pub struct Cors {
        /// Origins whose pages may read answers: `"https://shop.example"`, `"https://*.shop.example"` for each host below it, `{ regex = "…" }` on the whole origin, `"null"`, or `"*"` for any.
        pub origins: Vec<Spanned<OriginPattern>> = Vec::new(),
        /// Methods that a preflight may ask for. Empty: any.
        pub methods: Vec<Method> = Vec::new(),
        /// Request headers that a preflight may ask for. Empty: any.
        pub headers: Vec<HeaderName> = Vec::new(),
        /// Headers of an answer that pages may read besides those that are always readable.
        pub expose: Vec<HeaderName> = Vec::new(),
        /// Pages may send cookies and other credentials. Not with the origin `"*"`.
        pub credentials: bool = false,
        /// Time for which a browser may keep the answer to a preflight. 0: it asks each time.
        pub max_age: Duration = Duration::from_secs(3600),
    }
}
