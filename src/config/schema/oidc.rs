//! `oidc` of `auth`: login at an OpenID provider.

use std::{path::PathBuf, time::Duration};

use http::HeaderName;
use serde_json::Value;

use super::route::{PathRule, Route};
use crate::config::setting::{Form, Node, Reader, Setting, Shape, table};
use crate::config::value::{HttpUrl, Secret, ValueMatch};
use crate::route::PathMatch;

table! {
    /// Login at an OpenID provider (authorization code with PKCE). A browser that opens a page is sent there; whoever asks for anything else is answered with 401. `{auth.user}` is the claim `sub`, `{jwt.NAME}` any claim of the ID token.
    pub struct OidcAuth {
        /// URL of the provider, exactly as its tokens have it in `iss`. `/.well-known/openid-configuration` below it is fetched at the start and every hour.
        pub issuer: String,
        /// Name of the proxy at the provider.
        pub client_id: String,
        /// Secret of the proxy at the provider; none: it is a public client, which PKCE protects alone.
        pub client_secret: Option<Secret> = None,
        /// Scopes that are asked for; `openid` must be among them. With `offline_access` many providers give a refresh token.
        pub scopes: Vec<String> = vec!["openid".to_owned(), "email".to_owned(), "profile".to_owned()],
        /// Path at which a login ends, or its whole URL where the proxy does not see the host that browsers use. The route, or another one with this provider, must match it, and the provider must know the URL. Default: `/oidc/callback` below the route's `path_prefix`.
        pub callback: Option<String> = None,
        /// Path that ends a session, here and at the provider, and revokes its refresh token. A GET that comes from another page is answered by a page that asks. Default: `/oidc/logout` below the route's `path_prefix`.
        pub logout: Option<String> = None,
        /// Path at which the provider ends sessions (back-channel logout); the provider must know its URL. The route, or another one with this provider, must match it. Default: the provider cannot.
        pub backchannel_logout: Option<String> = None,
        /// Path or URL that a browser gets to after a logout. A provider must know it. Default: it is told in a line of text.
        pub logged_out: Option<String> = None,
        /// More parameters of the redirect to the provider, such as `{ prompt = "consent" }`.
        pub parameters: Vec<(String, String)> = Vec::new(),
        /// Values that claims must have, as for `jwt`. Otherwise 403.
        pub claims: Vec<(String, ValueMatch)> = Vec::new(),
        /// Fields that the endpoint gets with claims, such as `{ x-user = "sub" }`; what the client wrote into them is removed.
        pub forward: Vec<(HeaderName, String)> = Vec::new(),
        /// Claim for `{auth.user}`.
        pub user: String = "sub".to_owned(),
        /// File of the authorities that may certify the provider, as PEM; by default the system's.
        pub ca: Option<PathBuf> = None,
        /// Time for one request to the provider, at most 30s.
        pub timeout: Duration = Duration::from_secs(5),
        /// Time by which clocks may differ, at most 10m.
        pub leeway: Duration = Duration::from_secs(30),
        /// Sessions of those who have logged in.
        pub session: OidcSession,
    }
}

table! {
    /// Sessions of those who have logged in: sealed cookies, `HttpOnly`, `SameSite=Lax`, over TLS `Secure` and with `__Host-` before their names. No endpoint gets them, nor those of other routes of the same hosts. All proxies with the same secret know them.
    pub struct OidcSession {
        /// Secret that the cookies are sealed with, at least 32 bytes; or a list, of which the first one seals and all open.
        pub secret: SealSecrets,
        /// Name of the cookies. Default: `sluicegate_` and digits for issuer and client.
        pub cookie: Option<String> = None,
        /// True if endpoints of other routes of the same hosts get the cookies, for another proxy that opens them.
        pub other_routes: bool = false,
        /// Time after a login at which a session ends, 1m to 30d. It ends before if the provider's tokens do and are not renewed.
        pub lifetime: Duration = Duration::from_secs(43_200),
    }
}

/// Secrets of which the first one seals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealSecrets(pub Vec<Secret>);

impl Setting for SealSecrets {
    fn shape() -> Shape {
        Shape {
            kind: "secret or list of secrets".into(),
            ..Secret::shape()
        }
    }

    fn form() -> Form {
        Secret::form().or(Form::List(Box::new(Secret::form())))
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match node.list() {
            Some(_) => Vec::read(node, reader).map(Self),
            None => Secret::read(node, reader).map(|secret| Self(vec![secret])),
        }
    }

    fn print(&self) -> Value {
        match &self.0[..] {
            [one] => one.print(),
            several => Value::Array(several.iter().map(Setting::print).collect()),
        }
    }
}

/// Path at which the proxy answers a browser itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnPath {
    /// Scheme and host, if they are written.
    pub origin: Option<String>,
    /// The path.
    pub path: String,
}

impl OidcAuth {
    /// The path at which a login ends; none if it is malformed.
    pub fn callback_of(&self, route: &Route) -> Option<OwnPath> {
        match self.callback.as_deref() {
            Some(written) if !written.starts_with('/') => {
                let url = HttpUrl::parse(written).ok()?;
                let scheme = if url.tls { "https" } else { "http" };
                Some(OwnPath {
                    origin: Some(format!("{scheme}://{}", url.authority)),
                    path: plain(&url.path)?,
                })
            }
            Some(written) => OwnPath::at(written),
            None => OwnPath::at(&below(route, "/oidc/callback")),
        }
    }

    /// The path at which the provider ends sessions; none if it is malformed or not written.
    pub fn back_channel_of(&self) -> Option<OwnPath> {
        OwnPath::at(self.backchannel_logout.as_deref()?)
    }

    /// The path that ends a session; none if it is malformed.
    pub fn logout_of(&self, route: &Route) -> Option<OwnPath> {
        match &self.logout {
            Some(written) => OwnPath::at(written),
            None => OwnPath::at(&below(route, "/oidc/logout")),
        }
    }
}

impl OwnPath {
    fn at(path: &str) -> Option<Self> {
        let path = plain(path)?;
        Some(Self { origin: None, path })
    }
}

/// A path that no normalisation changes.
fn plain(path: &str) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    let fits = path.starts_with('/')
        && path.bytes().all(allowed)
        && !path.contains("//")
        && !path.split('/').any(|segment| matches!(segment, "." | ".."));
    fits.then(|| path.to_owned())
}

fn below(route: &Route, rest: &str) -> String {
    match &route.path {
        Some(rule @ PathRule::Prefix(_)) => match rule.matcher() {
            Ok(PathMatch::Prefix(prefix)) => format!("{prefix}{rest}"),
            _ => rest.to_owned(),
        },
        _ => rest.to_owned(),
    }
}
