//! `cache` of a route: answers that are stored for others.

use std::{path::PathBuf, time::Duration};

use http::HeaderName;

use crate::config::setting::table;
use crate::config::value::ByteSize;

table! {
    /// A shared cache of answers to GET (RFC 9111), in memory and on disk, for all workers. Only what the answer itself allows is stored, or what `default_ttl` says; `docs/caching.md` has the rules.
    pub struct Cache: Default {
        /// Memory for stored answers of the route, heads included; at least 1MiB. When it is full, what is asked for least leaves.
        pub max_size: ByteSize = ByteSize::kib(256 << 10),
        /// Bytes of the largest body that is stored; a larger one is passed on only. At most a quarter of `max_size`, and of `disk_max` with `disk`; a smaller cache has that as default.
        pub entry_max: ByteSize = ByteSize::kib(8 << 10),
        /// Folder for answers that outlive the process; each route has a folder of its own in it, `route-NAME`, for this user alone. Without it they are in memory only. Answers that are fresh for less than 10s are not written. A slow, full or failing disk costs hits, and nothing else.
        pub disk: Option<PathBuf> = None,
        /// Bytes on disk for the answers of the route; at least 1MiB. When they are used up, what is asked for least leaves.
        pub disk_max: ByteSize = ByteSize::kib(1 << 20),
        /// Freshness of answers with 200, 203, 204, 300, 301 or 308 that do not say how long they may be used. 0: these are not stored.
        pub default_ttl: Duration = Duration::ZERO,
        /// The same for 404, 405, 410, 414 and 501.
        pub negative_ttl: Duration = Duration::ZERO,
        /// Obeys `stale-while-revalidate` of answers: a stale one is served while one request fetches a new one.
        pub stale_while_revalidate: bool = true,
        /// Time for which a stale answer is served in place of a failure or of a 500, 502, 503 or 504. The answer's own `stale-if-error` counts before this; `must-revalidate`, `proxy-revalidate` and `s-maxage` forbid it. 0: only answers that allow it.
        pub stale_if_error: Duration = Duration::from_secs(60),
        /// Time that requests wait for the answer that another request with the same key is fetching; then they go to an endpoint, too. 0: they never wait.
        pub collapse_timeout: Duration = Duration::from_secs(5),
        /// Obeys `no-cache`, `no-store`, `max-age` and `min-fresh` of requests (and `Pragma: no-cache`): any client can then make the proxy ask an endpoint. `only-if-cached` is always obeyed.
        pub client_refresh: bool = false,
        /// Stores answers with `Set-Cookie`, without that field; otherwise they are not stored.
        pub set_cookie: bool = false,
        /// Parts of a request that tell answers apart.
        pub key: CacheKey = CacheKey::default(),
    }
}

table! {
    /// Key of stored answers. It always has the scheme, the host, the path, and the query as the client sent them; on a route with `split` or `rollout` the pool or version, too.
    pub struct CacheKey: Default {
        /// Parameters of the query that do not count; `*` at the end stands for any rest: `["utm_*", "gclid"]`.
        pub query_ignore: Vec<String> = Vec::new(),
        /// Only these parameters of the query count. Not together with `query_ignore`.
        pub query_keep: Vec<String> = Vec::new(),
        /// Headers whose values count.
        pub headers: Vec<HeaderName> = Vec::new(),
        /// Cookies whose values count.
        pub cookies: Vec<String> = Vec::new(),
        /// The host counts. `false`: all hosts of the route share their answers.
        pub host: bool = true,
    }
}
