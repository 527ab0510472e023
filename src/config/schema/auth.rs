//! `auth` of a route: who a client is, and whether he may pass.

use http::HeaderName;
use serde_json::Value;

use super::oidc::OidcAuth;
use super::token::{ForwardAuth, JwtAuth};
use crate::config::setting::{
    Choice as _, Form, KeyDoc, Node, Reader, Setting, Shape, Spanned, choice, print_choice,
    read_choice, table,
};
use crate::config::value::{ApiKeys, Htpasswd, ReadFile, ValueMatch};

choice! {
    /// A way to authenticate a client.
    pub enum AuthStep {
        /// Users and passwords (HTTP Basic).
        "basic" => Basic(BasicAuth),
        /// Keys of programs.
        "api_key" => ApiKey(ApiKeyAuth),
        /// Signed tokens.
        "jwt" => Jwt(Box<JwtAuth>),
        /// Leave of a service.
        "forward" => Forward(Box<ForwardAuth>),
        /// Verified certificates of clients.
        "mtls" => Mtls(MtlsAuth),
        /// Login at an OpenID provider.
        "oidc" => Oidc(Box<OidcAuth>),
        /// A list of these, of which one is enough: `{ any = [{ api_key = { … } }, { basic = { … } }] }`.
        "any" => Any(AuthSteps),
    }
}

/// Ways to authenticate a client: one table, or a list of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AuthSteps(pub Vec<Spanned<AuthStep>>);

table! {
    /// HTTP Basic authentication (RFC 7617). `{auth.user}` is the name of the user.
    pub struct BasicAuth {
        /// Users and the hashes of their passwords, as `htpasswd` writes them: bcrypt (`htpasswd -B`), argon2, SHA-crypt (`$5$`, `$6$`), `$apr1$` or `{SHA}`. The file is watched.
        pub file: ReadFile<Htpasswd>,
        /// Realm that browsers show; by default the name of the route.
        pub realm: Option<String> = None,
        /// Sends `Authorization` on to the endpoint.
        pub keep: bool = false,
    }
}

table! {
    /// API keys. `{auth.user}` is the name of the key.
    pub struct ApiKeyAuth {
        /// A name and the SHA-256 of a key on each line: `mobile sha256:HEX`. `printf %s KEY | sha256sum` prints HEX. The file is watched.
        pub file: ReadFile<ApiKeys>,
        /// Sends the key on to the endpoint.
        pub keep: bool = false,
    }
    choices {
        /// Place of the key in a request: exactly one of these.
        pub source: KeySource,
    }
}

choice! {
    /// Place of a key in a request.
    pub enum KeySource {
        /// A header, such as `"x-api-key"`. In `"authorization"` the key stands behind `Bearer`.
        "header" => Header(HeaderName),
        /// A parameter of the query. The access log shows `***` in its place.
        "query" => Query(String),
        /// A cookie.
        "cookie" => Cookie(String),
    }
}

table! {
    /// Verified certificates of clients; needs `client_ca` in a listener. One condition that holds is enough; without any, each verified certificate passes. `{auth.user}` is the subject.
    pub struct MtlsAuth: Default {
        /// Subjects as `{tls.subject}` writes them (RFC 4514): `"CN=billing,O=Example"` or `{ regex = "…" }`.
        pub subjects: Vec<ValueMatch> = Vec::new(),
        /// DNS names of which the certificate must have one.
        pub dns: Vec<ValueMatch> = Vec::new(),
        /// URIs, such as SPIFFE ids, of which the certificate must have one.
        pub uris: Vec<ValueMatch> = Vec::new(),
    }
}

impl Setting for AuthStep {
    fn shape() -> Shape {
        Shape {
            kind: "table".into(),
            example: "{ basic = { file = \"users.htpasswd\" } }".into(),
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

/// The keys of a step that is one of several.
fn ways() -> Vec<KeyDoc> {
    let all = AuthStep::keys().into_iter();
    all.filter(|key| key.name != "any").collect()
}

impl Setting for AuthSteps {
    fn shape() -> Shape {
        Shape::value("list of tables", "[{ basic = { … } }, { mtls = { … } }]")
    }

    fn form() -> Form {
        Form::List(Box::new(Form::Table(ways)))
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        if node.table().is_some() {
            return Spanned::read(node, reader).map(|step| Self(vec![step]));
        }
        Vec::read(node, reader).map(Self)
    }

    fn print(&self) -> Value {
        self.0.print()
    }
}

/// Authentication of a route: one table, or a list of tables that must all pass.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Auth(pub AuthSteps);

impl Setting for Auth {
    fn shape() -> Shape {
        Shape {
            kind: "table or list of tables".into(),
            ..AuthStep::shape()
        }
    }

    fn form() -> Form {
        AuthStep::form().or(Form::List(Box::new(AuthStep::form())))
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        AuthSteps::read(node, reader).map(Self)
    }

    fn print(&self) -> Value {
        self.0.print()
    }

    fn has_switch() -> bool {
        true
    }
}

impl Auth {
    /// All ways, those of which one is enough as well.
    pub fn ways(&self) -> impl Iterator<Item = &AuthStep> {
        self.0.0.iter().flat_map(|step| {
            let (one, any) = match &step.value {
                AuthStep::Any(any) => (None, &any.0[..]),
                other => (Some(other), &[][..]),
            };
            one.into_iter().chain(any.iter().map(|step| &step.value))
        })
    }
}

impl AuthStep {
    /// Returns true if the client comes with claims.
    pub fn has_claims(&self) -> bool {
        matches!(self, Self::Jwt(_) | Self::Oidc(_))
    }

    /// Its key.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Basic(_) => "basic",
            Self::ApiKey(_) => "api_key",
            Self::Jwt(_) => "jwt",
            Self::Forward(_) => "forward",
            Self::Mtls(_) => "mtls",
            Self::Oidc(_) => "oidc",
            Self::Any(_) => "any",
        }
    }
}
