//! Pages, choices, caches and answers.

use std::fs;

use super::{PASS, UPSTREAM, has, imported, location};
use crate::import::{nginx::import, tests::open_routes};

#[test]
fn pages_of_errors_are_files() {
    let server = format!(
        "root .; error_page 500 502 /50x.html; location = /50x.html {{ internal; }} location / {{ {PASS} proxy_intercept_errors on; }}"
    );
    let text = imported(UPSTREAM, &server);
    has(
        &text,
        &[
            "error_pages.\"500,502\".file = \"",
            "error_pages.\"500,502\".of = \"all\"",
        ],
    );
    let text = location("error_page 404 /none.html; error_page 403 =200 /x;");
    assert_eq!(text.matches("# NOT TRANSLATED").count(), 2, "{text}");
}

#[test]
fn a_map_chooses_a_pool_and_the_one_for_websocket_is_not_needed() {
    let http = format!(
        "{UPSTREAM} upstream acme {{ server 10.0.0.2:80; }} map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }} \
         map $http_x_tenant $to {{ default app; acme acme; }}"
    );
    let text = imported(
        &http,
        "location / { proxy_pass http://$to; proxy_set_header Host $host; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade; }",
    );
    has(
        &text,
        &[
            "headers.x-tenant = \"acme\"",
            "pool = \"acme\"",
            "pool = \"app\"",
        ],
    );
    assert!(!text.contains("NOT TRANSLATED"), "{text}");
}

#[test]
fn a_cache_with_key_times_and_bypass() {
    let http = format!("{UPSTREAM} proxy_cache_path /tmp/c keys_zone=c:10m max_size=64m;");
    let server = format!(
        "location / {{ {PASS} proxy_cache c; proxy_cache_valid 200 10m; proxy_cache_valid 404 1m; proxy_cache_key $host$request_uri$cookie_lang; \
         proxy_cache_bypass $cookie_nocache; add_header X-Cache $upstream_cache_status; }}"
    );
    let text = imported(&http, &server);
    has(&text, &["_fresh]", "cookies.nocache = { present = true }"]);
    has(
        &text,
        &[
            "cache.max_size = \"64MiB\"",
            "cache.default_ttl = \"600s\"",
            "cache.negative_ttl = \"60s\"",
            "cache.key.cookies = [\"lang\"]",
        ],
    );
    assert_eq!(text.matches("cache.max_size").count(), 1, "{text}");
}

#[test]
fn answers_redirects_and_rewrites() {
    let text = imported(
        "",
        "listen [::]:8080; return 301 https://$host$request_uri;",
    );
    has(
        &text,
        &[
            "address = \"[::]:8080\"",
            "redirect.to = \"https://{host}{path}{query}\"",
            "redirect.status = 301",
        ],
    );
    let server = format!(
        "if ($host = www.shop.example) {{ return 301 https://shop.example$request_uri; }}\n\
         location /gone {{ return 410 \"gone for good\"; }}\n\
         location /api {{ rewrite ^/api/(.*)$ /$1 break; {PASS} }}\n\
         location ~ /\\.ht {{ deny all; }}\n\
         location / {{ {PASS} }}"
    );
    let text = imported(UPSTREAM, &server);
    has(
        &text,
        &[
            "hosts = [\"www.shop.example\"]",
            "priority = 4",
            "redirect.to = \"https://shop.example{path}{query}\"",
        ],
    );
    has(
        &text,
        &["respond.status = 410", "respond.body = \"gone for good\""],
    );
    has(
        &text,
        &[
            "rewrite.path_regex.match = \"^/api/(.*)$\"",
            "rewrite.path_regex.to = \"/${1}\"",
        ],
    );
    has(&text, &["path_regex = '/\\.ht'", "respond.status = 403"]);
    assert!(!text.contains("NOT TRANSLATED"), "{text}");
}

#[test]
fn what_all_routes_have_is_written_once() {
    let http = format!("{UPSTREAM} client_max_body_size 1m; proxy_read_timeout 5;");
    let text = imported(
        &http,
        &format!("location / {{ {PASS} }} location /a {{ {PASS} }} location /b {{ return 204; }}"),
    );
    has(
        &text,
        &[
            "[defaults.routes]",
            "timeouts.total = \"5s\"",
            "body_max = \"1MiB\"",
        ],
    );
    assert_eq!(text.matches("body_max").count(), 1, "{text}");
}

#[test]
fn what_has_no_equal_says_what_to_do_and_the_rest_works() {
    let server = format!(
        "limit_rate 50k; location /files/ {{ root /srv; autoindex on; }} location /php {{ fastcgi_pass 127.0.0.1:9000; }} location / {{ {PASS} }}"
    );
    let text = imported(UPSTREAM, &server);
    for (line, advice) in [
        ("root /srv;", "run a file server behind the proxy"),
        (
            "fastcgi_pass 127.0.0.1:9000;",
            "put a server that speaks HTTP before the application",
        ),
        ("limit_rate 50k;", "bandwidth is not limited"),
    ] {
        has(&text, &["NOT TRANSLATED nginx.conf:", line, advice]);
    }
}

#[test]
fn a_file_of_conf_d_alone_is_read_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.conf");
    fs::write(
        &path,
        "server { location / { proxy_pass http://127.0.0.1:9; } }",
    )
    .unwrap();
    has(
        &import(&path).unwrap().text,
        &[
            "[listeners.http]",
            "address = \"0.0.0.0:80\"",
            "endpoints = [\"127.0.0.1:9\"]",
        ],
    );
}

#[test]
fn what_a_file_says_cannot_break_out_of_its_value() {
    let server = format!(
        "location / {{ {PASS} gzip on; gzip_comp_level \"5\n[admin]\"; add_header X \"a\nb\"; }}"
    );
    let text = imported(UPSTREAM, &server);
    has(
        &text,
        &["NOT TRANSLATED", "compress.level cannot have such a value"],
    );
    assert!(!text.contains("\n[admin]"), "{text}");
}

#[test]
fn a_location_without_a_log_has_none() {
    let http = format!("{UPSTREAM} access_log /dev/stdout combined;");
    let server = format!("location / {{ {PASS} }} location /up {{ {PASS} access_log off; }}");
    let text = imported(&http, &server);
    has(
        &text,
        &["[access_log]", "path = \"-\"", "format = \"common\""],
    );
    has(&text, &["path_regex = \"^/up\"", "access_log = false"]);
}

#[test]
fn groups_headers_parameters_and_cookies_stand_in_targets() {
    let server = format!(
        "location ~ ^(/blog/.*)$ {{ return 301 https://blog.example$1; }}\n\
         location ~ ^/user/(?P<id>[0-9]+)$ {{ return 302 /people/$id?from=$arg_from; }}\n\
         location /old {{ rewrite ^/old/(.*)$ /new/$1 permanent; }}\n\
         location /gone {{ rewrite ^ https://new.example/ redirect; }}\n\
         location /chosen {{ return 302 https://$http_x_to/; }}\n\
         location / {{ proxy_set_header X-Lang $cookie_lang; proxy_set_header X-A $http_x_b; {PASS} }}"
    );
    let text = imported(UPSTREAM, &server);
    for lines in [
        &[
            "path_regex = \"^/(blog/.*)$\"",
            "redirect.to = \"https://blog.example/{path.1}\"",
        ][..],
        &["redirect.to = \"/people/{path.id}?from={query:from}\""],
        &[
            "path_regex = \"^/old/(.*)$\"",
            "redirect.to = \"/new/{path.1}{query}\"",
        ],
        &[
            "path_regex = \"^/gone\"",
            "redirect.to = \"https://new.example/{query}\"",
        ],
        &["x-lang = \"{cookie:lang}\"", "x-a = \"{header:x-b}\""],
        // A client would lead others where it likes.
        &[
            "NOT TRANSLATED",
            "return 302 https://$http_x_to/;",
            "choose the host",
        ],
    ] {
        has(&text, lines);
    }
}

#[test]
fn an_answer_to_some_methods_with_its_fields_is_a_route_beside_the_endpoint() {
    let text = location(
        "if ($request_method = 'OPTIONS') { add_header Access-Control-Allow-Origin '*'; add_header Content-Length 0; return 204; }",
    );
    has(
        &text,
        &[
            "methods = [\"OPTIONS\"]",
            "respond.status = 204",
            "headers_response.add.access-control-allow-origin = \"*\"",
            "pool = \"app\"",
        ],
    );
    assert!(!text.contains("access.deny"), "{text}");
}

#[test]
fn a_value_of_set_stands_where_it_is_used() {
    let text = imported(
        "",
        "set $proto https; set $service app; location / { set $port 8443; proxy_pass $proto://$service:$port; } \
         location /a { proxy_pass http://$service:80/fixed; } location /b { if ($arg_x) { set $service other; } proxy_pass http://$service:80; }",
    );
    has(
        &text,
        &["endpoints = [\"app:8443\"]", "endpoints = [\"app:80\"]"],
    );
    has(
        &text,
        &[
            "rewrite.path_regex.match = \"^.*$\"",
            "rewrite.path_regex.to = \"/fixed\"",
        ],
    );
    // Another value is possible.
    has(
        &text,
        &["NOT TRANSLATED nginx.conf:5: proxy_pass http://$service:80;"],
    );
}

#[test]
fn a_field_with_an_unknown_value_does_not_come_from_the_client() {
    let text = location("proxy_set_header X-User $unknown; proxy_set_header Upgrade $unknown;");
    has(
        &text,
        &[
            "there is no placeholder for $unknown; what the client sends in this field is removed",
            "headers_request.remove = [\"x-user\"]",
        ],
    );
    // That of a service which is asked is known.
    let text = imported(
        UPSTREAM,
        "location = /check { internal; proxy_pass http://app/verify; } location / { auth_request /check; \
         auth_request_set $user $upstream_http_x_user; auth_request_set $mail $upstream_http_x_mail; \
         proxy_set_header X-User $user; proxy_set_header X-Email $mail; proxy_pass http://app; }",
    );
    has(
        &text,
        &[
            "headers_request.set.x-email = \"{header:x-mail}\"",
            "headers = [\"x-user\", \"x-mail\"]",
        ],
    );
    assert!(!text.contains("headers_request.remove"), "{text}");
}

#[test]
fn the_bound_of_a_body_is_that_of_the_location_that_is_found_first() {
    let text = imported(
        UPSTREAM,
        "location @app { client_max_body_size 1k;\n proxy_pass http://app; }\n location /up { client_max_body_size 1m; try_files /none @app; }",
    );
    has(
        &text,
        &[
            "body_max = \"1MiB\"",
            "client_max_body_size 1k; (not in force",
        ],
    );
}

#[test]
fn a_server_whose_names_are_an_expression_goes_before_that_of_all_hosts() {
    let other =
        "upstream app { server 10.0.0.1:80; } server { listen 8080 default_server; return 404; }";
    let text = imported(
        other,
        "server_name shop.* ~^(a|b)\\.example$; location / { proxy_pass http://app; } location /deep { return 403; }",
    );
    has(
        &text,
        &[
            "headers.host = { regex = '(?i)(?:^shop\\.[^:]+(?::[0-9]+)?$|^(a|b)\\.example(?::[0-9]+)?$)' }",
            "priority = 1000",
        ],
    );
    // An expression that fits the name of another server has no rank of its own.
    let named = "upstream app { server 10.0.0.1:80; } server { listen 8080 default_server; server_name shop.example; return 404; }";
    let text = imported(
        named,
        "server_name ~shop; location / { proxy_pass http://app; }",
    );
    assert!(!text.contains("priority = 1000"), "{text}");
}

#[test]
fn two_rates_of_one_key_have_names_of_their_own() {
    let text = imported(
        "upstream app { server 10.0.0.1:80; } limit_req_zone $binary_remote_addr zone=a:1m rate=1r/s; limit_req_zone $binary_remote_addr zone=b:1m rate=9r/m;",
        "location / { limit_req zone=a; limit_req zone=b burst=3; proxy_pass http://app; }",
    );
    has(&text, &["burst = 1 }, {", "name = \"rule_2\" }]"]);
}

#[test]
fn a_time_of_failing_of_nothing_ejects_nobody() {
    let text = imported(
        "upstream app { server 10.0.0.1:80 max_fails=1 fail_timeout=0; server 10.0.0.2:80 fail_timeout=0; }",
        "location / { proxy_pass http://app; }",
    );
    has(&text, &["ejection = false"]);
}

#[test]
fn shares_of_clients_are_a_split_of_pools() {
    let http = "upstream a { server 10.0.0.1:80; } upstream b { server 10.0.0.2:80; }
        split_clients $remote_addr $side { 0.5% b; * a; }";
    let text = imported(
        http,
        "location / { proxy_pass http://$side; proxy_set_header Host $host; }",
    );
    has(
        &text,
        &["split.b = 50", "split.a = 9950", "[pools.b]", "[pools.a]"],
    );
    assert!(!text.contains("NOT TRANSLATED"), "{text}");
    // What keeps clients out closes it, too.
    let text = imported(
        http,
        "secure_link $arg_a; location / { proxy_pass http://$side; }",
    );
    assert_eq!(open_routes(&text), [""; 0], "{text}");
    let text = imported(
        "split_clients $remote_addr $side { 10% b; }",
        "location / { proxy_pass http://$side; }",
    );
    has(
        &text,
        &["NOT TRANSLATED", "split = {", "respond.status = 404"],
    );
}
