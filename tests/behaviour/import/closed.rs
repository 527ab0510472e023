//! Refusals of nginx, HAProxy and Caddy, which the imported configuration makes too: side by side with each
//! that is installed.

use std::net::SocketAddr;

use super::{echo, sides::Sides};
use crate::harness::Client;

/// A request, and the status that both answer it with.
type Case = (&'static str, &'static str, &'static str, u16);

/// Imports a configuration and asks both proxies.
async fn both_answer(dialect: &str, config: impl Fn(SocketAddr) -> String, cases: &[Case]) {
    let folder = tempfile::tempdir().expect("a folder");
    let sides = Sides::of(dialect, folder.path(), config).await;
    let text = &sides.text;
    for (method, target, lines, wanted) in cases {
        for at in sides.addresses() {
            let mut client = Client::connect(at).await;
            let host = format!("host: shop.example:{}", at.port());
            let lines = match lines.is_empty() {
                true => host,
                false => format!("{host}\r\n{lines}"),
            };
            let status = client.request(method, target, &lines, b"").await.status;
            let who = if at == sides.own() { "ours" } else { dialect };
            assert_eq!(status, *wanted, "{who}: {method} {target} {lines}\n{text}");
        }
    }
    sides.end();
}

#[tokio::test]
async fn what_nginx_refuses_the_imported_configuration_refuses() {
    let (app, api) = (echo("app").await, echo("api").await);
    let (app, api) = (app.address(), api.address());
    let config = |listen: SocketAddr| {
        format!(
            r#"
            daemon off; master_process off; pid nginx.pid; error_log stderr;
            events {{}}
            http {{
                access_log off;
                client_body_temp_path temp_a; proxy_temp_path temp_b; fastcgi_temp_path temp_c;
                uwsgi_temp_path temp_d; scgi_temp_path temp_e;
                geo $bad {{ default 0; 127.0.0.0/8 1; }}
                map $http_user_agent $bot {{ default 0; ~*curl 1; }}
                upstream app {{ server {app}; }}
                upstream api {{ server {api}; }}
                server {{
                    listen {listen};
                    server_name shop.example;
                    if ($http_x_block) {{ return 403; }}
                    location / {{ proxy_pass http://app; }}
                    location /inside {{ internal; proxy_pass http://app; }}
                    location /read {{ limit_except GET {{ deny all; }} proxy_pass http://app; }}
                    location /cookie {{ if ($cookie_auth = "") {{ return 403; }} proxy_pass http://app; }}
                    location /key {{ if ($http_x_key != "k") {{ return 401; }} proxy_pass http://app; }}
                    location /bad {{ if ($bad) {{ return 403; }} proxy_pass http://app; }}
                    location /bot {{ if ($bot) {{ return 403; }} proxy_pass http://app; }}
                    location /method {{ if ($request_method !~ ^(GET|HEAD)$) {{ return 405; }} proxy_pass http://app; }}
                    location /referer {{ valid_referers none server_names; if ($invalid_referer) {{ return 403; }} proxy_pass http://app; }}
                    location /asked {{ auth_request /auth; proxy_pass http://app; }}
                    location = /auth {{ internal; proxy_pass http://app/verify; }}
                    location /api {{ proxy_pass http://api; }}
                    location /api/ {{ proxy_pass http://api; }}
                    location /api-docs {{ deny all; }}
                    location ~ \.ht {{ deny all; }}
                }}
            }}
            "#
        )
    };
    let cases = [
        ("GET", "/", "", 200),
        ("GET", "/inside", "", 404),
        ("GET", "/inside/x", "", 404),
        ("GET", "/insider", "", 404),
        ("POST", "/read", "", 403),
        ("GET", "/read", "", 200),
        ("GET", "/cookie", "", 403),
        ("GET", "/cookie", "cookie: auth=", 403),
        ("GET", "/cookie", "cookie: auth=1", 200),
        ("GET", "/key", "", 401),
        ("GET", "/key", "x-key: other", 401),
        ("GET", "/key", "x-key: k", 200),
        ("GET", "/key", "x-key: k\r\nx-block: 1", 403),
        ("GET", "/bad", "", 403),
        ("GET", "/bot", "user-agent: Curl/8", 403),
        ("GET", "/bot", "user-agent: other", 200),
        ("POST", "/method", "", 405),
        ("GET", "/method", "", 200),
        ("GET", "/referer", "referer: http://evil.example/", 403),
        ("GET", "/asked", "", 200),
        ("GET", "/auth", "", 404),
        ("GET", "/api", "", 200),
        ("GET", "/api/x", "", 200),
        ("GET", "/apix", "", 200),
        ("GET", "/api-docs/x", "", 403),
        ("GET", "/.htaccess", "", 403),
        ("GET", "/", "x-block: 1", 403),
    ];
    both_answer("nginx", config, &cases).await;
}

#[tokio::test]
async fn what_haproxy_refuses_the_imported_configuration_refuses() {
    let (app, api) = (echo("app").await, echo("api").await);
    let (app, api) = (app.address(), api.address());
    let config = |listen: SocketAddr| {
        format!(
            "defaults\n mode http\n timeout client 5s\n timeout server 5s\n timeout connect 5s\n\
             frontend web\n bind {listen}\n acl lan src 10.0.0.0/8\n use_backend api if {{ path_beg /api }}\n\
             \x20http-request deny if {{ path_beg /private }}\n\
             \x20http-request deny deny_status 401 if {{ path_beg /key }} !{{ req.hdr(x-key) -m found }}\n\
             \x20http-request deny deny_status 429 if {{ method DELETE }} || {{ path /busy }}\n\
             \x20http-request deny if {{ path_beg /lan }} !lan\n default_backend app\n\
             backend app\n http-request deny deny_status 405 if {{ path_beg /read }} {{ method POST }}\n server a {app}\n\
             backend api\n http-request deny deny_status 405 unless {{ method GET }}\n server a {api}\n"
        )
    };
    let cases = [
        ("GET", "/", "", 200),
        ("GET", "/private/x", "", 403),
        ("GET", "/privates", "", 403),
        ("GET", "/key", "", 401),
        ("GET", "/key", "x-key: 1", 200),
        ("DELETE", "/", "", 429),
        ("DELETE", "/api/x", "", 429),
        ("GET", "/busy", "", 429),
        ("GET", "/lan", "", 403),
        ("POST", "/read", "", 405),
        ("GET", "/read", "", 200),
        ("GET", "/api/x", "", 200),
        ("POST", "/api/x", "", 405),
    ];
    both_answer("haproxy", config, &cases).await;
}

#[tokio::test]
async fn what_caddy_refuses_the_imported_configuration_refuses() {
    let (app, api) = (echo("app").await, echo("api").await);
    let (app, api) = (app.address(), api.address());
    let config = |listen: SocketAddr| {
        let port = listen.port();
        format!(
            "{{\n\tadmin off\n\tauto_https off\n}}\nhttp://shop.example:{port} {{\n\tbind 127.0.0.1\n\
             \t@post method POST\n\t@key not header X-Key k\n\t@lan not remote_ip 10.0.0.0/8\n\t@git path_regexp \\.git\n\
             \thandle /key/* {{\n\t\trespond @key 401\n\t\treverse_proxy {app}\n\t}}\n\
             \thandle /lan/* {{\n\t\trespond @lan 403\n\t\treverse_proxy {app}\n\t}}\n\
             \thandle /read/* {{\n\t\terror @post 405\n\t\treverse_proxy {app}\n\t}}\n\
             \trespond @git 404\n\trespond /private/* 403\n\trespond @post 405\n\
             \treverse_proxy /api/* {api}\n\treverse_proxy {app}\n}}\n"
        )
    };
    let cases = [
        ("GET", "/", "", 200),
        ("POST", "/", "", 405),
        ("GET", "/key/x", "", 401),
        ("GET", "/key/x", "x-key: k", 200),
        ("GET", "/lan/x", "", 403),
        ("GET", "/read/x", "", 200),
        ("POST", "/read/x", "", 405),
        ("GET", "/private/x", "", 403),
        ("GET", "/.git/a", "", 404),
        ("GET", "/api/x", "", 200),
        ("POST", "/api/x", "", 405),
    ];
    both_answer("caddy", config, &cases).await;
}
