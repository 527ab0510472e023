//! `[proxy]`: the process as a whole.

use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderName;
use ipnet::IpNet;
use serde_json::Value;

use super::rollout_store::RolloutStore;
use crate::config::setting::{Form, Found, Node, Reader, Setting, Shape, table};
use crate::config::value::{MemoryLimit, Mismatch, Ratio, Secret};

table! {
    /// The process as a whole.
    pub struct Proxy: Default {
        /// Number of worker threads, which carry the traffic: `"auto"` (one per core) or 1 to 1024. A change needs a restart.
        pub workers: Workers = Workers::Auto,
        /// Folder for a copy of the last good configuration, the progress of rollouts, lists of discovered endpoints, endpoints and routes that commands have taken out, and certificates from a CA (`acme`). Without it nothing is kept on disk.
        pub state_dir: Option<PathBuf> = None,
        /// Store of the progress of rollouts that many proxies share. Without it each proxy rolls out by itself.
        pub rollout_store: Option<RolloutStore> = None,
        /// Peers whose `X-Forwarded-*`, `Forwarded` and request ids are believed; the chain is walked from right to left.
        pub trusted_proxies: Vec<IpNet> = Vec::new(),
        /// Applies edits of the file when it is saved; with `false` only on SIGHUP or `reload`. Certificate files are followed in any case.
        pub watch: bool = true,
        /// Allows `fault` on routes, which delays requests and makes them fail on purpose. Not for production.
        pub faults: bool = false,
        /// Header with which operators see in an answer what became of the request.
        pub debug_header: Option<DebugHeader> = None,
        /// Timing of the end of the process.
        pub drain: Drain = Drain::default(),
        /// Bounds on the whole process.
        pub limits: ProxyLimits = ProxyLimits::default(),
    }
}

table! {
    /// Header with which operators see in an answer what became of the request. It is removed before the endpoint.
    pub struct DebugHeader: Default {
        /// Value of the header in the requests of those who may see it.
        pub token: Option<Secret> = None,
        /// Clients who may see it with any value of the header, by their address.
        pub from: Vec<IpNet> = Vec::new(),
        /// Name of the header, in requests and answers.
        pub name: HeaderName = HeaderName::from_static("x-sluicegate-debug"),
    }
}

table! {
    /// Timing of the end of the process.
    pub struct Drain: Default {
        /// Time in which the proxy still accepts, while `/ready` fails and clients are told to close.
        pub grace: Duration = Duration::ZERO,
        /// Time that requests then have to finish before they are cut.
        pub timeout: Duration = Duration::from_secs(30),
    }
}

table! {
    /// Bounds on the whole process.
    pub struct ProxyLimits: Default {
        /// Downstream connections over all listeners; one more is answered with 503 and closed, over TLS closed without an answer, over QUIC refused. 0: no bound.
        pub connections: u32 = 65_536,
        /// Resident memory, as a size or as a share of what the control group allows or the machine has, whichever is less. From 90 % of it idle connections are closed and slow clients wait for at most 2 s; at 100 % new connections and requests are refused with 503. 0: no bound.
        pub memory: MemoryLimit = MemoryLimit::Share(Ratio::percent(80)),
    }
}

/// Number of threads that carry traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    /// One per core.
    Auto,
    /// This number.
    Count(NonZeroU16),
}

impl Setting for Workers {
    fn shape() -> Shape {
        Shape::value("number of threads or \"auto\"", "\"auto\" or 4")
    }

    fn form() -> Form {
        Form::Words(vec!["auto"]).or(Form::Integer)
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let number = match reader.string(node) {
            Found::Value(text) if text == "auto" => return Some(Self::Auto),
            // From elsewhere, a number comes as text.
            Found::Value(text) if node.text().is_none() => text.parse().ok(),
            Found::Value(_) | Found::Absent => node.integer(),
            Found::Bad => return None,
        };
        let Some(number) = number else {
            reader.wrong_type(node, &Self::shape());
            return None;
        };
        let count = u16::try_from(number)
            .ok()
            .filter(|count| *count <= WORKERS_MAX)
            .and_then(NonZeroU16::new)
            .ok_or_else(|| {
                let message = format!("{number} is out of range");
                Mismatch::new(message, format!("\"auto\", or from 1 to {WORKERS_MAX}"))
            });
        reader.accept(node, count).map(Self::Count)
    }

    fn print(&self) -> Value {
        match self {
            Self::Auto => "auto".into(),
            Self::Count(count) => count.get().into(),
        }
    }
}

const WORKERS_MAX: u16 = 1024;
