//! Usual parts of configurations of Traefik, one by one.

mod all;
mod http3;
mod middleware;

use std::fs;

use crate::import::{
    Dialect,
    tests::{self, has},
};

/// Imports a file; the result must be good, and name each line with a value.
fn imported(name: &str, text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["shop.example".to_owned()]).unwrap();
    for (file, text) in [
        ("shop.pem", made.cert.pem()),
        ("shop.key", made.signing_key.serialize_pem()),
        ("users", "u:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n".to_owned()),
    ] {
        fs::write(folder.path().join(file), text).unwrap();
    }
    let result = tests::imported(Dialect::Traefik, &folder.path().join(name), text);
    each_value_is_named(name, text, &result);
    result
}

/// Asserts that the line of each value stands in the result.
fn each_value_is_named(name: &str, text: &str, result: &str) {
    let tree = super::tree::parse(crate::import::files::Text {
        name: name.into(),
        text: text.to_owned(),
    })
    .unwrap();
    let mut leaves = Vec::new();
    tree.leaves("", &mut leaves);
    let places: Vec<(usize, usize)> = result
        .lines()
        .filter_map(|it| it.split_once(&format!("{name}:")))
        .filter_map(|(_, it)| {
            let numbers = it.split([':', ' ']).next()?;
            let (from, to) = numbers.split_once('-').unwrap_or((numbers, numbers));
            Some((from.parse().ok()?, to.parse().ok()?))
        })
        .collect();
    let is_named = |line: usize| {
        places
            .iter()
            .any(|(from, to)| (*from..=*to).contains(&line))
    };
    let missing: Vec<String> = leaves
        .iter()
        .filter(|(_, leaf)| !is_named(leaf.line))
        .map(|(path, leaf)| format!("{path} (line {})", leaf.line))
        .collect();
    assert!(missing.is_empty(), "nowhere: {missing:#?}\n{result}");
}

#[test]
fn routers_services_and_middlewares_in_yaml() {
    let text = imported("dynamic.yml", DYNAMIC);
    has(
        &text,
        &[
            "[listeners.websecure]",
            "[::]:443",
            "tls.certificates = [{ chain = ",
        ],
    );
    has(
        &text,
        &[
            "[routes.orders]",
            "hosts = [\"shop.example\"]",
            "path_prefix = \"/orders\"",
            "listeners = [\"websecure\"]",
            "priority = 2",
            "rewrite.strip_prefix = \"/orders\"",
            "headers_request.set.x-forwarded-prefix = \"/orders\"",
            "rate_limit.rate = \"100/s\"",
            "rate_limit.burst = 50",
            "pool = \"orders\"",
        ],
    );
    has(
        &text,
        &[
            "[routes.rest]",
            "hosts = [\"shop.example\", \"w.example\"]",
            "listeners = [\"web\"]",
            "rewrite.host = \"app.internal\"",
            "pool = \"app\"",
        ],
    );
    has(
        &text,
        &[
            "endpoints = [\"10.0.2.1:8080\", { address = \"10.0.2.2:8080\", weight = 3 }]",
            "health.http.path = \"/healthz\"",
            "health.interval = \"5s\"",
        ],
    );
    has(&text, &["endpoints = [\"app.internal:443\"]", "tls = {}"]);
    assert!(!text.contains("NOT TRANSLATED"), "{text}");
}

#[test]
fn a_static_configuration_in_toml_has_the_listeners() {
    let text = imported("traefik.toml", STATIC);
    has(
        &text,
        &[
            "[proxy]",
            "trusted_proxies = [\"10.0.0.0/8\"]",
            "[listeners.web]",
            "address = \"[::]:80\"",
            "[listeners.websecure]",
            "address = \"[::]:8443\"",
            "timeouts.idle = \"90s\"",
            "tls.certificates",
            "tls.minimum_version = \"1.3\"",
            "[routes.all]",
            "split.old = 9",
            "split.new = 1",
            "[routes.web_redirect]",
            "redirect.to = \"https://{host}:8443{path}{query}\"",
            "redirect.status = 301",
            "protocol = \"h2\"",
        ],
    );
    for (line, advice) in [
        ("writeTimeout", "timeouts.total"),
        ("certificatesResolvers.le.acme.email", "certbot"),
        ("certResolver = le", "certbot"),
    ] {
        has(&text, &["NOT TRANSLATED traefik.toml:", line, advice]);
    }
}

#[test]
fn a_rule_that_cannot_be_said_leaves_nothing_open() {
    let rest = "  middlewares:\n    m:\n      ipAllowList: {sourceRange: [10.0.0.0/8]}\n  services:\n    s:\n      loadBalancer: {servers: [{url: 'http://10.0.0.1'}]}\n";
    let router = |rule: &str, more: &str| {
        let text = format!(
            "http:\n  routers:\n    r:\n      rule: \"{rule}\"\n      service: s\n{more}{rest}"
        );
        imported("d.yml", &text)
    };
    let open = router("Host(`a.example`) && !Path(`/x`)", "");
    has(&open, &["NOT TRANSLATED", "no negation"]);
    assert!(!open.contains("[routes."), "{open}");
    let guarded = "      middlewares: [m]\n";
    let closed = router("Host(`a.example`) && !Path(`/x`)", guarded);
    has(
        &closed,
        &["[routes.r]", "hosts = [\"a.example\"]", "access.deny = "],
    );
    let closed = router("Host(`a.example`", guarded);
    has(
        &closed,
        &["[routes.r]", "access.deny = ", "respond.status = 503"],
    );
    // What is guarded takes no fewer paths than there.
    let text = router("PathPrefix(`/admin`)", guarded);
    has(&text, &["path_regex = \"^/admin\"", "access.allow"]);
}

#[test]
fn what_has_no_equal_says_what_to_do() {
    let text = imported("d.yml", ODD);
    for (line, advice) in [
        ("tcp.routers.db", "TCP and UDP"),
        ("service: api@internal", "[admin]"),
        ("HostRegexp(`", "list them"),
        ("nowhere", "503"),
        ("sticky", "session = { cookie = \"lb\""),
        ("https://10.0.0.2", "spoken to alike"),
        ("responseHeaderTimeout", "timeouts = { total"),
    ] {
        has(&text, &["NOT TRANSLATED d.yml:", line, advice]);
    }
    has(
        &text,
        &[
            "methods = [\"GET\", \"PUT\"]",
            "headers.x-a = \"b\"",
            "query.q = \"1\"",
            "source = [\"10.0.0.0/8\"]",
            "shadow.pool = \"t\"",
            "shadow.share = \"10%\"",
        ],
    );
    has(
        &text,
        &[
            "path_regex = \"^/articles/(?:[0-9]+)$\"",
            "respond.status = 503",
        ],
    );
    has(&text, &["failover = [\"t\"]"]);
    has(&text, &["timeouts.connect = \"5s\""]);
    has(&text, &["no route here uses it"]);
}

const DYNAMIC: &str = r#"
http:
  routers:
    orders:
      rule: "Host(`shop.example`) && PathPrefix(`/orders`)"
      entryPoints: [websecure]
      middlewares:
        - strip
        - limit@file
      service: orders
      tls: {}
    rest:
      rule: Host(`shop.example`) || Host(`w.example`)
      entryPoints: [web, websecure]
      service: app
  middlewares:
    strip:
      stripPrefix:
        prefixes: ["/orders"]
    limit:
      rateLimit:
        average: 100
        burst: 50
  services:
    orders:
      loadBalancer:
        servers:
          - url: "http://10.0.2.1:8080"
          - url: "http://10.0.2.2:8080"
            weight: 3
        healthCheck:
          path: /healthz
          interval: 5s
          timeout: 1s
    app:
      loadBalancer:
        passHostHeader: false
        servers:
          - url: https://app.internal
tls:
  certificates:
    - certFile: shop.pem
      keyFile: shop.key
"#;

const STATIC: &str = r#"
[entryPoints.web]
  address = ":80"
  [entryPoints.web.http.redirections.entryPoint]
    to = "websecure"
    scheme = "https"
[entryPoints.websecure]
  address = ":8443"
  [entryPoints.websecure.forwardedHeaders]
    trustedIPs = ["10.0.0.0/8"]
  [entryPoints.websecure.transport.respondingTimeouts]
    idleTimeout = "90s"
    writeTimeout = 60
[api]
  dashboard = true
[certificatesResolvers.le.acme]
  email = "a@shop.example"
[http.routers.all]
  rule = "PathPrefix(`/`)"
  service = "split"
  entryPoints = ["websecure"]
  [http.routers.all.tls]
    certResolver = "le"
[http.services.split.weighted]
  [[http.services.split.weighted.services]]
    name = "old"
    weight = 9
  [[http.services.split.weighted.services]]
    name = "new"
    weight = 1
[http.services.old.loadBalancer]
  [[http.services.old.loadBalancer.servers]]
    url = "http://10.0.0.1:80"
[http.services.new.loadBalancer]
  [[http.services.new.loadBalancer.servers]]
    url = "h2c://10.0.0.2:80"
[[tls.certificates]]
  certFile = "shop.pem"
  keyFile = "shop.key"
[tls.options.default]
  minVersion = "VersionTLS13"
"#;

const ODD: &str = r#"
tcp:
  routers:
    db:
      rule: HostSNI(`*`)
      service: db
http:
  routers:
    a:
      rule: Host(`a.example`)
      service: api@internal
      priority: 5
    b:
      rule: HostRegexp(`^x[0-9]{2}\.example$`)
      service: s
    c:
      rule: Headers(`X-A`, `b`) && Query(`q=1`) && Method(`GET`, `PUT`) && ClientIP(`10.0.0.0/8`)
      service: mirror
    d:
      rule: Path(`/articles/{id:[0-9]+}`)
      service: nowhere
    e:
      rule: Path(`/e`)
      service: backup
  services:
    s:
      loadBalancer:
        sticky: {cookie: {name: lb}}
        servers: [{url: "http://10.0.0.1"}, {url: "https://10.0.0.2"}]
    mirror:
      mirroring:
        service: s
        mirrors: [{name: t, percent: 10}]
    t:
      loadBalancer: {servers: [{url: "http://10.0.0.3"}], serversTransport: slow}
    backup:
      failover: {service: s, fallback: t}
    alone:
      loadBalancer: {servers: [{url: "http://10.0.0.4"}]}
  serversTransports:
    slow:
      forwardingTimeouts: {dialTimeout: 5s, responseHeaderTimeout: 9s}
"#;

#[test]
fn a_password_of_a_middleware_that_nobody_uses_is_not_shown() {
    let text = imported(
        "dynamic.yml",
        "http:\n  routers: {}\n  middlewares:\n    users:\n      basicAuth:\n        users:\n          - \"ann:topsecret\"\n",
    );
    has(&text, &["no route here uses it"]);
    assert!(!text.contains("topsecret"), "{text}");
}

#[test]
fn a_certificate_of_a_resolver_is_ordered_by_acme() {
    let text = imported(
        "dynamic.yml",
        "http:\n  routers:\n    a: {rule: \"Host(`a.example`)\", service: s, tls: {certResolver: le}}\n  services:\n    s: {loadBalancer: {servers: [{url: \"http://10.0.0.1:80\"}]}}\n",
    );
    has(
        &text,
        &["tls = { acme = { domains = [\"a.example\"], contact = \"mailto:…\" } } of the listener"],
    );
}
