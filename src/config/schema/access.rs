//! `access` of a route: which clients it is for.

use http::Method;
use ipnet::IpNet;

use crate::config::setting::{Spanned, table};
use crate::config::value::{AccessList, ReadFile, ValueMatch};

table! {
    /// Clients that may use a route, by their addresses, methods and claims. The longest block that has the address decides, whatever the order; others are answered with 403. Claims and groups are those that `jwt` or `oidc` of `auth` has verified.
    pub struct Access: Default {
        /// Blocks of addresses that are let in. If there are any, an address in none of the blocks is refused.
        pub allow: Vec<Spanned<IpNet>> = Vec::new(),
        /// Blocks of addresses that are refused. Without `allow`, every other address is let in.
        pub deny: Vec<Spanned<IpNet>> = Vec::new(),
        /// More blocks, in a file that is watched: `allow 10.0.0.0/8` or `deny 192.0.2.1` on each line, `#` begins a comment. A bad line leaves the last good file in use.
        pub file: Option<ReadFile<AccessList>> = None,
        /// Methods that may be used; others are answered with 405. Empty: any.
        pub methods: Vec<Method> = Vec::new(),
        /// Values that claims of the user must have: a text, `{ regex = "…" }` or `{ present = true }`. Of a list one item must match.
        pub claims: Vec<(String, ValueMatch)> = Vec::new(),
        /// Groups of which the user must be in one. Empty: any.
        pub groups: Vec<String> = Vec::new(),
        /// Claim with the groups of the user.
        pub groups_claim: String = "groups".to_owned(),
    }
}

impl Access {
    /// Returns true if there is a condition on the user.
    pub fn is_of_claims(&self) -> bool {
        !self.claims.is_empty() || !self.groups.is_empty()
    }
}
