//! `rewrite`, `headers_request` and `headers_response` of a route.

use http::HeaderName;

use super::route::Path;
use crate::config::setting::table;
use crate::config::value::{Pattern, Template};

table! {
    /// Changes to path and host on the way to the pool.
    pub struct Rewrite: Default {
        /// Prefix to remove from the path, in whole segments; compared with the normalised path, as routes are.
        pub strip_prefix: Option<Path> = None,
        /// Prefix to add to the path, after `strip_prefix`.
        pub add_prefix: Option<Path> = None,
        /// Replacement of what a regular expression matches in the normalised path; not together with the two above.
        pub path_regex: Option<PathRewrite> = None,
        /// Host that the endpoint sees instead of the client's.
        pub host: Option<Template> = None,
    }
}

table! {
    /// Replacement of what a regular expression matches in the path.
    pub struct PathRewrite {
        /// Regular expression to look for.
        pub pattern as "match": Pattern,
        /// Replacement; `$1` or `${name}` stand for groups.
        pub to: String,
    }
}

table! {
    /// Changes to headers, made in the order remove, set, add.
    pub struct HeaderChanges: Default {
        /// Headers to set, in place of any value they have; values are templates.
        pub set: Vec<(HeaderName, Template)> = Vec::new(),
        /// Headers to add beside those that are there; values are templates.
        pub add: Vec<(HeaderName, Template)> = Vec::new(),
        /// Headers to remove.
        pub remove: Vec<HeaderName> = Vec::new(),
    }
}

impl HeaderChanges {
    /// Tells whether there is nothing to change.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.add.is_empty() && self.remove.is_empty()
    }
}
