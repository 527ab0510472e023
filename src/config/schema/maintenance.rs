//! `maintenance` of a route: it is closed for a while.

use std::time::Duration;

use ipnet::IpNet;

use crate::config::setting::{FileContent, Spanned, table};

table! {
    /// A route that is closed for a while: requests are answered with 503, `Retry-After` and the word `maintenance`. `sluicegate maintenance on` closes routes by a command, with the page and the addresses that are written here.
    pub struct Maintenance: Default {
        /// Closes the route. `false`: prepared for the command only.
        pub on: bool = true,
        /// Page for those who are kept out, as `file` of `error_pages`. By default that of `error_pages` for 503.
        pub file: Option<Spanned<FileContent>> = None,
        /// Time after which clients may try again (`Retry-After`).
        pub retry_after: Duration = Duration::from_secs(600),
        /// Blocks of addresses that are let in as ever, such as those of the testers.
        pub allow: Vec<IpNet> = Vec::new(),
    }
}
