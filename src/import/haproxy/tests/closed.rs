//! Lines that keep clients out, on each level: no route to an endpoint is open.

use super::{has, imported};
use crate::import::tests::open_routes;

/// Imports a frontend and a backend with these lines.
fn with(defaults: &str, front: &str, back: &str) -> String {
    imported(&format!(
        "defaults\n mode http\n {defaults}\nuserlist ul\n user a insecure-password b\nfrontend web\n bind :80\n {front}\n use_backend b if {{ path_beg /b/ }}\n default_backend b\n\
         backend b\n {back}\n server a 10.0.0.1:80\n"
    ))
}

#[test]
fn a_line_that_keeps_clients_out_leaves_no_route_open_on_any_level() {
    for line in [
        "http-request deny",
        "http-request reject",
        "http-request silent-drop",
        "http-request tarpit",
        "http-request deny unless { src 10.0.0.0/8 }",
        "http-request deny if !{ src 10.0.0.0/8 }",
        "http-request deny if { var(txn.bad) -m bool }",
        "http-request deny unless { req.hdr(x-key) secret }",
        "http-request deny if !{ req.hdr(x-key) secret } !{ src 10.0.0.0/8 }",
        "http-request auth unless { http_auth(ul) }",
        "http-request lua.check",
        "http-request some-new-action",
        "http-request redirect location /login if !{ req.cook(sid) -m len gt 3 }",
        "http-request return status 403 if { var(txn.bad) -m bool }",
        "http-request del-header x-auth- -m beg",
        "redirect location /login unless { http_auth(ul) }",
        "http-response deny if { res.hdr(x-secret) -m found }",
        "tcp-response content reject",
        "tcp-request connection reject",
        "tcp-request connection reject if !{ src 10.0.0.0/8 }",
        "tcp-request content reject unless { var(txn.good) -m bool }",
        "block if { var(txn.bad) -m bool }",
        "reqideny ^X-Bad:",
        "some-new-keyword on",
    ] {
        for (name, text) in [
            ("defaults", with(line, "", "")),
            ("frontend", with("", line, "")),
            ("backend", with("", "", line)),
        ] {
            assert_eq!(open_routes(&text), [""; 0], "{name} {line}\n{text}");
        }
    }
}

#[test]
fn a_line_that_keeps_nobody_out_closes_nothing() {
    for line in [
        "option forwardfor",
        "log global",
        "timeout http-request 5s",
        "errorfile 503 /sorry.http",
        "http-request set-var(txn.a) path",
        "http-request track-sc0 src",
        "http-request capture req.hdr(host) len 10",
        "http-request set-path /new%[path] if { path_beg /sp }",
        "http-request allow if { src 10.0.0.0/8 }",
        "tcp-request inspect-delay 5s",
        "http-response set-header X-A b",
        "redirect prefix https://new.example code 301 if { var(txn.moved) -m bool }",
        "stick-table type ip size 1m",
        "unique-id-header X-Id",
    ] {
        for text in [with("", line, ""), with("", "", line)] {
            assert_eq!(open_routes(&text).len(), 2, "{line}\n{text}");
        }
    }
}

#[test]
fn conditions_close_no_more_than_they_mean() {
    let text = with(
        "",
        "http-request deny if { path_beg /x } !{ dst_port 81 }\n http-request auth if { path_beg /y } !{ http_auth(ul) }",
        "http-request deny if { path_beg /z } { method POST }",
    );
    has(&text, &["path_regex = \"^/x\"", "respond.status = 403"]);
    has(
        &text,
        &[
            "path_regex = \"^/y\"",
            "auth = { basic",
            "respond.status = 403",
        ],
    );
    has(
        &text,
        &[
            "path_regex = \"^/z\"",
            "methods = [\"POST\"]",
            "priority = 1",
            "respond.status = 403",
        ],
    );
    assert_eq!(open_routes(&text).len(), 2, "{text}");
}

#[test]
fn addresses_and_methods_that_alone_are_let_in_are_written_exactly() {
    let text = with(
        "",
        "acl inside src 10.0.0.0/8\n acl inside src 192.168.0.0/16\n http-request deny unless inside",
        "http-request deny if !METH_GET",
    );
    has(
        &text,
        &["access.allow = [\"10.0.0.0/8\", \"192.168.0.0/16\"]"],
    );
    has(&text, &["access.methods = [\"GET\", \"HEAD\"]"]);
    assert!(!text.contains("NOT TRANSLATED haproxy.cfg:8"), "{text}");
}

#[test]
fn refusals_go_before_the_choice_of_a_backend_wherever_they_stand() {
    let text = imported(
        "defaults\n mode http\nfrontend web\n bind :80\n use_backend b if { path_beg /b/ }\n http-request deny if { hdr(x-bad) 1 }\n default_backend b\nbackend b\n server a 10.0.0.1:80\n",
    );
    has(&text, &["headers.x-bad = \"1\"", "priority = 2"]);
}

#[test]
fn a_redirect_to_https_of_some_paths_leaves_the_others() {
    let text = with(
        "",
        "redirect scheme https code 301 if { path /x } !{ ssl_fc }\n http-request redirect prefix https://new.example drop-query if { path /mv }",
        "",
    );
    has(&text, &["redirect.to = \"https://new.example{path}\""]);
    has(
        &text,
        &[
            "path = \"/x\"",
            "listeners = [\"http\"]",
            "redirect.to = \"https://{host}{path}{query}\"",
            "redirect.status = 301",
        ],
    );
    assert!(!text.contains("https_only"), "{text}");
}

#[test]
fn rates_of_addresses_are_limits_and_others_close() {
    let table = " stick-table type ip size 1m expire 1m store gpc0,http_req_rate(10s)";
    for rule in [
        "http-request track-sc0 src\n http-request deny deny_status 429 if { sc_http_req_rate(0) gt 50 }",
        "http-request track-sc1 src table web\n acl fast sc1_http_req_rate gt 50\n http-request deny if fast",
    ] {
        let text = with("", &format!("{table}\n {rule}"), "");
        has(
            &text,
            &["rate_limit = [{ key = \"client_ip\", rate = \"5/s\", burst = 50 }]"],
        );
        assert!(!text.contains("access.deny"), "{text}");
    }
    for rule in [
        "http-request track-sc0 src if { path /a }\n http-request deny if { sc_http_req_rate(0) gt 50 }",
        "http-request track-sc0 req.hdr(x-key)\n http-request deny if { sc_http_req_rate(0) gt 50 }",
        "http-request track-sc0 src\n http-request deny if { sc_conn_cur(0) gt 50 }",
        "http-request track-sc0 src\n http-request deny if { sc_http_req_rate(1) gt 50 }",
        "http-request track-sc0 src table none\n http-request deny if { sc_http_req_rate(0) gt 50 }",
    ] {
        let text = with("", &format!("{table}\n {rule}"), "");
        assert_eq!(open_routes(&text), [""; 0], "{rule}\n{text}");
    }
}

#[test]
fn hosts_that_alone_are_let_in_are_those_of_the_routes() {
    let text = with(
        "",
        "acl a hdr(host) -i a.example\n acl b hdr(host) -i b.example\n http-request deny if !a !b",
        "",
    );
    has(
        &text,
        &[
            "path_prefix = \"/b\"",
            "hosts = [\"a.example\", \"b.example\"]",
        ],
    );
    has(&text, &["[routes.web", "respond.status = 403"]);
    assert!(!text.contains("access.deny"), "{text}");
    // Two such rules must both hold.
    let two = "http-request deny unless { hdr(host) a }\n http-request deny unless { hdr(host) b }";
    assert_eq!(open_routes(&with("", two, "")), [""; 0]);
}

#[test]
fn a_backend_for_some_clients_leaves_the_others_closed_where_it_is_not_known_who_they_are() {
    for (condition, is_open) in [
        ("{ src -f bad.lst }", false),
        ("!{ var(txn.user) -m found }", false),
        ("{ http_auth(ul) }", false),
        ("{ path,url_dec -m beg /x }", true),
        ("{ nbsrv(b) lt 1 }", true),
    ] {
        let rule = format!("use_backend b if {condition}");
        let text = with("", &rule, "");
        assert_eq!(!open_routes(&text).is_empty(), is_open, "{rule}\n{text}");
    }
}

#[test]
fn a_frontend_whose_addresses_are_unknown_is_served_nowhere() {
    let text = imported(
        "frontend a\n bind quic4@:443 ssl crt a.pem\n default_backend b\nfrontend c\n bind :80\n default_backend b\n\
         backend b\n server a 10.0.0.1:80\n",
    );
    has(
        &text,
        &[
            "NOT TRANSLATED haproxy.cfg:1: frontend a",
            "none of its addresses",
        ],
    );
    assert!(
        !text.contains("[routes.a]") && !text.contains("listeners = []"),
        "{text}"
    );
}
