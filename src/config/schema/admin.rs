//! `[admin]`: the admin API.

use std::net::{Ipv4Addr, SocketAddr};

use crate::config::setting::table;
use crate::config::value::{BindAddress, FileMode, Secret};

table! {
    /// The admin API.
    pub struct Admin: Default {
        /// Address to listen on. One that other machines can reach needs a token. A change needs a restart.
        pub address: BindAddress = default_address(),
        /// Mode of the file of a Unix socket, which decides who may connect. A change needs a restart.
        pub mode: Option<FileMode> = None,
        /// Token that a caller must send to change anything. Without one the API can only be read.
        pub token: Option<Secret> = None,
        /// Token that allows reading only: for scrapers and dashboards on other machines.
        pub read_token: Option<Secret> = None,
    }
}

fn default_address() -> BindAddress {
    BindAddress::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 9901)))
}
