//! Login at an OpenID provider.

mod back_channel;
mod exchange;
mod hostile;
mod login;
mod logout;
mod real;
mod renewal;
mod session;

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::jwt::{Issuer, encode};
use crate::harness::{Act, Answer, Backend, Gate, Proxy, Seen, Settings, to_base64};

/// A provider, as far as the proxy sees it; what a browser does there is done by the test.
pub(super) struct Provider {
    pub(super) backend: Backend,
    pub(super) state: Arc<Mutex<State>>,
}

/// State of the provider.
pub(super) struct State {
    pub(super) issuer: Issuer,
    /// Codes that were given and not used.
    codes: BTreeMap<String, Parameters>,
    /// Refresh tokens that count.
    pub(super) refresh_tokens: Vec<String>,
    /// Members of the next ID tokens; `null` removes one.
    pub(super) claims: Value,
    /// Header of the next ID tokens.
    pub(super) header: String,
    pub(super) expires_in: u64,
    /// Answers with this status in place of tokens.
    pub(super) fails: Option<u16>,
    /// Answers for tokens wait for it.
    pub(super) held: Option<Gate>,
    /// Scheme of its URLs.
    pub(super) scheme: &'static str,
    /// Kinds of grants that were asked for.
    pub(super) grants: Vec<String>,
}

pub(super) type Parameters = BTreeMap<String, String>;

/// A browser with its cookies.
pub(super) struct Browser<'a> {
    proxy: &'a Proxy,
    pub(super) cookies: BTreeMap<String, String>,
}

pub(super) const KEY: &str = "the first secret of the cookies, long";

pub(super) const ACCESS_TOKEN: &str = "an access token";

pub(super) const ROUTES: &str = r#"
    [access_log]
    path = "access.log"
    [listeners.web]
    address = "$web"
    [routes.shop]
    path_prefix = "/shop"
    pool = "app"
    rate_limit = { key = "jwt:sub", rate = "1000/s" }
    headers_request = { set = { x-name = "{jwt.email}" } }
    [routes.shop.auth.oidc]
    issuer = "http://$provider"
    client_id = "shop"
    client_secret = "a client's secret: with / and +"
    session = { secret = "the first secret of the cookies, long", cookie = "in" }
    forward = { x-user = "sub", x-groups = "groups" }
    timeout = "20s"
    [pools.app]
    endpoints = ["$app"]
"#;

pub(super) async fn start(text: &str, app: &Backend, provider: &Provider) -> Proxy {
    let settings = Settings::new(text).backend("app", app);
    let proxy = settings.address("provider", provider.backend.address());
    let proxy = proxy.start().await;
    crate::harness::eventually("the provider is known", || async {
        let mut browser = Browser::new(&proxy);
        (browser.open("/shop/").await.status == 302).then_some(())
    })
    .await;
    proxy
}

pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap().as_secs()
}

/// Runs futures at once; returns their results as they come.
pub(super) async fn at_once<T>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut all: Vec<_> = all.map(Box::pin).collect();
    let mut results = Vec::new();
    poll_fn(|cx| {
        all.retain_mut(|one| match one.as_mut().poll(cx) {
            Poll::Ready(result) => {
                results.push(result);
                false
            }
            Poll::Pending => true,
        });
        match all.is_empty() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    results
}

impl Provider {
    pub(super) async fn start() -> Self {
        let state = Arc::new(Mutex::new(State {
            issuer: Issuer::new(),
            codes: BTreeMap::new(),
            refresh_tokens: Vec::new(),
            claims: json!({}),
            header: r#"{"alg":"EdDSA","kid":"ed"}"#.to_owned(),
            expires_in: 3600,
            fails: None,
            held: None,
            scheme: "http",
            grants: Vec::new(),
        }));
        let shared = Arc::clone(&state);
        let backend = Backend::start(move |seen| {
            let held = shared.lock().unwrap().held.clone();
            let held = held.filter(|_| seen.target == "/token").map(Act::Wait);
            let shared = Arc::clone(&shared);
            let reply = move |seen: &Seen| shared.lock().unwrap().answer(seen);
            let mut acts = vec![Act::Read];
            acts.extend(held);
            acts.push(Act::Reply(Arc::new(reply)));
            acts
        })
        .await;
        Self { backend, state }
    }

    pub(super) fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
    }

    /// Logs somebody in who was sent here, and returns the target that he is sent back to.
    pub(super) fn log_in(&self, redirect: &Answer) -> String {
        let asked = parameters(redirect.field("location"));
        let code = format!("code {}/+", rand::random::<u64>());
        let state = asked["state"].clone();
        let target = asked["redirect_uri"]
            .splitn(4, '/')
            .nth(3)
            .unwrap()
            .to_owned();
        let encoded = code.replace(' ', "%20").replace('+', "%2B");
        self.set(|it| drop(it.codes.insert(code, asked)));
        format!("/{target}?code={encoded}&state={state}")
    }
}

impl State {
    /// Forgets all refresh tokens.
    pub(super) fn forget(&mut self) {
        self.refresh_tokens.clear();
    }

    fn answer(&mut self, seen: &Seen) -> Vec<u8> {
        let issuer = format!("{}://{}", self.scheme, seen.field("host"));
        let (status, body) = match (&*seen.target, self.fails) {
            ("/token" | "/revoke", Some(status)) => (status, json!({})),
            ("/revoke", None) => self.revoke(seen),
            ("/token", None) => self.tokens(seen, &issuer),
            ("/jwks", _) => (200, self.issuer.jwks()),
            ("/.well-known/openid-configuration", _) => (
                200,
                json!({
                    "issuer": issuer, "authorization_endpoint": format!("{issuer}/auth?tenant=1"),
                    "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/jwks"),
                    "end_session_endpoint": format!("{issuer}/end"),
                    "revocation_endpoint": format!("{issuer}/revoke"),
                    "id_token_signing_alg_values_supported": ["EdDSA", "RS256", "HS256", "none"],
                }),
            ),
            other => panic!("{other:?}"),
        };
        let body = body.to_string();
        let length = body.len();
        format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
    }

    /// Reads the form of the client that is known here.
    fn form(seen: &Seen) -> Parameters {
        let secret = "shop:a%20client%27s%20secret%3A%20with%20%2F%20and%20%2B";
        let basic = format!("Basic {}", to_base64(secret.as_bytes()));
        assert_eq!(seen.field("authorization"), basic);
        parameters(&format!("?{}", String::from_utf8_lossy(&seen.body)))
    }

    fn revoke(&mut self, seen: &Seen) -> (u16, Value) {
        let form = Self::form(seen);
        assert_eq!(form["token_type_hint"], "refresh_token");
        self.refresh_tokens.retain(|it| *it != form["token"]);
        (200, json!({}))
    }

    fn tokens(&mut self, seen: &Seen, issuer: &str) -> (u16, Value) {
        let form = Self::form(seen);
        self.grants.push(form["grant_type"].clone());
        let refused = (400, json!({ "error": "invalid_grant" }));
        let nonce = match &*form["grant_type"] {
            "authorization_code" => {
                let Some(asked) = self.codes.remove(&form["code"]) else {
                    return refused;
                };
                let verifier = digest(&SHA256, form["code_verifier"].as_bytes());
                assert_eq!(asked["code_challenge"], encode(verifier.as_ref()));
                assert_eq!(asked["redirect_uri"], form["redirect_uri"]);
                Some(asked["nonce"].clone())
            }
            _ => {
                let known = self
                    .refresh_tokens
                    .iter()
                    .position(|it| *it == form["refresh_token"]);
                let Some(place) = known else { return refused };
                self.refresh_tokens.remove(place);
                None
            }
        };
        let mut claims = json!({
            "iss": issuer, "aud": "shop", "sub": "anna", "email": "anna@shop.example",
            "groups": ["staff", "buyers"], "iat": now(), "exp": now() + 3600,
        });
        if let Some(nonce) = nonce {
            claims["nonce"] = nonce.into();
        }
        for (name, value) in self.claims.as_object().unwrap() {
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
                value => claims[name] = value.clone(),
            }
        }
        let refresh_token = format!("refresh {}", rand::random::<u64>());
        self.refresh_tokens.push(refresh_token.clone());
        let id_token = self.issuer.ed(&self.header, &claims);
        let expires_in = self.expires_in;
        (
            200,
            json!({ "id_token": id_token, "refresh_token": refresh_token, "expires_in": expires_in, "token_type": "Bearer", "access_token": ACCESS_TOKEN }),
        )
    }
}

/// Parameters of a query or form.
pub(super) fn parameters(url: &str) -> Parameters {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), decoded(value)))
        .collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        rest = more;
        if *first == b'%' {
            let digits = std::str::from_utf8(&rest[..2]).unwrap();
            bytes.push(u8::from_str_radix(digits, 16).unwrap());
            rest = &rest[2..];
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).unwrap()
}

impl<'a> Browser<'a> {
    pub(super) fn new(proxy: &'a Proxy) -> Self {
        Self {
            proxy,
            cookies: BTreeMap::new(),
        }
    }

    /// Opens a page.
    pub(super) async fn open(&mut self, target: &str) -> Answer {
        self.ask(
            "GET",
            target,
            "accept: text/html\nsec-fetch-mode: navigate\nsec-fetch-dest: document\nsec-fetch-site: none\n",
        )
        .await
    }

    pub(super) async fn ask(&mut self, method: &str, target: &str, lines: &str) -> Answer {
        let lines = format!("{lines}{}", self.cookie_line());
        let answer = self.proxy.request(method, target, &lines, b"").await;
        self.take(&answer);
        answer
    }

    pub(super) fn cookie_line(&self) -> String {
        if self.cookies.is_empty() {
            return String::new();
        }
        let pairs = self.cookies.iter();
        let pairs: Vec<String> = pairs
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        format!("cookie: {}\n", pairs.join("; "))
    }

    /// Does with cookies what a browser does.
    pub(super) fn take(&mut self, answer: &Answer) {
        for line in answer.fields.all("set-cookie") {
            assert!(
                line.len() <= 4096,
                "a browser drops it: {} bytes",
                line.len()
            );
            let (pair, attributes) = line.split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if attributes.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    /// Opens a page, and logs in for it; returns the answer to the return from the provider.
    pub(super) async fn log_in(&mut self, target: &str, provider: &Provider) -> Answer {
        let redirect = self.open(target).await;
        assert_eq!(redirect.status, 302, "{redirect:?}");
        let back = provider.log_in(&redirect);
        self.open(&back).await
    }

    /// Another browser with the same cookies.
    pub(super) fn copy(&self) -> Self {
        Self {
            proxy: self.proxy,
            cookies: self.cookies.clone(),
        }
    }

    /// Names of its cookies.
    pub(super) fn names(&self) -> Vec<&str> {
        self.cookies.keys().map(String::as_str).collect()
    }
}
