//! Signed tokens: which count, and what the endpoint learns of them.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use aws_lc_rs::{hmac, rsa, signature};
use serde_json::{Value, json};

use crate::harness::{Answer, Backend, Proxy, Settings, answer, to_base64};

/// Keys of an issuer, one of each type.
pub(super) struct Issuer {
    ed: Ed25519KeyPair,
    ec: EcdsaKeyPair,
    rsa: rsa::KeyPair,
    secret: [u8; 32],
}

pub(super) fn encode(bytes: &[u8]) -> String {
    let text = to_base64(bytes).replace('+', "-").replace('/', "_");
    text.trim_end_matches('=').to_owned()
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// Claims that the route wants.
pub(super) fn claims() -> Value {
    json!({
        "iss": "https://login.example", "aud": ["shop", "other"], "sub": "anna", "exp": now() + 60,
        "role": "admin", "realm": { "roles": ["reader", "writer"] },
    })
}

/// Claims with one that is different; `null` removes it.
pub(super) fn with(name: &str, value: Value) -> Value {
    let mut all = claims();
    match value {
        Value::Null => drop(all.as_object_mut().unwrap().remove(name)),
        value => all[name] = value,
    }
    all
}

fn join(header: &str, claims: &str, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let signed = format!(
        "{}.{}",
        encode(header.as_bytes()),
        encode(claims.as_bytes())
    );
    let signature = sign(signed.as_bytes());
    format!("{signed}.{}", encode(&signature))
}

impl Issuer {
    pub(super) fn new() -> Self {
        Self {
            ed: Ed25519KeyPair::generate().unwrap(),
            ec: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            rsa: rsa::KeyPair::generate(rsa::KeySize::Rsa2048).unwrap(),
            secret: [7; 32],
        }
    }

    /// The modulus, out of the DER form of the key.
    fn modulus(&self) -> &[u8] {
        &self.rsa.public_key().as_ref()[9..265]
    }

    pub(super) fn jwks(&self) -> Value {
        let point = self.ec.public_key().as_ref();
        json!({ "keys": [
            { "kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": encode(self.ed.public_key().as_ref()) },
            { "kty": "EC", "crv": "P-256", "kid": "ec", "x": encode(&point[1..33]), "y": encode(&point[33..]) },
            { "kty": "RSA", "kid": "rsa", "use": "sig", "n": encode(self.modulus()), "e": "AQAB" },
            { "kty": "oct", "kid": "secret", "k": encode(&self.secret) },
        ] })
    }

    pub(super) fn ed(&self, header: &str, claims: &Value) -> String {
        join(header, &claims.to_string(), |it| {
            self.ed.sign(it).as_ref().to_vec()
        })
    }

    pub(super) fn good(&self, claims: &Value) -> String {
        self.ed(r#"{"alg":"EdDSA","kid":"ed"}"#, claims)
    }

    fn ec(&self, header: &str, claims: &Value) -> String {
        let random = SystemRandom::new();
        join(header, &claims.to_string(), |it| {
            self.ec.sign(&random, it).unwrap().as_ref().to_vec()
        })
    }

    fn rsa(
        &self,
        header: &str,
        claims: &Value,
        padding: &'static dyn signature::RsaEncoding,
    ) -> String {
        join(header, &claims.to_string(), |it| {
            let mut made = vec![0; self.rsa.public_modulus_len()];
            let random = SystemRandom::new();
            self.rsa.sign(padding, &random, it, &mut made).unwrap();
            made
        })
    }
}

fn hs256(secret: &[u8], header: &str, claims: &Value) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    join(header, &claims.to_string(), |it| {
        hmac::sign(&key, it).as_ref().to_vec()
    })
}

const ROUTES: &str = r#"
    [access_log]
    path = "access.log"
    [listeners.web]
    address = "$web"
    [routes.token]
    path_prefix = "/token"
    pool = "app"
    auth = { jwt = { jwks = { file = "jwks.json" }, issuer = "https://login.example", audience = ["shop"], claims = { role = "admin", "realm.roles" = "writer" }, forward = { x-user = "sub", x-roles = "realm.roles" } } }
    headers_request = { set = { x-role = "{jwt.role}", x-name = "{auth.user}" } }
    [routes.secret]
    path_prefix = "/secret"
    pool = "app"
    auth = { jwt = { jwks = { file = "jwks.json" }, algorithms = ["HS256"], cookie = "token", keep = false } }
    [routes.limited]
    path_prefix = "/limited"
    pool = "app"
    auth = { jwt = { jwks = { file = "jwks.json" } } }
    rate_limit = { key = "jwt:sub", rate = "1/h", burst = 2 }
    [pools.app]
    endpoints = ["$app"]
"#;

pub(super) async fn start(issuer: &Issuer, app: &Backend) -> Proxy {
    let settings = Settings::new(ROUTES).backend("app", app);
    let keys = issuer.jwks().to_string();
    fs::write(settings.folder().join("jwks.json"), keys).unwrap();
    settings.start().await
}

pub(super) async fn ask(proxy: &Proxy, target: &str, token: &str) -> Answer {
    let lines = format!("authorization: Bearer {token}\nx-user: root\nx-name: root\n");
    proxy.request("GET", target, &lines, b"").await
}

#[tokio::test]
async fn a_signed_token_lets_its_subject_in() {
    let app = Backend::start(|_| answer("fine")).await;
    let issuer = Issuer::new();
    let proxy = start(&issuer, &app).await;
    let good = [
        issuer.good(&claims()),
        issuer.ed(r#"{"alg":"EdDSA"}"#, &claims()),
        issuer.ec(r#"{"alg":"ES256","kid":"ec","typ":"JWT"}"#, &claims()),
        issuer.rsa(
            r#"{"alg":"RS256","kid":"rsa"}"#,
            &claims(),
            &signature::RSA_PKCS1_SHA256,
        ),
        issuer.rsa(
            r#"{"alg":"RS512","kid":"rsa"}"#,
            &claims(),
            &signature::RSA_PKCS1_SHA512,
        ),
        issuer.rsa(
            r#"{"alg":"PS384","kid":"rsa"}"#,
            &claims(),
            &signature::RSA_PSS_SHA384,
        ),
        issuer.good(&with("aud", json!("shop"))),
        // Clocks differ.
        issuer.good(&with("exp", json!(now() - 10))),
        issuer.good(&with("nbf", json!(now() + 10))),
    ];
    for token in &good {
        let got = ask(&proxy, "/token", token).await;
        assert_eq!(got.status, 200, "{token}");
        let seen = app.seen().pop().unwrap();
        for (field, value) in [
            ("x-user", "anna"),
            ("x-name", "anna"),
            ("x-role", "admin"),
            ("x-roles", "reader,writer"),
        ] {
            assert_eq!(seen.fields.all(field), [value]);
        }
        assert!(seen.fields.has("authorization"));
    }
    proxy
        .logged("of the subject", |line| line["user"] == "anna")
        .await;
    let cookie = hs256(
        &issuer.secret,
        r#"{"alg":"HS256","kid":"secret"}"#,
        &claims(),
    );
    let lines = format!("cookie: a=1; token={cookie}\n");
    assert_eq!(
        proxy.request("GET", "/secret", &lines, b"").await.status,
        200
    );
    assert_eq!(app.seen().pop().unwrap().field("cookie"), "a=1");
    // A name that fits no field leaves none, not the client's own.
    let odd = issuer.good(&with("sub", json!("a\r\nx-admin: 1")));
    assert_eq!(ask(&proxy, "/token", &odd).await.status, 200);
    let seen = app.seen().pop().unwrap();
    assert!(
        !seen.fields.has("x-user") && !seen.fields.has("x-name"),
        "{seen:?}"
    );
    assert!(!seen.fields.has("x-admin"));
    proxy.finish().await;
}

#[expect(clippy::too_many_lines, reason = "a list of forgeries")]
#[tokio::test]
async fn a_token_that_is_forged_or_not_meant_lets_nobody_in() {
    let app = Backend::start(|_| answer("fine")).await;
    let issuer = Issuer::new();
    let proxy = start(&issuer, &app).await;
    let good = issuer.good(&claims());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let other = Issuer::new();
    let none = |word: &str| {
        let header = format!(r#"{{"alg":"{word}"}}"#);
        join(&header, &claims().to_string(), |_| Vec::new())
    };
    let der = issuer.rsa.public_key().as_ref();
    let jwk = other.jwks()["keys"][0].clone();
    let embedded = json!({ "alg": "EdDSA", "jwk": jwk, "jku": "http://127.0.0.1:1/" }).to_string();
    let twice = claims().to_string().replacen('{', r#"{"sub":"root","#, 1);
    let mut broken = good.clone();
    broken.replace_range(5..6, "%");
    let tokens = [
        ("malformed", String::from("x")),
        ("malformed", signed.to_owned()),
        ("malformed", format!("{good}.x")),
        ("malformed", format!("{good}==")),
        ("malformed", broken),
        ("malformed", format!("{}.{}", "a".repeat(20_000), good)),
        ("signature", format!("{signed}.")),
        ("signature", format!("{signed}.{}", encode(&[0; 64]))),
        ("signature", other.good(&claims())),
        (
            "signature",
            format!(
                "{}.{signature}",
                issuer
                    .good(&with("sub", json!("root")))
                    .rsplit_once('.')
                    .unwrap()
                    .0
            ),
        ),
        ("signature", other.ed(&embedded, &claims())),
        // The psychic signature.
        (
            "signature",
            join(
                r#"{"alg":"ES256","kid":"ec"}"#,
                &claims().to_string(),
                |_| vec![0; 64],
            ),
        ),
        ("algorithm", none("none")),
        ("algorithm", none("None")),
        ("algorithm", none("")),
        // The public key taken for a secret.
        (
            "algorithm",
            hs256(der, r#"{"alg":"HS256","kid":"rsa"}"#, &claims()),
        ),
        (
            "algorithm",
            hs256(
                issuer.modulus(),
                r#"{"alg":"HS256","kid":"rsa"}"#,
                &claims(),
            ),
        ),
        (
            "algorithm",
            hs256(
                issuer.ed.public_key().as_ref(),
                r#"{"alg":"HS256"}"#,
                &claims(),
            ),
        ),
        // Right, but HMAC is not allowed here.
        (
            "algorithm",
            hs256(
                &issuer.secret,
                r#"{"alg":"HS256","kid":"secret"}"#,
                &claims(),
            ),
        ),
        (
            "algorithm",
            issuer.ed(r#"{"alg":"EdDSA","kid":"rsa"}"#, &claims()),
        ),
        (
            "no key",
            issuer.ed(r#"{"alg":"EdDSA","kid":"../../dev/null"}"#, &claims()),
        ),
        (
            "no key",
            issuer.ed(r#"{"alg":"EdDSA","kid":"ed' OR '1'='1"}"#, &claims()),
        ),
        (
            "kid",
            issuer.ed(r#"{"alg":"EdDSA","kid":["ed"]}"#, &claims()),
        ),
        (
            "kid",
            issuer.ed(
                &json!({ "alg": "EdDSA", "kid": "e".repeat(300) }).to_string(),
                &claims(),
            ),
        ),
        (
            "extensions",
            issuer.ed(r#"{"alg":"EdDSA","kid":"ed","crit":["exp"]}"#, &claims()),
        ),
        (
            "header",
            issuer.ed(r#"{"alg":"none","alg":"EdDSA","kid":"ed"}"#, &claims()),
        ),
        ("header", issuer.ed("[]", &claims())),
        (
            "claims",
            join(r#"{"alg":"EdDSA","kid":"ed"}"#, &twice, |it| {
                issuer.ed.sign(it).as_ref().to_vec()
            }),
        ),
        ("expired", issuer.good(&with("exp", json!(now() - 60)))),
        ("expiry", issuer.good(&with("exp", Value::Null))),
        ("number", issuer.good(&with("exp", json!("99999999999")))),
        ("yet", issuer.good(&with("nbf", json!(now() + 60)))),
        (
            "issuer",
            issuer.good(&with("iss", json!("https://evil.example"))),
        ),
        (
            "issuer",
            issuer.good(&with("iss", json!(["https://login.example"]))),
        ),
        ("issuer", issuer.good(&with("iss", Value::Null))),
        ("audience", issuer.good(&with("aud", json!(["shop2"])))),
        ("audience", issuer.good(&with("aud", Value::Null))),
    ];
    for (reason, token) in tokens {
        let got = ask(&proxy, "/token", &token).await;
        got.assert_failure(401, "http_request_denied");
        assert!(
            got.field("www-authenticate").contains("invalid_token"),
            "{got:?}"
        );
        let id = got.field("x-request-id").to_owned();
        let line = proxy
            .logged("of it", |line| line["request_id"] == *id)
            .await;
        let detail = line["reason_detail"].as_str().unwrap();
        assert!(detail.contains(reason), "{reason}: {detail}");
    }
    for claims in [
        with("role", json!("user")),
        with("role", Value::Null),
        with("realm", json!({ "roles": ["reader"] })),
    ] {
        let got = ask(&proxy, "/token", &issuer.good(&claims)).await;
        got.assert_failure(403, "http_request_denied");
    }
    let got = proxy.get("/token").await;
    got.assert_failure(401, "http_request_denied");
    assert_eq!(got.field("www-authenticate"), "Bearer realm=\"token\"");
    assert_eq!(app.count(), 0);
    proxy.finish().await;
}
