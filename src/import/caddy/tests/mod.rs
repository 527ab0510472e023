//! Usual parts of a Caddyfile, as small configurations.

mod certificates;
mod closed;

use crate::import::{
    Dialect,
    tests::{self, has},
};

/// Imports a Caddyfile; the result must be good.
fn imported(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("Caddyfile");
    tests::imported(Dialect::Caddy, &path, text)
}

#[test]
fn sites_with_paths_and_pools() {
    let text = imported(
        "http://shop.example {\n\treverse_proxy /api/* 10.0.0.1:80 10.0.0.2:80 {\n\t\tlb_policy least_conn\n\t\thealth_uri /up\n\t}\n\
         \thandle_path /files/* {\n\t\treverse_proxy localhost:8000\n\t}\n\treverse_proxy :9000\n}\n:8080 {\n\trespond \"hello\" 200\n}\n",
    );
    has(
        &text,
        &[
            "[listeners.http]",
            "address = \"[::]:80\"",
            "[listeners.http_8080]",
        ],
    );
    has(
        &text,
        &[
            "hosts = [\"shop.example\"]",
            "path_prefix = \"/api\"",
            "pool = \"10_0_0_1_80\"",
        ],
    );
    has(
        &text,
        &[
            "path_prefix = \"/files\"",
            "rewrite.strip_prefix = \"/files\"",
            "pool = \"localhost_8000\"",
        ],
    );
    has(
        &text,
        &[
            "[routes.shop_example]",
            "pool = \"127_0_0_1_9000\"",
            "[routes.site]",
            "respond.status = 200",
            "respond.body = \"hello\"",
        ],
    );
    has(
        &text,
        &[
            "endpoints = [\"10.0.0.1:80\", \"10.0.0.2:80\"]",
            "picker = \"least_requests\"",
            "health.http.path = \"/up\"",
        ],
    );
    assert!(!text.contains("NOT TRANSLATED"), "{text}");
}

#[test]
fn snippets_headers_encodings_and_bounds_apply_to_all_routes_of_a_site() {
    let text = imported(
        "(common) {\n\tencode gzip\n\theader {\n\t\t-Server\n\t\tX-A {args[0]}\n\t}\n}\n:80 {\n\timport common one\n\trequest_body {\n\t\tmax_size 10MB\n\t}\n\
         \treverse_proxy /a/* :1\n\treverse_proxy :2 {\n\t\theader_up X-Real-IP {remote_host}\n\t\theader_up Host {upstream_hostport}\n\t}\n}\n",
    );
    has(
        &text,
        &[
            "[defaults.routes]",
            "compress.encodings = [\"gzip\"]",
            "headers_response.remove = [\"server\"]",
            "headers_response.set.x-a = \"one\"",
            "body_max = \"10000000B\"",
        ],
    );
    has(
        &text,
        &[
            "headers_request.set.x-real-ip = \"{client_ip}\"",
            "rewrite.host = \"127.0.0.1:2\"",
        ],
    );
}

#[test]
fn matchers_redirects_and_other_ways() {
    let text = imported(
        ":80 {\n\t@m {\n\t\tpath /x /y/*\n\t\tmethod GET\n\t\theader X-A *\n\t}\n\tredir @m https://{host}{uri} permanent\n\
         \t@n not path /z\n\trespond @n 404\n\trespond /teapot 418\n\tforward_auth 10.0.0.3:80 {\n\t\turi /verify\n\t\tcopy_headers X-User\n\t}\n\treverse_proxy h2c://10.0.0.1:80\n}\n",
    );
    has(
        &text,
        &[
            "path = \"/x\"",
            "methods = [\"GET\"]",
            "headers.x-a = { present = true }",
            "redirect.to = \"https://{host}{path}{query}\"",
            "redirect.status = 301",
        ],
    );
    has(&text, &["path_prefix = \"/y\"", "respond.status = 418"]);
    has(
        &text,
        &[
            "auth = { forward = { pool = \"10_0_0_3_80\", path = \"/verify\", headers = [\"x-user\"] } }",
            "protocol = \"h2\"",
        ],
    );
}

#[test]
fn what_keeps_clients_out_and_has_no_equal_closes_the_route() {
    let text = imported(":80 {\n\tbasic_auth {\n\t\tbob $2a$14$x\n\t}\n\treverse_proxy :1\n}\n");
    has(
        &text,
        &[
            "NOT TRANSLATED Caddyfile:2",
            "keeps everybody out",
            "access.deny = [\"0.0.0.0/0\", \"::/0\"]",
        ],
    );
}

#[test]
fn no_line_is_lost_where_no_endpoint_is_known() {
    let text = imported(
        "http://a {\n\tencode zstd\n\theader {\n\t\tX-A b\n\t}\n\trequest_body {\n\t\tmax_size 1MB\n\t}\n\tproxy / 10.0.0.1:80\n\thandle /files/* {\n\t\tfile_server\n\t}\n}\n",
    );
    has(
        &text,
        &[
            "path_prefix = \"/files\"",
            "NOT TRANSLATED Caddyfile:11: file_server",
            "respond.status = 404",
        ],
    );
    for line in ["encode zstd", "request_body {", "proxy / 10.0.0.1:80"] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    // Its requests do not come to the endpoint beside it.
    let text = imported(
        "http://a {\n\thandle /files/* {\n\t\troot * /srv\n\t\tfile_server\n\t}\n\thandle {\n\t\treverse_proxy :1\n\t}\n}\n",
    );
    has(
        &text,
        &["path_prefix = \"/files\"", "respond.status = 404", "pool ="],
    );
}

#[test]
fn rates_of_the_plugin_are_limits_of_the_route() {
    let limit = |zone: &str| {
        imported(&format!(
            "http://a {{\n\trate_limit {{\n\t\tzone z {{\n{zone}\n\t\t}}\n\t}}\n\treverse_proxy :1\n}}\n"
        ))
    };
    let text = limit("key {remote_host}\nevents 30\nwindow 10s");
    has(
        &text,
        &["rate_limit = [{ key = \"client_ip\", rate = \"3/s\", burst = 30 }]"],
    );
    for zone in [
        "key {some.thing}\nevents 1\nwindow 1s",
        "key {remote_host}\nevents 1\nwindow 1s\nmatch {\nmethod POST\n}",
    ] {
        has(&limit(zone), &["keeps everybody out", "access.deny"]);
    }
}

#[test]
fn what_keeps_clients_out_of_a_part_is_not_lost() {
    let text = imported(
        "http://shop.example {\n\tbasic_auth /admin/* {\n\t\tann hash\n\t}\n\t@post method POST\n\tabort @post\n\theader @post X-A b\n\
         \treverse_proxy /admin/deep/* :9001\n\treverse_proxy :9000\n}\n",
    );
    has(
        &text,
        &[
            "path_prefix = \"/admin/deep\"",
            "pool = \"127_0_0_1_9001\"",
            "access.deny = [\"0.0.0.0/0\", \"::/0\"]",
        ],
    );
    has(&text, &["methods = [\"POST\"]", "respond.status = 403"]);
    has(
        &text,
        &[
            "path_prefix = \"/admin\"",
            "pool = \"127_0_0_1_9000\"",
            "access.deny = [\"0.0.0.0/0\", \"::/0\"]",
        ],
    );
    // A matcher that routes do not have: the whole route is closed.
    let text = imported(
        "http://a {\n\t@odd expression true\n\tforward_auth @odd :9091 {\n\t\turi /check\n\t}\n\treverse_proxy :9000\n}\n",
    );
    has(&text, &["pool = \"127_0_0_1_9000\"", "access.deny"]);
    // The same within a block that takes all requests.
    let text = imported(
        "http://a {\n\tbasic_auth /admin/* {\n\t\tann hash\n\t}\n\thandle {\n\t\treverse_proxy :9000\n\t}\n}\n",
    );
    has(&text, &["path_prefix = \"/admin\"", "access.deny"]);
}

#[test]
fn a_site_with_an_address_for_all_hosts_takes_all_of_them() {
    let text = imported("http://shop.example, :8080 {\n\treverse_proxy :1\n}\n");
    assert!(!text.contains("hosts ="), "{text}");
}
