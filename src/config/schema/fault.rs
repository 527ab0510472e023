//! `fault` of a route: delays and failures on purpose.

use std::time::Duration;

use http::{HeaderName, StatusCode};

use crate::config::setting::table;
use crate::config::value::{Ratio, ValueMatch};

table! {
    /// Delays requests, or answers them with a failure, on purpose: to test what depends on the route. Needs `faults = true` in `[proxy]`.
    pub struct RouteFault {
        /// Delay before the request goes on, up to a minute; it holds no place at the pool.
        pub delay: Option<Duration> = None,
        /// Status of the failure that the request is answered with, 400 to 599; after the delay, if there is one. gRPC calls get the status of gRPC that fits.
        pub abort: Option<StatusCode> = None,
        /// Share of the requests.
        pub share: Ratio = Ratio::ONE,
        /// Values that headers of a request must have, as for the route; other requests are left alone.
        pub headers: Vec<(HeaderName, ValueMatch)> = Vec::new(),
        /// Name of a header by which a client asks for a fault of its own, such as `delay=250ms, abort=503`, whatever `share` and `headers` say; up to a minute, too. Without this no client can. A value that cannot be read is ignored.
        pub ask: Option<HeaderName> = None,
    }
}

impl RouteFault {
    /// Maximum delay, also of one that a client asks for.
    pub const DELAY_MAX: Duration = Duration::from_secs(60);
}
