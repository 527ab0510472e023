//! Each migration that people ask for, as a small configuration.

mod answers;
mod closed;
mod quic;

use std::fs;

use crate::import::{
    Dialect,
    tests::{self, has},
};

/// Imports a server with these lines in `http` and in the server; the result must be good.
fn imported(http: &str, server: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nginx.conf");
    for name in ["50x.html", "users"] {
        let hash = "u:$2y$05$OQEIHZ5rQu3biK5q3Dvzq.EwGJ5H6J3dpBfPAWLv1ZYPQYg4IWkpO\n";
        fs::write(folder.path().join(name), hash).unwrap();
    }
    let text = format!("events {{}}\nhttp {{\n{http}\nserver {{ listen 8080;\n{server}\n}}\n}}\n");
    tests::imported(Dialect::Nginx, &path, &text)
}

const UPSTREAM: &str = "upstream app { server 10.0.0.1:80; }";
const PASS: &str = "proxy_pass http://app; proxy_set_header Host $host;";

fn location(lines: &str) -> String {
    imported(UPSTREAM, &format!("location / {{ {PASS} {lines} }}"))
}

#[test]
fn a_server_name_with_locations_of_all_kinds() {
    let server = format!(
        "server_name shop.example *.shop.example;\n\
         location / {{ {PASS} }}\n\
         location = /exact {{ {PASS} }}\n\
         location ^~ /first/ {{ {PASS} }}\n\
         location ~ \\.php$ {{ {PASS} }}\n\
         location ~* \\.png$ {{ {PASS} }}\n\
         location /api/ {{ proxy_pass http://app/v1/; proxy_set_header Host $host; location /api/inner/ {{ {PASS} }} }}"
    );
    let other =
        "upstream app { server 10.0.0.1:80; } server { listen 8080 default_server; return 404; }";
    let text = imported(other, &server);
    has(
        &text,
        &["[listeners.http_8080]", "address = \"0.0.0.0:8080\""],
    );
    has(&text, &["[routes.http_8080]", "respond.status = 404"]);
    has(
        &text,
        &[
            "[routes.shop_example]",
            "hosts = [\"shop.example\", \"*.shop.example\"]",
            "pool = \"app\"",
        ],
    );
    has(
        &text,
        &[
            "path = \"/exact\"",
            "path_prefix = \"/first\"",
            "priority = 1",
        ],
    );
    has(
        &text,
        &[
            "shop_example_regex_01]",
            "path_regex = '\\.php$'",
            "shop_example_regex_02]",
            "path_regex = '(?i)\\.png$'",
        ],
    );
    has(
        &text,
        &[
            "path_prefix = \"/api/inner\"",
            "path_prefix = \"/api\"",
            "rewrite.strip_prefix = \"/api\"",
            "rewrite.add_prefix = \"/v1\"",
        ],
    );
    assert!(!text.contains("NOT TRANSLATED"), "{text}");
}

#[test]
fn a_server_that_takes_any_host_has_no_hosts_and_says_so() {
    let text = imported(
        UPSTREAM,
        &format!("server_name shop.example; location / {{ {PASS} }}"),
    );
    has(
        &text,
        &[
            "server_name shop.example; (the default server takes other hosts as well; to refuse them: hosts = [\"shop.example\"])",
        ],
    );
    assert!(!text.contains("\nhosts"), "{text}");
}

#[test]
fn headers_are_set_and_those_that_are_sent_anyway_are_not() {
    let text = location(
        "proxy_set_header X-Real-IP $remote_addr; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; \
         proxy_set_header Cookie \"\"; proxy_set_header X-City $geoip_city; proxy_hide_header X-Powered-By; \
         add_header X-Frame-Options DENY always; add_header Strict-Transport-Security \"max-age=1; preload\"; expires 1h;",
    );
    // A line of the location takes those of the server away, Host too.
    has(
        &text,
        &[
            "headers_request.set.x-real-ip = \"{client_ip}\"",
            "headers_request.remove = [\"cookie\", \"x-city\"]",
        ],
    );
    has(
        &text,
        &[
            "NOT TRANSLATED nginx.conf:5: proxy_set_header X-City $geoip_city; — there is no placeholder for $geoip_city",
        ],
    );
    has(
        &text,
        &[
            "headers_response.add.x-frame-options = \"DENY\"",
            "headers_response.add.strict-transport-security = \"max-age=1; preload\"",
        ],
    );
    has(
        &text,
        &[
            "headers_response.set.cache-control = \"max-age=3600\"",
            "headers_response.remove = [\"x-powered-by\"]",
        ],
    );
    let text = imported(UPSTREAM, "location / { proxy_pass http://app; }");
    has(&text, &["rewrite.host = \"app\""]);
}

#[test]
fn timeouts_bounds_and_compression() {
    let text = location(
        "proxy_read_timeout 300; proxy_connect_timeout 5s; client_max_body_size 10m; gzip on; gzip_types application/json; gzip_min_length 1k; gzip_comp_level 5;",
    );
    has(
        &text,
        &[
            "timeouts.total = \"300s\"",
            "timeouts.idle = \"300s\"",
            "body_max = \"10MiB\"",
        ],
    );
    has(
        &text,
        &[
            "compress.encodings = [\"gzip\"]",
            "compress.types = [\"text/html\", \"application/json\"]",
            "compress.min = \"1KiB\"",
            "compress.level = 5",
        ],
    );
    has(&text, &["[pools.app]", "timeouts.connect = \"5s\""]);
}

#[test]
fn rates_numbers_users_and_addresses() {
    let http = format!(
        "{UPSTREAM} limit_req_zone $binary_remote_addr zone=a:10m rate=10r/s; limit_conn_zone $binary_remote_addr zone=b:1m;"
    );
    let server = format!(
        "location / {{ {PASS} limit_req zone=a burst=20 nodelay; limit_conn b 5; auth_basic \"Staff\"; auth_basic_user_file users; \
         allow 10.0.0.0/8; allow 127.0.0.1; deny all; }}"
    );
    let text = imported(&http, &server);
    has(
        &text,
        &[
            "rate_limit = [{ key = \"client_ip\", rate = \"10/s\", burst = 21 }]",
            "concurrency = [{ per = \"client_ip\", max = 5 }]",
        ],
    );
    has(
        &text,
        &[
            "access.allow = [\"10.0.0.0/8\", \"127.0.0.1\"]",
            "auth = { basic = { file = \"",
            "users\", realm = \"Staff\" } }",
        ],
    );
    let text = location("allow all; deny 10.0.0.1;");
    has(
        &text,
        &[
            "NOT TRANSLATED",
            "an earlier line takes these addresses",
            "keeps everybody out",
            "access.deny = [\"0.0.0.0/0\", \"::/0\"]",
        ],
    );
    let text = location("deny all;");
    has(&text, &["access.deny = [\"0.0.0.0/0\", \"::/0\"]"]);
}

#[test]
fn upstreams_with_weights_backup_failures_and_ways_to_choose() {
    let http = "upstream app { least_conn; server 10.0.0.1 weight=3 max_fails=2 fail_timeout=10s; server 10.0.0.2:81 down; \
                server unix:/a.sock backup; keepalive 16; }";
    let text = imported(http, &format!("location / {{ {PASS} }}"));
    has(
        &text,
        &[
            "picker = \"least_requests\"",
            "{ address = \"10.0.0.1:80\", weight = 3 }, { address = \"10.0.0.2:81\", weight = 0 }, { address = \"unix:/a.sock\", priority = 1 }",
        ],
    );
    has(
        &text,
        &["ejection.consecutive = 2", "ejection.base = \"10s\""],
    );
    let http = "upstream app { ip_hash; server 10.0.0.1:80; }";
    let text = imported(http, &format!("location / {{ {PASS} }}"));
    has(&text, &["picker = { maglev = { key = \"client_ip\" } }"]);
}

#[test]
fn one_upstream_used_in_two_ways_is_two_pools() {
    let server = "location /a { proxy_pass https://app; proxy_ssl_name x.example; } location /b { proxy_pass http://app; } location /c { proxy_pass http://app; }";
    let text = imported(UPSTREAM, server);
    has(
        &text,
        &[
            "[pools.app]",
            "tls.verify = false",
            "tls.server_name = \"x.example\"",
            "[pools.app_2]",
        ],
    );
    assert!(!text.contains("[pools.app_3]"), "{text}");
}

#[test]
fn revocation_lists_go_with_the_authorities_of_clients() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nginx.conf");
    let text = "http { server { listen 8443 ssl; ssl_certificate a.pem; ssl_certificate_key a.key;\n\
                ssl_client_certificate c.pem; ssl_verify_client on; ssl_crl c.crl;\n\
                location / { proxy_pass http://10.0.0.1; } } }";
    fs::write(&path, text).unwrap();
    // Files of TLS are named, and not there.
    let text = crate::import::import(Dialect::Nginx, &path).unwrap().text;
    has(
        &text,
        &[
            "tls.client_ca = ",
            "c.pem\"",
            "tls.client_crl = ",
            "c.crl\"",
        ],
    );
    assert!(!text.contains("NOT TRANSLATED"), "{text}");
}
