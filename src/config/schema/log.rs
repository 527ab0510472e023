//! `[log]` and `[metrics]`.

use crate::config::{
    setting::{table, words},
    value::BindAddress,
};

table! {
    /// The proxy's own log.
    pub struct Log: Default {
        /// Lowest level that is written.
        pub level: LogLevel = LogLevel::Info,
        /// Form of the lines.
        pub format: LogFormat = LogFormat::Text,
    }
}

words! {
    /// The weight of a log line.
    pub enum LogLevel {
        /// Something went wrong.
        Error = "error",
        /// Something that an operator may act on.
        Warn = "warn",
        /// A change of state.
        Info = "info",
        /// The course of each request.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
}

words! {
    /// Form of the log lines.
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
        /// Number of series kept, 100 to 1000000; what exceeds it is counted under `other`.
        pub series_max: u32 = 10_000,
        /// Number of endpoints with series of their own, 0 to 100000; the others of a pool are counted under `other`. Not part of `series_max`.
        pub per_endpoint: u32 = 1000,
        /// Address of a listener of its own that serves `/metrics`, `/live` and `/ready`, and nothing else. It asks for no token.
        pub address: Option<BindAddress> = None,
    }
}
