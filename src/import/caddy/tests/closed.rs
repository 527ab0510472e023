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
