//! Usual parts of a configuration of HAProxy, one by one.

use crate::import::{
    Dialect,
    tests::{self, has, open_routes},
};

/// Imports a configuration; the result must be good.
fn imported(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("haproxy.cfg");
    tests::imported(Dialect::Haproxy, &path, text)
}

#[test]
fn frontends_with_rules_in_their_order_and_backends() {
    let text = imported(
        "global\n maxconn 1000\ndefaults\n mode http\n timeout connect 5s\n timeout client 30s\n timeout server 1m\n retries 2\n\
         frontend web\n bind *:80\n acl api path_beg /api/\n acl shop hdr(host) -i shop.example www.shop.example\n\
         http-request deny if { path_beg -i /private }\n use_backend api if shop api\n use_backend api if { hdr(x-api) yes } || { method PUT }\n\
         redirect prefix https://new.example code 301 if { path /old }\n default_backend app\n\
         backend app\n balance leastconn\n option httpchk GET /up\n server a 10.0.0.1:80 weight 3 check inter 2s\n server b 10.0.0.2:80 check backup\n\
         backend api\n server c 10.0.0.3:443 ssl verify none\n",
    );
    has(
        &text,
        &[
            "[listeners.http]",
            "address = \"0.0.0.0:80\"",
            "timeouts.body_idle = \"30s\"",
        ],
    );
    has(
        &text,
        &[
            "path_regex = \"(?i)^/private\"",
            "priority = 4",
            "respond.status = 403",
        ],
    );
    has(
        &text,
        &[
            "hosts = [\"shop.example\", \"www.shop.example\"]",
            "path_prefix = \"/api\"",
            "priority = 2",
            "pool = \"api\"",
        ],
    );
    has(
        &text,
        &[
            "headers.x-api = \"yes\"",
            "priority = 1",
            "methods = [\"PUT\"]",
            "priority = 1",
        ],
    );
    has(
        &text,
        &[
            "path = \"/old\"",
            "redirect.to = \"https://new.example{path}{query}\"",
            "redirect.status = 301",
        ],
    );
    has(&text, &["pool = \"app\""]);
    has(
        &text,
        &[
            "picker = \"least_requests\"",
            "health.http.path = \"/up\"",
            "{ address = \"10.0.0.1:80\", weight = 3 }, { address = \"10.0.0.2:80\", priority = 1 }",
        ],
    );
    assert!(!text.contains("NOT TRANSLATED"), "{text}");
}

#[test]
fn headers_https_and_compression() {
    let text = imported(
        "listen web\n bind :8080\n mode http\n http-request set-header X-Real-IP %[src]\n http-response set-header X-A b\n http-response del-header Server\n\
         compression algo gzip\n compression type text/html\n http-request redirect scheme https unless { ssl_fc }\n option forwardfor\n server a 10.0.0.1:80\n",
    );
    has(
        &text,
        &[
            "address = \"0.0.0.0:8080\"",
            "pool = \"web\"",
            "https_only = true",
        ],
    );
    has(
        &text,
        &[
            "headers_request.set.x-real-ip = \"{client_ip}\"",
            "headers_response.set.x-a = \"b\"",
            "headers_response.remove = [\"server\"]",
        ],
    );
    has(
        &text,
        &[
            "compress.encodings = [\"gzip\"]",
            "compress.types = [\"text/html\"]",
        ],
    );
    assert!(!text.contains("NOT TRANSLATED"), "{text}");
}

#[test]
fn what_has_no_equal_says_what_to_do() {
    let text = imported(
        "frontend web\n bind :80\n http-request deny if !{ src 10.0.0.0/8 } { dst_port 81 }\n stick-table type ip size 1m\n use_backend b if !{ path /a }\n default_backend b\nbackend b\n cookie SRV insert\n server a 10.0.0.1:80\n",
    );
    has(
        &text,
        &[
            "keeps everybody out",
            "access.deny = [\"0.0.0.0/0\", \"::/0\"]",
        ],
    );
    for (line, advice) in [
        ("use_backend b if !{ path /a }", "no negation"),
        ("stick-table", "rate_limit"),
        ("cookie SRV insert", "session = {"),
    ] {
        has(&text, &["NOT TRANSLATED haproxy.cfg:", line, advice]);
    }
}

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
