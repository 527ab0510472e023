//! `concurrency` of a route: how many requests are under way at once.

use std::time::Duration;

use serde_json::Value;

use crate::config::setting::{Form, Node, Reader, Setting, Shape, table, words};
use crate::config::value::PriorityKey;

table! {
    /// Limit on requests at once, from the choice of the route to the end of the response, stream or tunnel. One more waits in the queue, or is answered with 503.
    pub struct Concurrency {
        /// Requests at once, 1 to 1000000. With `adaptive` the upper bound of it, 4 to 1000000; not set, 1000.
        pub max: Option<u32> = None,
        /// Finds the number of requests at once by the latency of answers; only for `per = "route"`.
        pub adaptive: bool = false,
        /// Requests that share the limit: all of the route, or those of each client address (of IPv6, the network of 64 bits).
        pub per: ConcurrencyScope = ConcurrencyScope::Route,
        /// Requests that may wait for a place, 0 to 100000; for `per = "client_ip"`, of each client. More are refused. 0: none waits.
        pub queue: u32 = 0,
        /// Time that a request may wait. Needed with `queue`.
        pub queue_timeout: Option<Duration> = None,
        /// Header with the urgency of a request, such as `"header:x-priority"`: a number from 0 (first) to 7 (last), or `u=N` as in the `Priority` header of RFC 9218. Another value, or none, counts as 3.
        pub priority: Option<PriorityKey> = None,
    }
}

words! {
    /// Requests that share a limit.
    pub enum ConcurrencyScope {
        /// All of the route.
        Route = "route",
        /// Those of one client.
        ClientIp = "client_ip",
    }
}

/// The limits of a route: one table, or a list of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Concurrencies(pub Vec<Concurrency>);

impl Setting for Concurrencies {
    fn shape() -> Shape {
        Shape {
            kind: "table or list of tables".into(),
            ..Concurrency::shape()
        }
    }

    fn form() -> Form {
        Concurrency::form().or(Form::List(Box::new(Concurrency::form())))
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        if node.table().is_some() {
            return Concurrency::read(node, reader).map(|limit| Self(vec![limit]));
        }
        Vec::read(node, reader).map(Self)
    }

    fn print(&self) -> Value {
        self.0.print()
    }
}

impl Concurrency {
    /// Returns the upper bound; none if it is missing.
    pub fn bound(&self) -> Option<u32> {
        self.max.or_else(|| self.adaptive.then_some(ADAPTIVE_MAX))
    }
}

const ADAPTIVE_MAX: u32 = 1000;
