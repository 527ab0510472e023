//! `access` of a route: which clients it is for.

use ipnet::IpNet;

use crate::config::setting::{Spanned, table};

table! {
    /// Clients that may use a route, by their addresses. The longest block that has the address decides, whatever the order; others are answered with 403. With neither list this does nothing.
    pub struct Access: Default {
        /// Blocks of addresses that are let in. If there are any, an address in none of the blocks is refused.
        pub allow: Vec<Spanned<IpNet>> = Vec::new(),
        /// Blocks of addresses that are refused. Without `allow`, every other address is let in.
        pub deny: Vec<Spanned<IpNet>> = Vec::new(),
    }
}
