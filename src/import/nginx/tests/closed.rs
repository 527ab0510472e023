//! Lines that keep clients out, on each level: no route to an endpoint is open.

use super::{PASS, UPSTREAM, has, imported, location};
use crate::import::tests::open_routes;

/// A directive in a block within the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Http,
    Server,
    Location,
}

/// Imports a configuration whose locations with a pool the line is in force for.
fn with(at: At, line: &str) -> String {
    let here = |wanted: At| if at == wanted { line } else { "" };
    let http = format!("{UPSTREAM} {}", here(At::Http));
    let server = format!(
        "{} location / {{ {PASS} {} }} location /a/ {{ {} {PASS} location /a/b/ {{ {PASS} {} }} }} location ~ \\.x$ {{ {PASS} {} }}",
        here(At::Server),
        here(At::Location),
        here(At::Location),
        here(At::Location),
        here(At::Location),
    );
    imported(&http, &server)
}

#[test]
fn a_line_that_keeps_clients_out_leaves_no_route_open_on_any_level() {
    for line in [
        "deny all;",
        "allow 10.0.0.0/8; deny all;",
        "allow all; deny 10.0.0.1;",
        "auth_basic Staff; auth_basic_user_file users;",
        "auth_basic Staff;",
        "auth_basic $realm; auth_basic_user_file users;",
        "auth_request /verify;",
        "auth_request $service;",
        "auth_jwt Staff;",
        "auth_jwt_require $claim;",
        "auth_oidc provider;",
        "auth_digest Staff;",
        "auth_ldap Staff;",
        "secure_link $arg_md5,$arg_expires;",
        "access_by_lua_block { ngx.exit(403) }",
        "rewrite_by_lua_file check.lua;",
        "include snippets/that-are-missing.conf;",
        "modsecurity on;",
        "some_directive_of_a_module on;",
    ] {
        for at in [At::Http, At::Server, At::Location] {
            let text = with(at, line);
            assert_eq!(open_routes(&text), [""; 0], "{at:?} {line}\n{text}");
        }
    }
    for line in [
        "if ($invalid_referer) { return 403; }",
        "if ($http_x_a$http_x_b = \"\") { return 403; }",
        "if ($http_user_agent ~ (?<!a)b) { return 403; }",
        "if (-f $request_filename) { return 403; }",
        "if ($scheme != https) { return 403; }",
        "if ($http_host ~ evil) { return 403; }",
        "if ($bad) { return 444; }",
        "if ($secure_link = \"\") { rewrite ^ /login redirect; }",
        "if ($a) { set $b 1; return 503; }",
        "if ($a) { access_by_lua_file check.lua; }",
    ] {
        for at in [At::Server, At::Location] {
            let text = with(at, line);
            assert_eq!(open_routes(&text), [""; 0], "{at:?} {line}\n{text}");
        }
    }
    for line in [
        "internal;",
        "return 403;",
        "return 403 $uri;",
        "limit_except GET { allow 10.0.0.0/8; deny all; }",
    ] {
        let text = with(At::Location, line);
        assert_eq!(open_routes(&text), [""; 0], "{line}\n{text}");
    }
    for line in [
        "ssl_verify_client on;",
        "ssl_crl revoked.pem;",
        "ssl_ocsp on;",
    ] {
        let text = with(At::Server, line);
        assert_eq!(open_routes(&text), [""; 0], "{line}\n{text}");
    }
}

#[test]
fn a_line_that_keeps_nobody_out_closes_nothing() {
    for line in [
        "proxy_buffer_size 8k;",
        "include snippets/none-*.conf;",
        "lua_shared_dict a 1m;",
        "proxy_some_new_setting on;",
        "log_subrequest on;",
        "send_lowat 1;",
        "satisfy any;",
        "auth_delay 1s;",
        "auth_basic off;",
        "auth_jwt off;",
        "limit_rate 50k;",
        "valid_referers none;",
        "set $a b;",
        "more_set_headers \"A: b\";",
        "client_body_in_file_only clean;",
        "if ($a) { set $b 1; }",
        "if ($a) { return 301 /new; }",
        "if ($a) { add_header X y; }",
        "sub_filter a b;",
        "subrequest_output_buffer_size 8k;",
        "ssl_verify_depth 3;",
    ] {
        let text = with(At::Server, line);
        assert_eq!(open_routes(&text).len(), 4, "{line}\n{text}");
    }
}

#[test]
fn what_a_location_turns_off_is_off_in_it_alone() {
    let server = format!(
        "auth_jwt Staff; location / {{ {PASS} }} location /open/ {{ auth_jwt off; {PASS} }}"
    );
    let text = imported(UPSTREAM, &server);
    assert_eq!(open_routes(&text), ["http_8080_open"], "{text}");
}

#[test]
fn a_location_without_an_endpoint_does_not_leave_its_paths_to_a_shorter_one() {
    let server = format!(
        "location / {{ {PASS} }} location /files/ {{ root /srv; deny 10.0.0.1; }} location = /auth {{ internal; {PASS} }} location ~ (?<!a)\\.ht {{ deny all; }}"
    );
    let text = imported(UPSTREAM, &server);
    for route in ["path_prefix = \"/files\"", "path = \"/auth\""] {
        let (_, behind) = text.split_once(route).unwrap();
        let end = behind.find("\n[").unwrap_or(behind.len());
        assert!(behind[..end].contains("respond.status = 404"), "{text}");
    }
    // Nobody knows which paths the expression means.
    assert_eq!(open_routes(&text), [""; 0], "{text}");
}

#[test]
fn a_variant_of_a_location_is_as_closed_as_the_location() {
    let http = format!("{UPSTREAM} map $http_x_tenant $to {{ default app; acme app; }}");
    let server = "location / { proxy_pass http://$to; if ($bad) { return 403; } }";
    let text = imported(&http, server);
    assert_eq!(open_routes(&text), [""; 0], "{text}");
}

#[test]
fn a_line_that_concerns_several_routes_is_told_once() {
    let server =
        format!("error_page 404 /none.html; location / {{ {PASS} }} location /a/ {{ {PASS} }}");
    let text = imported(UPSTREAM, &server);
    assert_eq!(
        text.matches("NOT TRANSLATED nginx.conf").count(),
        1,
        "{text}"
    );
    assert_eq!(text.matches("# As above, nginx.conf").count(), 1, "{text}");
}

#[test]
fn a_redirect_of_some_paths_leaves_the_rest_of_the_location_to_it() {
    let text = location("rewrite ^/old$ /new permanent; deny all;");
    assert!(text.contains("path_regex = \"^/old$\""), "{text}");
    assert_eq!(open_routes(&text), [""; 0], "{text}");
    assert!(text.contains("pool = "), "{text}");
    let server = format!("location /a {{ rewrite ^/a/old$ /new permanent; {PASS} }}");
    let text = imported(UPSTREAM, &server);
    has(
        &text,
        &[
            "[routes.http_8080_a]",
            "path_regex = \"^/a/old$\"",
            "redirect.to",
        ],
    );
    has(
        &text,
        &["[routes.http_8080_a_2]", "path_regex = \"^/a\"", "pool"],
    );
}

#[test]
fn a_variable_that_map_or_geo_sets_is_what_it_is_set_from() {
    let http = format!(
        "{UPSTREAM} map $http_user_agent $bot {{ default 0; ~*curl 1; wget 1; }} geo $bad {{ default 0; 10.0.0.0/8 1; }} \
         map $http_x_key $open {{ default 0; secret 1; }} map $http_x_id $none {{ default 0; '' 1; }} geo $in {{ default 0; 10.0.0.0/8 1; }}"
    );
    let server = format!(
        "location /bot/ {{ if ($bot) {{ return 403; }} {PASS} }} location /bad/ {{ if ($bad) {{ return 403; }} {PASS} }} \
         location /key/ {{ if ($open = 0) {{ return 401; }} {PASS} }} location /id/ {{ if ($none) {{ return 401; }} {PASS} }} \
         location /in/ {{ if ($in = 0) {{ return 403; }} {PASS} }}"
    );
    let text = imported(&http, &server);
    has(
        &text,
        &[
            "path_prefix = \"/bot\"",
            "headers.user-agent = { regex = \"(?i)curl\" }",
            "respond.status = 403",
        ],
    );
    has(
        &text,
        &[
            "path_prefix = \"/bot\"",
            "headers.user-agent = { regex = \"(?i)^wget$\" }",
            "respond.status = 403",
        ],
    );
    has(
        &text,
        &[
            "path_prefix = \"/bad\"",
            "source = [\"10.0.0.0/8\"]",
            "respond.status = 403",
        ],
    );
    has(
        &text,
        &[
            "path_prefix = \"/key\"",
            "respond.status = 401",
            "path_prefix = \"/key\"",
            "pool",
            "headers.x-key = { regex = \"(?i)^secret$\" }",
        ],
    );
    has(
        &text,
        &[
            "path_prefix = \"/id\"",
            "respond.status = 401",
            "path_prefix = \"/id\"",
            "pool",
            "headers.x-id = { regex = \"(?s).\" }",
        ],
    );
    has(
        &text,
        &["path_prefix = \"/in\"", "access.allow = [\"10.0.0.0/8\"]"],
    );
    assert!(!text.contains("NOT TRANSLATED"), "{text}");
}

#[test]
fn conditions_that_must_hold_are_those_of_the_route_to_the_endpoint() {
    for (line, wanted) in [
        (
            "if ($cookie_auth = \"\") { return 403; }",
            "cookies.auth = { regex = \"(?s).\" }",
        ),
        (
            "if ($http_x_key != \"k\") { return 401; }",
            "headers.x-key = \"k\"",
        ),
        (
            "if ($arg_t !~ ^a$) { return 401; }",
            "query.t = { regex = \"^a$\" }",
        ),
        (
            "if ($request_method !~ ^(GET|HEAD)$) { return 405; }",
            "access.methods = [\"GET\", \"HEAD\"]",
        ),
        (
            "limit_except GET { deny all; }",
            "methods = [\"GET\", \"HEAD\"]",
        ),
    ] {
        let text = location(line);
        has(&text, &["pool = \"app\"", wanted]);
        assert!(!text.contains("NOT TRANSLATED"), "{text}");
        if !wanted.starts_with("access") {
            has(&text, &["respond.status = 40"]);
        }
    }
    let text = location(
        "if ($request_method ~ ^(PUT|DELETE)$) { return 405; } if ($http_x_key = \"\") { return 401; }",
    );
    has(
        &text,
        &[
            "headers.x-key",
            "methods = [\"PUT\", \"DELETE\"]",
            "respond.status = 405",
            "pool = \"app\"",
        ],
    );
}

#[test]
fn a_prefix_takes_any_path_that_begins_with_it_and_the_longest_goes_first() {
    let server = format!(
        "location / {{ {PASS} }} location /api {{ proxy_pass http://app/; }} location /api/ {{ {PASS} }} location /api-docs {{ {PASS} }} \
         location ^~ /static {{ {PASS} }} location ~ \\.php$ {{ {PASS} }} location = /api {{ return 204; }} location /files/ {{ {PASS} }}"
    );
    let text = imported(UPSTREAM, &server);
    has(
        &text,
        &[
            "path_regex = \"^/api\"",
            "rewrite.path_regex.match = \"^/api\"",
            "rewrite.path_regex.to = \"/\"",
        ],
    );
    has(&text, &["path_regex = \"^/api/\"", "priority = 1"]);
    has(&text, &["path_regex = '^/api\\-docs'", "priority = 1"]);
    has(&text, &["path_regex = \"^/static\"", "priority = 3"]);
    has(&text, &["path_regex = '\\.php$'", "priority = 2"]);
    has(&text, &["path = \"/api\"", "priority = 3"]);
    has(&text, &["path_prefix = \"/files\""]);
    assert!(!text.contains("NOT TRANSLATED"), "{text}");
}

#[test]
fn a_condition_that_sends_to_https_is_of_all_routes_of_its_location() {
    let text = location("if ($scheme = http) { return 301 https://$host$request_uri; }");
    has(&text, &["pool = \"app\"", "https_only = true"]);
}
