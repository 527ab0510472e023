//! Lines that keep clients out, on each level: no route to an endpoint is open.

use super::imported;
use crate::import::tests::{has, open_routes};

/// Imports a site with a handler and an answer of its own, with these lines on each level.
fn with(site: &str, handle: &str, named: &str) -> String {
    imported(&format!(
        "http://a.example {{\n\t{named}\n\t{site}\n\thandle /in/* {{\n\t\t{handle}\n\t\treverse_proxy 10.0.0.1:80\n\t}}\n\thandle_path /other/* {{\n\t\t{handle}\n\t\treverse_proxy 10.0.0.1:80\n\t}}\n}}\n\
         http://b.example {{\n\t{named}\n\t{site}\n\t{handle}\n\treverse_proxy 10.0.0.1:80\n}}\n"
    ))
}

#[test]
fn a_line_that_keeps_clients_out_leaves_no_route_open_on_any_level() {
    let named = "@not not path /x\n\t@key not header X-Key secret\n\t@ex expression {query.t} != \"s\"\n\t@two {\n\t\tnot header X-Key secret\n\t\tnot remote_ip 10.0.0.0/8\n\t}\n\t@ip not remote_ip 10.0.0.0/8";
    for line in [
        "basic_auth {\n\t\tu hash\n\t}",
        "forward_auth 10.0.0.3:80 {\n\t\turi /verify\n\t}",
        "forward_auth @ex 10.0.0.3:80 {\n\t\turi /verify\n\t}",
        "redir @ex /login",
        "redir @none /login",
        "request_header -X-Auth-*",
        "request_header @ex -X-User",
        "authorize with policy",
        "rate_limit {\n\t\tzone a\n\t}",
        "import snippet_that_is_missing",
    ] {
        for (site, handle) in [(line, ""), ("", line)] {
            let text = with(site, handle, named);
            assert_eq!(open_routes(&text), [""; 0], "{line}\n{text}");
        }
    }
    for line in [
        "respond @ex 403",
        "respond @two 401",
        "respond @none 403",
        "respond @ex \"{http.some.thing}\" 401",
        "abort @ex",
        "error @ex 404",
        "respond @ip 403",
        "abort @ip",
        "error @ip 403",
        "respond 403",
        "abort",
    ] {
        let text = with("", line, named);
        assert_eq!(open_routes(&text), [""; 0], "{line}\n{text}");
    }
}

#[test]
fn a_line_that_keeps_nobody_out_closes_nothing() {
    for line in [
        "encode gzip",
        "header X-A b",
        "request_header -X-User",
        "request_header X-A {http.unknown}",
        "log",
        "log_append a b",
        "tracing",
        "root * /srv",
        "request_body {\n\t\tmax_size 1MB\n\t}",
        "vars a b",
        "redir @ex /new permanent",
        "method @ex GET",
    ] {
        let text = with("", line, "@ex expression true");
        assert_eq!(open_routes(&text).len(), 3, "{line}\n{text}");
    }
}

#[test]
fn a_refusal_goes_before_every_endpoint_of_its_block() {
    let text = imported(
        ":80 {\n\t@post method POST\n\t@key not header X-Key secret\n\t@git path_regexp \\.git\n\trespond @post 405\n\trespond @key \"no\" 401\n\terror @git 404\n\treverse_proxy /api/* 10.0.0.1:80\n\treverse_proxy 10.0.0.2:80\n}\n",
    );
    // The route of a path has the refusals, too.
    has(
        &text,
        &[
            "path_prefix = \"/api\"",
            "respond.status = 401",
            "respond.body = \"no\"",
            "path_prefix = \"/api\"",
            "headers.x-key = \"secret\"",
            "methods = [\"POST\"]",
            "respond.status = 405",
        ],
    );
    // An expression goes before a prefix as it is.
    has(&text, &["path_regex = '\\.git'", "respond.status = 404"]);
}

#[test]
fn several_lines_of_a_matcher_must_all_hold() {
    let text = imported(
        ":80 {\n\t@m {\n\t\tpath /a/*\n\t\tpath /b/*\n\t\tmethod PUT\n\t\tremote_ip private_ranges\n\t\theader !X-Key\n\t}\n\trespond @m 403\n\treverse_proxy 10.0.0.2:80\n}\n",
    );
    for path in ["/a", "/b"] {
        has(
            &text,
            &[
                &format!("path_prefix = \"{path}\""),
                "methods = [\"PUT\"]",
                "source = [\"192.168.0.0/16\"",
                "headers.x-key = { present = false }",
                "respond.status = 403",
            ],
        );
    }
    assert!(!text.contains("NOT TRANSLATED"), "{text}");
}

#[test]
fn addresses_that_alone_are_let_in_are_written_as_access() {
    let text = imported(
        ":80 {\n\t@blocked not remote_ip 10.0.0.0/8\n\thandle /in/* {\n\t\trespond @blocked 403\n\t\treverse_proxy 10.0.0.1:80\n\t}\n\treverse_proxy 10.0.0.2:80\n}\n",
    );
    has(
        &text,
        &["path_prefix = \"/in\"", "access.allow = [\"10.0.0.0/8\"]"],
    );
    assert_eq!(text.matches("access.").count(), 1, "{text}");
}

#[test]
fn a_handler_that_refuses_goes_before_those_beside_it() {
    for handler in [
        "handle @ex {\n\t\trespond 403\n\t}",
        "handle @ex {\n\t\tbasic_auth {\n\t\t\tu hash\n\t\t}\n\t\treverse_proxy 10.0.0.1:80\n\t}",
        "handle @ip {\n\t\tabort\n\t}",
        "route @ip {\n\t\terror 403\n\t}",
    ] {
        let text = imported(&format!(
            ":80 {{\n\t@ex expression {{query.t}} != \"s\"\n\t@ip not remote_ip 10.0.0.0/8\n\t@tenant header X-Tenant a\n\t{handler}\n\
             \thandle @tenant {{\n\t\treverse_proxy 10.0.0.1:80\n\t}}\n\thandle {{\n\t\treverse_proxy 10.0.0.1:80\n\t}}\n}}\n"
        ));
        assert_eq!(open_routes(&text), [""; 0], "{handler}\n{text}");
    }
    let text = imported(
        ":80 {\n\t@ex expression true\n\thandle @ex {\n\t\treverse_proxy 10.0.0.2:80\n\t}\n\thandle {\n\t\treverse_proxy 10.0.0.1:80\n\t}\n}\n",
    );
    assert_eq!(open_routes(&text).len(), 1, "{text}");
}

#[test]
fn a_service_that_is_asked_by_an_answer_guards_what_stands_behind_it() {
    let asked = |inner: &str| {
        imported(&format!(
            "http://a {{\n\troute {{\n\t\treverse_proxy :9 {{\n{inner}\n\t\t}}\n\t\treverse_proxy /deep/* :1\n\t\treverse_proxy :2\n\t}}\n}}\n"
        ))
    };
    let passing = "handle_response @good {\nrequest_header X-User {rp.header.X-User}\n}";
    let text = asked(&format!(
        "method GET\nrewrite /verify?a=b\nheader_up X-Forwarded-Uri {{uri}}\n@good status 2xx\n{passing}"
    ));
    assert_eq!(open_routes(&text), [""; 0], "{text}");
    let forward = "auth = { forward = { pool = \"127_0_0_1_9\", path = \"/verify?a=b\", headers = [\"x-user\"] } }";
    assert!(
        text.contains(forward) && !text.contains("access.deny"),
        "{text}"
    );
    // What is not said so closes.
    for inner in [
        format!("rewrite /verify\n@good status 2xx\n{passing}"),
        format!("method GET\n@good status 2xx\n{passing}"),
        format!("method GET\nrewrite /verify\n@good status 2xx 403\n{passing}"),
        format!("method GET\nrewrite /verify\n@good header X-A b\n{passing}"),
        "method GET\nrewrite /verify\nhandle_response {\n}".to_owned(),
    ] {
        let text = asked(&inner);
        assert_eq!(open_routes(&text), [""; 0], "{inner}\n{text}");
        assert!(text.contains("access.deny"), "{inner}\n{text}");
    }
    // An answer of an error is no question.
    let text = asked("@bad status 5xx\nhandle_response @bad {\nrespond sorry 503\n}");
    assert!(!text.contains("access.deny"), "{text}");
}

#[test]
fn fields_that_a_service_gives_do_not_come_from_the_client() {
    let text = imported(
        "http://a {\n\tforward_auth https://auth:9 {\n\t\turi /check\n\t\tcopy_headers {\n\t\t\tX-User\n\t\t\tX-Mail>X-Email\n\t\t}\n\t\theader_up -Authorization\n\t}\n\treverse_proxy :1\n}\n",
    );
    has(
        &text,
        &[
            "NOT TRANSLATED Caddyfile:8: header_up -Authorization",
            "headers = [\"x-user\", \"x-mail\"]",
            "headers_request.set.x-email = \"{header:x-mail}\"",
            "endpoints = [\"auth:9\"]",
            "tls.verify = true",
        ],
    );
}

#[test]
fn a_site_for_clients_with_a_certificate_is_closed_to_others() {
    for (mode, closes) in [("require_and_verify", true), ("request", false)] {
        let text = imported(&format!(
            "http://a {{\n\ttls {{\n\t\tclient_auth {{\n\t\t\tmode {mode}\n\t\t}}\n\t}}\n\treverse_proxy :1\n}}\n"
        ));
        assert_eq!(open_routes(&text).is_empty(), closes, "{mode}\n{text}");
    }
}

#[test]
fn a_condition_that_names_nothing_opens_nothing() {
    for test in [
        "remote_ip {\nrange 10.0.0.1\n}",
        "remote_ip",
        "method",
        "host",
    ] {
        let text = imported(&format!(
            "http://a {{\n\t@in {{\n{test}\n\t}}\n\thandle @in {{\n\t\treverse_proxy :1\n\t}}\n\thandle {{\n\t\trespond no 403\n\t}}\n}}\n"
        ));
        assert_eq!(open_routes(&text), [""; 0], "{test}\n{text}");
    }
}

#[test]
fn a_matcher_in_a_block_holds_with_that_of_the_block() {
    let block = |outer: &str, inner: &str| {
        imported(&format!(
            "http://a {{\n\t{outer} {{\n\t\t{inner}\n\t\treverse_proxy :2\n\t}}\n}}\n"
        ))
    };
    // No request is for both.
    for (outer, inner) in [
        ("handle /a/*", "reverse_proxy /b/* :1"),
        ("handle /", "redir /b 302"),
        ("handle /a*", "reverse_proxy /b/* :1"),
    ] {
        let text = block(outer, inner);
        has(&text, &["it is never reached"]);
        assert!(!text.contains("\"/b"), "{text}");
    }
    let text = block("handle /a*", "reverse_proxy /a/b/* :1");
    has(&text, &["path_prefix = \"/a/b\"", "path_regex = \"^/a\""]);
    // The inner one is compared with the rest of the path.
    let text = block("handle_path /a/*", "reverse_proxy /b/* :1");
    has(
        &text,
        &[
            "rewrite.strip_prefix = \"/a\"",
            "path_prefix = \"/a/b\"",
            "path_prefix = \"/a\"",
        ],
    );
    let text = block("handle_path /a/*", "respond /secret 403");
    has(&text, &["path = \"/a/secret\"", "respond.status = 403"]);
    let text = block("handle /a/*", "reverse_proxy /a/*/c :1");
    has(&text, &["both its matcher and that of the block"]);
}
