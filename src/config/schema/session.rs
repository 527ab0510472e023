//! `[pools.NAME.session]`: clients that stay with one endpoint.

use std::time::Duration;

use http::HeaderName;

use crate::config::setting::{table, words};
use crate::config::value::Secret;

table! {
    /// Clients stay with the endpoint that served them first, by a sealed token that they carry. Nothing is stored: all proxies with the same secret agree.
    pub struct Session {
        /// Name of the cookie that carries the token; the proxy sets it, `HttpOnly`, and `Secure` where the client uses TLS. Either this or `header`.
        pub cookie: Option<String> = None,
        /// Header field that carries the token, in the response and in the client's further requests. Either this or `cookie`.
        pub header: Option<HeaderName> = None,
        /// Time for which a token counts; in its second half the next response renews it. 0: for ever, and a cookie until the browser is closed.
        pub ttl: Duration = Duration::from_secs(3600),
        /// Path that the cookie is for.
        pub path: String = "/".to_owned(),
        /// Requests from other sites that browsers send the cookie with.
        pub same_site: SameSite = SameSite::Lax,
        /// Secret that tokens are sealed with, at least 16 bytes; the same in all proxies. A change ends all sessions.
        pub secret: Secret,
    }
}

words! {
    /// Requests from other sites that browsers send a cookie with.
    pub enum SameSite {
        /// None.
        Strict = "strict",
        /// Links only.
        Lax = "lax",
        /// All, where the client uses TLS.
        None = "none",
    }
}
