//! `[listeners.NAME]`: a socket that accepts traffic.

use std::time::Duration;

use ipnet::IpNet;

use super::tls::ListenerTls;
use crate::config::setting::{table, words};
use crate::config::value::{BindAddress, ByteSize, FileMode};

table! {
    /// A socket that accepts traffic.
    pub struct Listener {
        /// What to bind: `"ip:port"` or `"unix:path"`. This is the listener's identity.
        pub address: BindAddress,
        /// Whether `[::]` leaves IPv4 alone. Without this it takes clients of both families, apart from what listens at an IPv4 address and the same port. A change needs a restart.
        pub ipv6_only: bool = false,
        /// Who may connect to a Unix socket: the mode of its file, such as `"0660"`. Without this the umask decides.
        pub mode: Option<FileMode> = None,
        /// Protocols spoken. Plain listeners speak `h2` to clients that start with it.
        pub protocols: Vec<Protocol> = vec![Protocol::Http1, Protocol::H2],
        /// Who must say in front of each connection whom it comes from, by the PROXY protocol. Off without this.
        pub proxy_protocol: Option<ProxyProtocol> = None,
        /// How long a client may take.
        pub timeouts: ListenerTimeouts = ListenerTimeouts::default(),
        /// What happens to header names with `_`, which some servers take for `-`.
        pub underscores: Underscores = Underscores::Drop,
        /// Bounds on what a client may use.
        pub limits: ListenerLimits = ListenerLimits::default(),
        /// TLS; without this table the listener speaks plain HTTP.
        pub tls: Option<ListenerTls> = None,
    }
}

table! {
    /// Who must send a header of the PROXY protocol, version 1 or 2, and is believed.
    pub struct ProxyProtocol {
        /// Peers that must begin with a header, before TLS and within `timeouts.handshake`. From anybody else one is a malformed request. The peer of a Unix socket is 127.0.0.1.
        pub from: Vec<IpNet>,
    }
}

words! {
    /// A version of HTTP.
    pub enum Protocol {
        /// HTTP/1.1, and 1.0 from clients.
        Http1 = "http/1.1",
        /// HTTP/2.
        H2 = "h2",
    }
    later { "h3" }
}

words! {
    /// What happens to header names with `_`.
    pub enum Underscores {
        /// They are taken out and counted.
        Drop = "drop",
        /// They pass.
        Allow = "allow",
        /// The request is answered with 400.
        Refuse = "refuse",
    }
}

table! {
    /// How long a client may take.
    pub struct ListenerTimeouts: Default {
        /// From the connection to the end of its PROXY protocol header and of the TLS handshake; without either there is none.
        pub handshake: Duration = Duration::from_secs(5),
        /// From the first byte of a request to the end of its head; then 408.
        pub head: Duration = Duration::from_secs(10),
        /// Between requests on a connection kept open.
        pub idle: Duration = Duration::from_secs(75),
        /// How long a connection is used: then it takes no more requests and closes after those under way. Each connection lives up to a tenth shorter or longer. 0: no bound.
        pub lifetime: Duration = Duration::ZERO,
        /// Without a byte of a request body coming in, then 408; or of a response going out. A gRPC call may pause for as long as its route's `timeouts.idle`.
        pub body_idle: Duration = Duration::from_secs(30),
    }
}

table! {
    /// Bounds on what a client may use.
    pub struct ListenerLimits: Default {
        /// Connections open at once; one more is answered with 503 and closed. 0: no bound.
        pub connections: u32 = 20_000,
        /// Requests on one connection before it is closed. 0: no bound.
        pub requests_per_connection: u32 = 0,
        /// Bytes of a request head; more is answered with 431.
        pub head: ByteSize = ByteSize::kib(64),
        /// Header fields in a request; more are answered with 431.
        pub headers: u16 = 100,
        /// Bytes of a request target; more is answered with 414.
        pub target: ByteSize = ByteSize::kib(16),
        /// Requests at once on one HTTP/2 connection.
        pub streams: u32 = 128,
    }
}
