//! `rate_limit` of a route or listener: how many requests are let through.

use std::{path::PathBuf, time::Duration};

use http::HeaderName;
use serde_json::{Value, json};

use crate::config::setting::{
    Choice as _, Form, Found, Node, Reader, Setting, Shape, choice, read_choice, refuse_word, table,
};
use crate::config::value::{Name, Rate, RateKey, RedisUrl, Secret};

table! {
    /// A rule that limits the rate of requests, of a route or a listener.
    pub struct RateLimit {
        /// Name of the rule in metrics and answers; by default the key.
        pub name: Option<Name> = None,
        /// Part of a request that has a rate of its own: `"client_ip"` (of IPv6, the network of 64 bits), `"header:NAME"`, `"cookie:NAME"`, `"query:NAME"`, `"jwt:CLAIM"` (of a token that `auth` has checked; such rules are asked after all others, behind `auth`), `"route"` (all requests of the route together) or `"constant:NAME"` (all requests of all routes that give this name). A request without the header, cookie, parameter or claim is not limited by the rule.
        pub key: RateKey = RateKey::ClientIp,
        /// Requests in a second, minute or hour, such as `"100/s"`, `"60/m"` or `"1000/h"`; at most 1000000.
        pub rate: Rate,
        /// Requests that may come at once after a pause, 1 to 1000000; by default the number of `rate`.
        pub burst: Option<u32> = None,
        /// Counts what the rule would refuse, and lets it through.
        pub dry_run: bool = false,
        /// Tells each answer what is left of the bucket, in `RateLimit` and `RateLimit-Policy`; `false`: only refusals do. No effect in a dry run and on a listener.
        pub announce: bool = true,
        /// Name of a header of answers that says how many requests this one counts as, from 0 on, such as `"x-cost"`. It is charged when the answer is there, over what is left too (the bucket then owes up to nine times its size), and the header is removed. A number above 1000000 counts as 1000000; an answer without a number counts as one. Not on a listener, and not with `redis`.
        pub cost: Option<HeaderName> = None,
        /// Keys that are remembered, 1 to 10000000; 36 to 72 bytes each, once they are used. Beyond that the one that was idle longest is forgotten.
        pub keys_max: u32 = 100_000,
        /// Place of the buckets: `"local"` (this process), or `{ redis = { url = … } }`, shared by all proxies that use the same server and prefix; while that does not answer, the process decides by its own.
        pub store: RateStore = RateStore::Local,
    }
}

/// Place of the buckets of a rule.
#[derive(Debug, Clone, PartialEq)]
pub enum RateStore {
    /// This process.
    Local,
    /// A Redis server.
    Redis(Box<RedisStore>),
}

choice! {
    /// A store outside the process.
    enum RemoteStore {
        /// A Redis server.
        "redis" => Redis(RedisStore),
    }
}

table! {
    /// A Redis server (5.0 or later, Valkey too) that keeps buckets for several proxies.
    pub struct RedisStore {
        /// Address: `redis://HOST:PORT/DB`, or `rediss://` for TLS; port 6379 and database 0 by default. A single server, or a proxy before a cluster.
        pub url: RedisUrl,
        /// Beginning of the names of keys, which are `PREFIX:ROUTE/RULE:…`; proxies that share limits have the same. At most 64 bytes.
        pub prefix: String = "sluicegate".to_owned(),
        /// Time that a request waits for the server; then the bucket in this process decides.
        pub timeout: Duration = Duration::from_millis(20),
        /// User of an ACL; without it the password is that of the default user.
        pub username: Option<String> = None,
        /// Password.
        pub password: Option<Secret> = None,
        /// File of the authorities that may certify the server, as PEM; by default the system's.
        pub ca: Option<PathBuf> = None,
    }
}

impl Setting for RateStore {
    fn shape() -> Shape {
        Shape::value(
            "store",
            "\"local\" or { redis = { url = \"redis://127.0.0.1:6379\" } }",
        )
    }

    fn form() -> Form {
        Form::Words(vec!["local"]).or(Form::Table(RemoteStore::keys))
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match reader.string(node) {
            Found::Value(text) if text == "local" => return Some(Self::Local),
            Found::Value(text) => {
                refuse_word(node, &text, &["local"], &[], reader);
                return None;
            }
            Found::Bad => return None,
            Found::Absent => {}
        }
        let RemoteStore::Redis(redis) = read_choice(node, &Self::shape(), reader)?;
        Some(Self::Redis(Box::new(redis)))
    }

    fn print(&self) -> Value {
        match self {
            Self::Local => "local".into(),
            Self::Redis(redis) => json!({ "redis": redis.print() }),
        }
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
