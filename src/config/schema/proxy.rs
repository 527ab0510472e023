//! `[proxy]`: the process as a whole.

use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde_json::Value;

use crate::config::setting::{Form, Found, Node, Reader, Setting, Shape, table};
use crate::config::value::Mismatch;

table! {
    /// The process as a whole.
    pub struct Proxy: Default {
        /// Threads that carry traffic: `"auto"` is one per core, or 1 to 1024. A change needs a restart.
        pub workers: Workers = Workers::Auto,
        /// Folder for the last good configuration. Without it nothing is kept on disk.
        pub state_dir: Option<PathBuf> = None,
        /// Peers whose `X-Forwarded-*`, `Forwarded` and request ids are believed; the chain is walked from right to left.
        pub trusted_proxies: Vec<IpNet> = Vec::new(),
        /// Takes edits of the file up by itself; `false`: only by SIGHUP or `reload`. Certificates are followed in any case.
        pub watch: bool = true,
        /// How the process ends.
        pub drain: Drain = Drain::default(),
        /// Bounds on the whole process.
        pub limits: ProxyLimits = ProxyLimits::default(),
    }
}

table! {
    /// How the process ends.
    pub struct Drain: Default {
        /// How long to go on accepting, with readiness failing and clients told to close.
        pub grace: Duration = Duration::ZERO,
        /// How long exchanges may then take to end before they are cut.
        pub timeout: Duration = Duration::from_secs(30),
    }
}

table! {
    /// Bounds on the whole process.
    pub struct ProxyLimits: Default {
        /// Downstream connections over all listeners; one more is answered with 503 and closed. 0: no bound.
        pub connections: u32 = 65_536,
    }
    later { "memory" }
}

/// How many threads carry traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    /// One per core.
    Auto,
    /// So many.
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
                let message = format!("{number} workers cannot be");
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
