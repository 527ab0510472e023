//! `rate_limit` of a route: how many requests are let through.

use serde_json::Value;

use crate::config::setting::{Form, Node, Reader, Setting, Shape, table};
use crate::config::value::{Name, Rate, RateKey};

table! {
    /// A rule that limits the rate of requests.
    pub struct RateLimit {
        /// Name of the rule in metrics and answers; by default the key.
        pub name: Option<Name> = None,
        /// Part of a request that has a rate of its own: `"client_ip"` (of IPv6, the network of 64 bits), `"header:NAME"`, `"cookie:NAME"`, `"query:NAME"`, `"route"` (all requests of the route together) or `"constant:NAME"` (all requests of all routes that give this name). A request without the header, cookie or parameter is not limited by the rule.
        pub key: RateKey = RateKey::ClientIp,
        /// Requests in a second, minute or hour, such as `"100/s"`, `"60/m"` or `"1000/h"`; at most 1000000.
        pub rate: Rate,
        /// Requests that may come at once after a pause, 1 to 1000000; by default the number of `rate`.
        pub burst: Option<u32> = None,
        /// Counts what the rule would refuse, and lets it through.
        pub dry_run: bool = false,
        /// Keys that are remembered, 1 to 10000000; 36 to 72 bytes each, once they are used. Beyond that the one that was idle longest is forgotten.
        pub keys_max: u32 = 100_000,
    }
}

impl RateLimit {
    /// Returns the name of the rule.
    pub fn label(&self) -> String {
        let name = self.name.as_ref().map(ToString::to_string);
        name.unwrap_or_else(|| self.key.to_string())
    }
}

/// The rules of a route: one table, or a list of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RateLimits(pub Vec<RateLimit>);

impl Setting for RateLimits {
    fn shape() -> Shape {
        Shape {
            kind: "table or list of tables".into(),
            ..RateLimit::shape()
        }
    }

    fn form() -> Form {
        RateLimit::form().or(Form::List(Box::new(RateLimit::form())))
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        if node.table().is_some() {
            return RateLimit::read(node, reader).map(|rule| Self(vec![rule]));
        }
        Vec::read(node, reader).map(Self)
    }

    fn print(&self) -> Value {
        self.0.print()
    }
}
