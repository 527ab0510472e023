//! Middlewares, one by one.

use super::imported;
use crate::import::tests::has;

/// A router with one middleware.
fn with(middleware: &str) -> String {
    let middleware: String = middleware
        .lines()
        .map(|it| format!("      {it}\n"))
        .collect();
    imported(
        "d.yml",
        &format!(
            "http:\n  routers:\n    r:\n      rule: Host(`a.example`)\n      middlewares: [m]\n      service: s\n\
             \x20 middlewares:\n    m:\n{middleware}\
             \x20 services:\n    s:\n      loadBalancer:\n        servers:\n          - url: http://10.0.0.1\n"
        ),
    )
}

#[test]
fn each_middleware_becomes_keys_of_the_route() {
    for (middleware, keys) in CASES {
        let text = with(middleware);
        has(&text, &["[routes.r]"]);
        has(&text, keys);
        assert!(!text.contains("NOT TRANSLATED"), "{middleware}\n{text}");
    }
}

#[test]
fn what_keeps_clients_out_and_has_no_equal_closes_the_route() {
    for middleware in [
        "basicAuth: {users: ['u:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=']}",
        "digestAuth: {users: ['u:r:0123']}",
        "ipAllowList: {sourceRange: [10.0.0.0/8], ipStrategy: {depth: 1}}",
        "ipAllowList: {}",
        "headers: {allowedHosts: [b.example]}",
        "forwardAuth: {address: 'http://auth/', authResponseHeadersRegex: '^X-'}",
        "forwardAuth: {address: '{{ auth }}'}",
        "basicAuth: {usersFile: users, newKey: x}",
        "plugin: {bouncer: {enabled: true}}",
        "somethingNew: {a: b}",
        "chain: {middlewares: [m]}",
        "chain: {middlewares: [missing]}",
        "chain: {middlewares: [other@docker]}",
    ] {
        let text = with(middleware);
        has(&text, &["[routes.r]", "keeps everybody out"]);
        has(&text, &["access.deny = [\"0.0.0.0/0\", \"::/0\"]"]);
        assert!(!text.contains("access.allow"), "{middleware}\n{text}");
        assert!(!text.contains("W6ph5Mm5Pz8G"), "{middleware}\n{text}");
    }
}

#[test]
fn grpc_web_needs_a_pool_that_speaks_http_2() {
    let text = with("grpcWeb: {allowOrigins: ['*']}");
    has(
        &text,
        &[
            "cors.origins = [\"*\"]",
            "NOT TRANSLATED",
            "protocol = \"h2\"",
        ],
    );
    let text = "http:\n  routers:\n    r: {rule: Path(`/`), middlewares: [m], service: s}\n  middlewares:\n    m: {grpcWeb: {allowOrigins: ['*']}}\n  services:\n    s: {loadBalancer: {servers: [{url: 'h2c://10.0.0.1:80'}]}}\n";
    let text = imported("d.yml", text);
    has(&text, &["grpc_web = true", "protocol = \"h2\""]);
}

/// Middlewares, and keys that they become.
const CASES: &[(&str, &[&str])] = &[
    ("addPrefix: {prefix: /x}", &["rewrite.add_prefix = \"/x\""]),
    (
        "stripPrefix: {prefixes: [/a, /b/c], forceSlash: false}",
        &[
            "rewrite.path_regex.match = \"^(?:/b/c|/a)(?:/|$)\"",
            "to = \"/\"",
        ],
    ),
    (
        "stripPrefixRegex: {regex: ['/v[0-9]+']}",
        &["match = \"^(?:(?:/v[0-9]+))/?\""],
    ),
    (
        "replacePath: {path: /x}",
        &[
            "match = \"^.*$\"",
            "to = \"/x\"",
            "x-replaced-path = \"{path}\"",
        ],
    ),
    (
        "replacePathRegex: {regex: '^/a/(.*)', replacement: /b/$1}",
        &["match = \"^/a/(.*)\"", "to = \"/b/$1\""],
    ),
    (
        "headers: {customRequestHeaders: {X-A: 'b{c}', X-Gone: ''}, customResponseHeaders: {Server: ''}}",
        &[
            "headers_request.set.x-a = \"b{{c}}\"",
            "headers_request.remove = [\"x-gone\"]",
            "headers_response.remove = [\"server\"]",
        ],
    ),
    (
        "headers: {frameDeny: true, contentTypeNosniff: true, stsSeconds: 100, stsIncludeSubdomains: true}",
        &[
            "x-frame-options = \"DENY\"",
            "nosniff",
            "max-age=100; includeSubDomains",
        ],
    ),
    (
        "headers: {accessControlAllowOriginList: ['https://a.example'], accessControlAllowMethods: [GET, PUT], accessControlMaxAge: 60, accessControlAllowCredentials: true}",
        &[
            "cors.origins = [\"https://a.example\"]",
            "cors.methods = [\"GET\", \"PUT\"]",
            "cors.credentials = true",
            "cors.max_age = \"60s\"",
        ],
    ),
    (
        "headers: {allowedHosts: [a.example]}",
        &["the route has no other hosts"],
    ),
    (
        "basicAuth: {usersFile: users, realm: x, removeHeader: true, headerField: X-User}",
        &[
            "auth = [{ basic = { file = ",
            "realm = \"x\" } }]",
            "x-user = \"{auth.user}\"",
        ],
    ),
    (
        "forwardAuth: {address: 'https://auth.example/verify?a=b', authResponseHeaders: [X-User], trustForwardHeader: true}",
        &[
            "auth = [{ forward = { pool = \"auth_example_443\", path = \"/verify?a=b\", headers = [\"x-user\"] } }]",
        ],
    ),
    (
        "ipAllowList: {sourceRange: [10.0.0.0/8, 127.0.0.1]}",
        &["access.allow = [\"10.0.0.0/8\", \"127.0.0.1\"]"],
    ),
    (
        "rateLimit: {average: 30, period: 1m}",
        &["rate_limit.rate = \"30/m\"", "rate_limit.burst = 1"],
    ),
    (
        "inFlightReq: {amount: 10, sourceCriterion: {ipStrategy: {}}}",
        &["concurrency.max = 10", "concurrency.per = \"client_ip\""],
    ),
    (
        "buffering: {maxRequestBodyBytes: 1048576, memRequestBodyBytes: 1}",
        &["body_max = \"1MiB\""],
    ),
    (
        "retry: {attempts: 4, initialInterval: 100ms}",
        &["retry.attempts = 4", "retry.backoff.base = \"100ms\""],
    ),
    ("compress: {}", &["compress = {}"]),
    (
        "compress: {encodings: [zstd, gzip], minResponseBodyBytes: 1024, excludedContentTypes: [text/event-stream]}",
        &[
            "compress.min = \"1KiB\"",
            "compress.encodings = [\"zstd\", \"gzip\"]",
        ],
    ),
    (
        "redirectScheme: {scheme: https, permanent: true}",
        &["https_only = true"],
    ),
    (
        "redirectScheme: {scheme: https, port: 8443}",
        &[
            "redirect.to = \"https://{host}:8443{path}{query}\"",
            "redirect.status = 302",
        ],
    ),
    (
        "redirectRegex: {regex: '^https?://a.example/(.*)', replacement: 'https://b.example/${1}', permanent: true}",
        &[
            "redirect.to = \"https://b.example{path}{query}\"",
            "redirect.status = 301",
        ],
    ),
    ("contentType: {autoDetect: false}", &["nothing to do"]),
];
