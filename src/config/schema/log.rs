//! `[log]` and `[metrics]`.

use crate::config::setting::{table, words};

table! {
    /// The proxy's own log.
    pub struct Log: Default {
        /// The least important kind of line that is written.
        pub level: LogLevel = LogLevel::Info,
        /// How lines are written.
        pub format: LogFormat = LogFormat::Text,
    }
}

words! {
    /// The weight of a log line.
    pub enum LogLevel {
        /// What went wrong.
        Error = "error",
        /// What an operator may act on.
        Warn = "warn",
        /// What changed.
        Info = "info",
        /// What each request did.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
}

words! {
    /// How log lines are written.
    pub enum LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object per line.
        Json = "json",
    }
}

table! {
    /// The Prometheus metrics.
    pub struct Metrics: Default {
        /// Series kept; what exceeds them is counted under `other`.
        pub series_max: u32 = 10_000,
    }
}
