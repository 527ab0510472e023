//! `shadow` of a route: copies of requests to another pool or version.

use std::time::Duration;

use http::{HeaderName, Method};

use crate::config::setting::{Spanned, table, words};
use crate::config::value::{ByteSize, Name, Ratio};

table! {
    /// Copies of requests to another pool or version. Clients never wait for them and never see their answers. A copy has the header `X-Sluicegate-Shadow` with the name of the route.
    pub struct Shadow {
        /// Pool that gets the copies. Not set: the pool of the route.
        pub pool: Option<Spanned<Name>> = None,
        /// Version that gets the copies. Not set: any of the pool. A request that goes to this version anyway is not copied.
        pub version: Option<semver::VersionReq> = None,
        /// Share of the requests.
        pub share: Ratio = Ratio::ONE,
        /// Methods whose requests are copied. A copy of a POST has its effect, too.
        pub methods: Vec<Method> = vec![Method::GET, Method::HEAD, Method::OPTIONS],
        /// Comparison of both answers. Not set: the answer to a copy is dropped.
        pub compare: Option<ShadowCompare> = None,
        /// Time for a copy until the end of its answer.
        pub timeout: Duration = Duration::from_secs(5),
        /// Copies under way at once, of all workers together; more are counted and not made.
        pub in_flight_max: u32 = 100,
        /// Bytes of a request body that is copied, and of each body that is compared as JSON; larger ones are counted.
        pub body_max: ByteSize = ByteSize::kib(64),
    }
}

table! {
    /// Parts of the answers that are compared.
    pub struct ShadowCompare: Default {
        /// The status, also that of a gRPC call.
        pub status: bool = true,
        /// Headers whose values are compared.
        pub headers: Vec<HeaderName> = Vec::new(),
        /// The body. Not set: any.
        pub body: Option<ShadowBody> = None,
        /// Members of JSON bodies that may differ, as paths such as `"/updated_at"` or `"/items/*/id"` (RFC 6901; `*` is any member or element).
        pub json_ignore: Vec<String> = Vec::new(),
    }
}

words! {
    /// Comparison of bodies.
    pub enum ShadowBody {
        /// Byte for byte, as the services send them.
        Bytes = "bytes",
        /// As JSON: the order of members and white space do not count, and codings such as gzip are undone. Bodies that are no JSON are compared byte for byte.
        Json = "json",
    }
}
