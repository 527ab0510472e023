//! Features that let clients in.

use super::{Named, route};
use crate::{
    mmdb::{Value, asn, country, database},
    peer::Features,
    token::{Algorithm, Keys},
};

/// Adds lines to those of a route without features.
macro_rules! on_route {
    ($($line:literal),+) => {
        route(concat!("retry = false", $("\n", $line),+))
    };
}

/// Features by which a client is let in.
pub(super) fn all() -> Vec<Named> {
    let mut all = by_address();
    all.extend(by_name());
    all.extend(by_token());
    all
}

fn by_address() -> Vec<Named> {
    vec![
        (
            "access by address",
            route(
                r#"retry = false
access = { allow = ["127.0.0.0/8"] }"#,
            ),
        ),
        (
            "access by method",
            on_route!("access = { methods = [\"GET\", \"HEAD\"] }"),
        ),
        (
            "access by country",
            Features {
                tables: "[geo]\ncountry = \"country.mmdb\"\n",
                files: vec![("country.mmdb", countries())],
                ..on_route!("access = { countries = { allow = [\"DE\", \"FR\"] } }")
            },
        ),
        (
            "access by autonomous system",
            Features {
                tables: "[geo]\nasn = \"asn.mmdb\"\n",
                files: vec![("asn.mmdb", systems())],
                ..on_route!("access = { asns = { deny = [64497] } }")
            },
        ),
        (
            "the country in a header",
            Features {
                tables: "[geo]\ncountry = \"country.mmdb\"\n",
                files: vec![("country.mmdb", countries())],
                ..on_route!("headers_request = { set = { x-country = \"{geo.country}\" } }")
            },
        ),
    ]
}

fn by_name() -> Vec<Named> {
    vec![
        (
            "a password that was found right before",
            Features {
                files: vec![("users", USERS.into())],
                fields: vec![("authorization", "Basic YW5uYTpodW50ZXIy".to_owned())],
                ..on_route!("auth = { basic = { file = \"users\" } }")
            },
        ),
        (
            "an API key",
            Features {
                files: vec![("api-keys", API_KEYS.into())],
                fields: vec![("x-api-key", "hunter2".to_owned())],
                ..on_route!("auth = { api_key = { header = \"x-api-key\", file = \"api-keys\" } }")
            },
        ),
        (
            "a service that is asked for leave",
            on_route!("auth = { forward = { pool = \"app\", path = \"/bytes/0\" } }"),
        ),
        (
            "login at an OpenID provider, with a session",
            Features {
                login: true,
                ..on_route!(
                    "auth = { oidc = { issuer = \"http://$provider\", client_id = \"shop\", forward = { x-user = \"sub\" }, session = { secret = \"0123456789abcdef0123456789abcdef\" } } }"
                )
            },
        ),
    ]
}

fn by_token() -> Vec<Named> {
    let keys = Keys::get();
    let with = |algorithm, features: Features| Features {
        files: vec![("jwks.json", keys.jwks().into_bytes())],
        fields: vec![(
            "authorization",
            format!("Bearer {}", keys.access_token(algorithm)),
        )],
        ..features
    };
    let public = || {
        on_route!(
            "auth = { jwt = { jwks = { file = \"jwks.json\" }, issuer = \"https://login.example\", audience = [\"shop\"] } }"
        )
    };
    let secret = || {
        on_route!(
            "auth = { jwt = { jwks = { file = \"jwks.json\" }, algorithms = [\"HS256\"], audience = [\"shop\"] } }"
        )
    };
    vec![
        ("a token (JWT), ES256", with(Algorithm::Es256, public())),
        ("a token (JWT), RS256", with(Algorithm::Rs256, public())),
        ("a token (JWT), HS256", with(Algorithm::Hs256, secret())),
    ]
}

/// As many networks as a small database has, the one of the load among them.
fn networks(record: impl Fn(usize) -> Value) -> Vec<(String, Value)> {
    let network = |at: usize| format!("{}.{}.0.0/16", at / 256 + 16, at % 256);
    let mut all: Vec<_> = (0..NETWORKS).map(|at| (network(at), record(at))).collect();
    all.push(("127.0.0.0/8".to_owned(), record(0)));
    all
}

fn written(kind: &'static str, networks: &[(String, Value)]) -> Vec<u8> {
    let networks = networks.iter();
    let networks: Vec<_> = networks
        .map(|(it, record)| (&**it, record.clone()))
        .collect();
    database(kind, &networks)
}

fn countries() -> Vec<u8> {
    let codes = ["DE", "FR", "BR", "JP"];
    written(
        "GeoLite2-Country",
        &networks(|at| country(codes[at % codes.len()])),
    )
}

fn systems() -> Vec<u8> {
    // Private numbers (RFC 6996), none of which is refused.
    let number = |at: usize| 64_512 + (at % 1_000) as u32;
    written("GeoLite2-ASN", &networks(|at| asn(number(at))))
}

const NETWORKS: usize = 20_000;
/// `hunter2`, as `htpasswd -B -C 5` makes it: it is checked once.
const USERS: &str = "anna:$2y$05$cglV4G/31VZcCzxGtr7ajO1ipP8qzjjrtxMuXwD08mJ6wLcto3nLW\n";
/// The same as the key of a program.
const API_KEYS: &str =
    "mobile sha256:f52fbd32b2b3b86ff88ef6c490628285f482af15ddcb29541f94bcf526a3f6c7\n";
