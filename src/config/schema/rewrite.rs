//! `rewrite`, `headers_request` and `headers_response` of a route.

use http::HeaderName;

use super::route::Path;
use crate::config::setting::table;
use crate::config::value::{Pattern, Template};

table! {
    /// Changes to path and host on the way to the pool.
    pub struct Rewrite: Default {
        /// Taken off the front of the path, in whole segments; compared in the normal form, as routes are.
        pub strip_prefix: Option<Path> = None,
        /// Put before the path, after `strip_prefix`.
        pub add_prefix: Option<Path> = None,
        /// Replaces what a regular expression finds in the path, which is then in its normal form; not with the two above.
        pub path_regex: Option<PathRewrite> = None,
        /// The host that the upstream sees instead of the client's.
        pub host: Option<Template> = None,
    }
}

table! {
    /// Replaces what a regular expression finds in the path.
    pub struct PathRewrite {
        /// What to look for.
        pub pattern as "match": Pattern,
        /// What to put there; `$1` or `${name}` stand for groups.
        pub to: String,
    }
}

table! {
    /// Changes to headers, made in the order remove, set, add.
    pub struct HeaderChanges: Default {
        /// Headers that get this value in place of any they have; values are templates.
        pub set: Vec<(HeaderName, Template)> = Vec::new(),
        /// Values added beside those that are there; values are templates.
        pub add: Vec<(HeaderName, Template)> = Vec::new(),
        /// Headers taken out.
        pub remove: Vec<HeaderName> = Vec::new(),
    }
}

impl HeaderChanges {
    /// Tells whether there is nothing to change.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.add.is_empty() && self.remove.is_empty()
    }
}
