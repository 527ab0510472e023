//! `access` of a route: which clients it is for.

use http::Method;
use ipnet::IpNet;

use crate::config::setting::{Spanned, table, words};
use crate::config::value::{AccessList, Asn, Country, ReadFile, ValueMatch};

table! {
    /// Clients that may use a route. All that is written here must hold: a client must be let in by its address, its country, its autonomous system, its method and its claims; others are answered with 403. Of blocks of addresses the longest that has the address decides, whatever the order. Claims and groups are those that `jwt` or `oidc` of `auth` has verified.
    pub struct Access: Default {
        /// Blocks of addresses that are let in. If there are any, an address in none of the blocks is refused.
        pub allow: Vec<Spanned<IpNet>> = Vec::new(),
        /// Blocks of addresses that are refused. Without `allow`, every other address is let in.
        pub deny: Vec<Spanned<IpNet>> = Vec::new(),
        /// More blocks, in a file that is watched: `allow 10.0.0.0/8` or `deny 192.0.2.1` on each line, `#` begins a comment. A bad line leaves the last good file in use.
        pub file: Option<ReadFile<AccessList>> = None,
        /// Countries that are let in or refused, by the database `country` of `[geo]`.
        pub countries: Option<CountryAccess> = None,
        /// Autonomous systems that are let in or refused, by the database `asn` of `[geo]`.
        pub asns: Option<AsnAccess> = None,
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

table! {
    /// Countries of clients.
    pub struct CountryAccess: Default {
        /// Codes (ISO 3166-1, two letters) of the countries that are let in. If there are any, all others are refused.
        pub allow: Vec<Spanned<Country>> = Vec::new(),
        /// Codes of the countries that are refused. Without `allow`, all others are let in.
        pub deny: Vec<Spanned<Country>> = Vec::new(),
        /// Treatment of clients whose country is not known, such as those in private networks: `"allow"` or `"deny"`. Not set: they are refused where `allow` is written, else let in.
        pub unknown: Option<Unknown> = None,
        /// Blocks of addresses whose country does not matter.
        pub except: Vec<IpNet> = Vec::new(),
    }
}

table! {
    /// Autonomous systems of clients.
    pub struct AsnAccess: Default {
        /// Numbers of the autonomous systems that are let in. If there are any, all others are refused.
        pub allow: Vec<Spanned<Asn>> = Vec::new(),
        /// Numbers of the autonomous systems that are refused. Without `allow`, all others are let in.
        pub deny: Vec<Spanned<Asn>> = Vec::new(),
        /// Treatment of clients whose autonomous system is not known, as for `countries`.
        pub unknown: Option<Unknown> = None,
        /// Blocks of addresses whose autonomous system does not matter.
        pub except: Vec<IpNet> = Vec::new(),
    }
}

words! {
    /// Treatment of clients of which a database knows nothing.
    pub enum Unknown {
        /// They are let in.
        Allow = "allow",
        /// They are refused.
        Deny = "deny",
    }
}

impl Access {
    /// Returns true if there is a condition on the user.
    pub fn is_of_claims(&self) -> bool {
        !self.claims.is_empty() || !self.groups.is_empty()
    }
}
