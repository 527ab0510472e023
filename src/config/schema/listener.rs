//! `[listeners.NAME]`: a socket that accepts traffic.

use std::time::Duration;

use ipnet::IpNet;

use super::{error_page::ErrorPages, rate_limit::RateLimits, register::Register, tls::ListenerTls};
use crate::config::setting::{table, words};
use crate::config::value::{BindAddress, ByteSize, FileMode};

table! {
    /// A socket that accepts traffic.
    pub struct Listener {
        /// Address to bind: `"ip:port"` or `"unix:path"`. It is the identity of the listener.
        pub address: BindAddress,
        /// Restricts `[::]` to IPv6. By default it accepts clients of both families, except on an IPv4 address that another listener has at the same port. A change needs a restart.
        pub ipv6_only: bool = false,
        /// Mode of the file of a Unix socket, such as `"0660"`, which decides who may connect. By default the umask decides.
        pub mode: Option<FileMode> = None,
        /// Protocols spoken. Without TLS, `h2` is spoken to clients that start with it (prior knowledge). `h3` needs TLS, is spoken on the UDP port of the same number, and is offered to clients of the others by `Alt-Svc`.
        pub protocols: Vec<ListenerProtocol> = vec![ListenerProtocol::Http1, ListenerProtocol::H2],
        /// Peers that must send a PROXY protocol header. Off by default.
        pub proxy_protocol: Option<ProxyProtocol> = None,
        /// Timeouts of clients.
        pub timeouts: ListenerTimeouts = ListenerTimeouts::default(),
        /// Treatment of header names with `_`, which some servers take for `-`: `"drop"` removes and counts them, `"refuse"` answers 400.
        pub underscores: Underscores = Underscores::Drop,
        /// Bounds on what a client may use.
        pub limits: ListenerLimits = ListenerLimits::default(),
        /// Limits on the rate of requests, asked before a request is routed, whichever route it may have: one rule, or a list of rules. The key `"route"` does not exist here.
        pub rate_limit: RateLimits = RateLimits::default(),
        /// Pages for requests that end before they have a route: no route fits, the head is not valid, the listener's rate limit is exceeded. As `error_pages` of a route, which has those of its own requests.
        pub error_pages: ErrorPages = ErrorPages::default(),
        /// TLS; without this table the listener speaks plain HTTP.
        pub tls: Option<ListenerTls> = None,
        /// Registry that the listener is entered into, where others find it.
        pub register: Option<Register> = None,
    }
}

table! {
    /// Peers that must send a PROXY protocol header, version 1 or 2, and are believed.
    pub struct ProxyProtocol {
        /// Peers that must begin each connection with a header, before TLS and within `timeouts.handshake`. From any other peer a header is a malformed request. The peer of a Unix socket is 127.0.0.1.
        pub from: Vec<IpNet>,
    }
}

words! {
    /// A version of HTTP.
    pub enum ListenerProtocol {
        /// HTTP/1.1, and 1.0 from clients.
        Http1 = "http/1.1",
        /// HTTP/2 (RFC 9113).
        H2 = "h2",
        /// HTTP/3 (RFC 9114): over QUIC, on the UDP port of the same number. Needs TLS.
        H3 = "h3",
    }
}

words! {
    /// Treatment of header names with `_`.
    pub enum Underscores {
        /// Removes and counts them.
        Drop = "drop",
        /// Passes them on.
        Allow = "allow",
        /// Answers the request with 400.
        Refuse = "refuse",
    }
}

table! {
    /// Timeouts of clients.
    pub struct ListenerTimeouts: Default {
        /// Time for the PROXY protocol header and the TLS handshake together.
        pub handshake: Duration = Duration::from_secs(5),
        /// Time from the first byte of a request to the end of its head; then 408.
        pub head: Duration = Duration::from_secs(10),
        /// Time without a request on a kept connection; then it is closed.
        pub idle: Duration = Duration::from_secs(75),
        /// Age at which a connection takes no more requests and closes after those in progress; varied by up to 10 % for each connection. 0: no bound.
        pub lifetime: Duration = Duration::ZERO,
        /// Time without a byte of a request body received (then 408) or of a response sent (then the connection is cut). For a gRPC call the `timeouts.idle` of its route applies instead.
        pub body_idle: Duration = Duration::from_secs(30),
    }
}

table! {
    /// Bounds on what a client may use.
    pub struct ListenerLimits: Default {
        /// Connections open at once; one more is answered with 503 and closed, over TLS closed without an answer, over QUIC refused. 0: no bound.
        pub connections: u32 = 20_000,
        /// Connections open at once of one client, which is an IPv4 address or an IPv6 /64; behind a PROXY protocol header the client that it names. One more is answered with 503 and closed; over TLS it is closed without an answer, over HTTP/3 with the code H3_EXCESSIVE_LOAD. 0: no bound.
        pub connections_per_client: u32 = 0,
        /// Requests on one connection before it is closed. Clients of HTTP/2 and HTTP/3 are told to go (GOAWAY), and for up to 1 s requests that were on their way are served. 0: no bound.
        pub requests_per_connection: u32 = 0,
        /// Bytes of a request head, 1KiB to 1MiB; more is answered with 431.
        pub head: ByteSize = ByteSize::kib(64),
        /// Header fields in a request, 1 to 4096; more are answered with 431.
        pub headers: u16 = 100,
        /// Bytes of a request target; more is answered with 414.
        pub target: ByteSize = ByteSize::kib(16),
        /// Requests at once on one HTTP/2 or HTTP/3 connection, 1 to 65535.
        pub streams: u32 = 128,
    }
}
