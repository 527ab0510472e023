//! `jwt` and `forward` of `auth`: tokens, and services that are asked.

use std::{path::PathBuf, time::Duration};

use http::HeaderName;
use serde_json::Value;

use super::auth::KeySource;
use crate::config::setting::{
    Choice as _, Form, Node, Reader, Setting, Shape, Spanned, choice, print_choice, read_choice,
    table,
};
use crate::config::value::{HttpUrl, Jwks, JwtAlgorithm, Name, ReadFile, ValueMatch};

table! {
    /// Signed tokens (JWT). `{auth.user}` is the claim `sub`, `{jwt.NAME}` any claim.
    pub struct JwtAuth {
        /// Keys that sign tokens: `{ url = "https://…" }` or `{ file = "jwks.json" }`, a JWKS (RFC 7517).
        pub jwks: JwksSource,
        /// Time after which keys from a URL are fetched again, 10s to 24h. A token with a key that is not known has them fetched at once, but not within 5 s of the fetch before. While the URL does not answer, the last good keys stay.
        pub refresh: Duration = Duration::from_secs(600),
        /// File of the authorities that may certify the server of the URL, as PEM; by default the system's.
        pub ca: Option<PathBuf> = None,
        /// Value that `iss` must have.
        pub issuer: Option<String> = None,
        /// Values of which `aud` must have one. Empty: any, and none.
        pub audience: Vec<String> = Vec::new(),
        /// Values that other claims must have: a text, `{ regex = "…" }` or `{ present = true }`. Of a list one item must match. A name with dots, such as `"realm_access.roles"`, leads into objects. Otherwise 403.
        pub claims: Vec<(String, ValueMatch)> = Vec::new(),
        /// Algorithms that count. Empty: those with public keys (RS, PS, ES, EdDSA). `"HS256"`, `"HS384"` and `"HS512"` count only if they are named.
        pub algorithms: Vec<JwtAlgorithm> = Vec::new(),
        /// Time by which clocks may differ, at most 10m. `exp` must be there.
        pub leeway: Duration = Duration::from_secs(30),
        /// Fields that the endpoint gets with claims, such as `{ x-user = "sub" }`; what the client wrote into them is removed.
        pub forward: Vec<(HeaderName, String)> = Vec::new(),
        /// Sends the token on to the endpoint.
        pub keep: bool = true,
    }
    choices {
        /// Place of the token; by default `Authorization`, behind `Bearer`.
        pub source: Option<KeySource>,
    }
}

impl JwtAuth {
    /// The algorithms that count.
    pub fn counting(&self) -> Vec<JwtAlgorithm> {
        if self.algorithms.is_empty() {
            JwtAlgorithm::with_public_keys().collect()
        } else {
            self.algorithms.clone()
        }
    }
}

choice! {
    /// Source of the keys of tokens.
    pub enum JwksSource {
        /// A URL that is fetched again and again.
        "url" => Url(HttpUrl),
        /// A file, which is watched.
        "file" => File(ReadFile<Jwks>),
    }
}

impl Setting for JwksSource {
    fn shape() -> Shape {
        Shape {
            kind: "table".into(),
            example: "{ url = \"https://login.example/jwks.json\" }".into(),
            keys: Some(Self::keys),
            named: false,
        }
    }

    fn form() -> Form {
        Form::Table(Self::keys)
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        read_choice(node, &Self::shape(), reader)
    }

    fn print(&self) -> Value {
        print_choice(self)
    }
}

table! {
    /// A service that is asked for each request. It gets a GET with the headers of the request, without its body, and `X-Forwarded-Method`, `-Uri`, `-Host`, `-Proto`, `-For`, `X-Original-Method`, `-URI` and `-URL`. An answer of 2xx lets the client pass. 401, 403 and redirects go to the client as they are. Any other answer, or none, is answered with 502, 503 or 504.
    pub struct ForwardAuth {
        /// Pool of the service.
        pub pool: Spanned<Name>,
        /// Path and query of the GET.
        pub path: String = "/".to_owned(),
        /// Headers of an answer of 2xx that the endpoint gets; what the client wrote into them is removed.
        pub headers: Vec<HeaderName> = Vec::new(),
        /// Header of an answer of 2xx with the name of the client, for `{auth.user}`.
        pub user: Option<HeaderName> = None,
        /// Time for the whole answer, retries included, at most 1m.
        pub timeout: Duration = Duration::from_secs(5),
    }
}
