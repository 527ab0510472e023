//! Configurations as their operators have them: what they name by a variable, a pattern of hosts or a
//! table of addresses is the same in the imported one.

use std::net::SocketAddr;

use super::{ask, echo, sides::Sides};
use crate::harness::{Backend, Seen, answer_bytes};

/// The name of the endpoint that answered, or the status.
fn who(told: &str) -> String {
    let mut words = told.split(' ');
    match (words.next(), words.next()) {
        (Some("200"), Some(name)) => name.to_owned(),
        (Some(status), _) => status.to_owned(),
        _ => String::new(),
    }
}

#[tokio::test]
async fn hosts_and_addresses_that_nginx_puts_together_lead_to_the_same_endpoints() {
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
                types_hash_bucket_size 128;
                server {{
                    listen {listen} default_server;
                    set $service {app};
                    set $address http://$service;
                    location / {{ proxy_pass $address; proxy_set_header X-Tenant $pid; }}
                    location = /fixed {{ proxy_pass http://$service/other; }}
                    location /deep/er {{ proxy_pass $address; }}
                    location /cors {{
                        if ($request_method = OPTIONS) {{ add_header X-Frame-Options DENY; return 204; }}
                        proxy_pass $address;
                    }}
                }}
                server {{
                    listen {listen};
                    server_name tenant.* ~^(a|b)\.many\.example$ plain.example;
                    location / {{ proxy_pass http://{api}; }}
                    location /deep {{ return 403; }}
                }}
            }}
            "#
        )
    };
    let folder = tempfile::tempdir().expect("a folder");
    let sides = Sides::of("nginx", folder.path(), config).await;
    let text = &sides.text;
    for (method, target, host, wanted) in [
        ("GET", "/", "other.example", "app"),
        ("GET", "/", "tenant.example", "api"),
        ("GET", "/", "tenant.a.b:8080", "api"),
        ("GET", "/", "x.tenant.example", "app"),
        ("GET", "/", "b.many.example", "api"),
        ("GET", "/", "c.many.example", "app"),
        ("GET", "/", "plain.example", "api"),
        ("GET", "/deep/er/x", "plain.example", "403"),
        ("GET", "/deep/er/x", "other.example", "app"),
        ("GET", "/cors", "other.example", "app"),
        ("OPTIONS", "/cors", "other.example", "204"),
        ("GET", "/cors", "tenant.example", "api"),
    ] {
        for at in sides.addresses() {
            let told = ask(at, method, target, &format!("host: {host}"), b"").await;
            assert_eq!(
                who(&told),
                wanted,
                "{method} {target} {host} at {at}\n{text}"
            );
        }
    }
    for at in sides.addresses() {
        let told = ask(at, "GET", "/fixed", "host: x", b"").await;
        assert!(told.starts_with("200 app GET /other "), "{told}\n{text}");
        let told = ask(at, "OPTIONS", "/cors", "host: x", b"").await;
        assert!(told.contains("frame=DENY"), "{told}\n{text}");
        // nginx sends a value of its own.
        let told = ask(at, "GET", "/", "host: x\r\nx-tenant: forged", b"").await;
        assert!(!told.contains("forged"), "{told}\n{text}");
    }
    sides.end();
}

#[tokio::test]
async fn a_service_that_caddy_asks_is_asked_before_every_endpoint_behind_it() {
    let (app, api) = (echo("app").await, echo("api").await);
    let guard = Backend::start(|seen: &Seen| {
        let is_known = !seen.field("authorization").is_empty() && seen.target == "/verify";
        let head = match is_known {
            true => "200 OK\r\nX-Tenant: acme",
            false => "401 Unauthorized",
        };
        answer_bytes(&format!("HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n"))
    })
    .await;
    let (app, api, guard) = (app.address(), api.address(), guard.address());
    let config = |listen: SocketAddr| {
        let port = listen.port();
        format!(
            "{{\n\tadmin off\n\tauto_https off\n}}\nhttp://shop.example:{port} {{\n\tbind 127.0.0.1\n\troute {{\n\
             \t\treverse_proxy {guard} {{\n\t\t\tmethod GET\n\t\t\trewrite /verify\n\t\t\t@good status 2xx\n\
             \t\t\thandle_response @good {{\n\t\t\t\trequest_header X-Tenant {{http.reverse_proxy.header.X-Tenant}}\n\t\t\t}}\n\t\t}}\n\
             \t\treverse_proxy /deep/* {api}\n\t\treverse_proxy {app}\n\t}}\n}}\n"
        )
    };
    let folder = tempfile::tempdir().expect("a folder");
    let sides = Sides::of("caddy", folder.path(), config).await;
    let text = &sides.text;
    for (target, lines, wanted, tenant) in [
        ("/", "", "401", ""),
        ("/deep/x", "", "401", ""),
        ("/", "authorization: x", "app", "acme"),
        (
            "/deep/x",
            "authorization: x\r\nx-tenant: forged",
            "api",
            "acme",
        ),
    ] {
        for at in sides.addresses() {
            let lines = format!("host: shop.example:{}\r\n{lines}", at.port());
            let lines = lines.trim_end();
            let told = ask(at, "GET", target, lines, b"").await;
            assert_eq!(who(&told), wanted, "{target} {lines} at {at}\n{text}");
            let is_told = tenant.is_empty() || told.contains(&format!("tenant={tenant} "));
            assert!(is_told, "{told}\n{text}");
        }
    }
    sides.end();
}

#[tokio::test]
async fn hosts_that_haproxy_lets_in_and_rates_that_it_counts_are_those_of_the_imported_one() {
    let (app, api) = (echo("app").await, echo("api").await);
    let (app, api) = (app.address(), api.address());
    let config = |listen: SocketAddr| {
        format!(
            "defaults\n mode http\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n\
             frontend web\n bind {listen}\n acl shop hdr(host),field(1,:) -i shop.example\n acl www hdr(host) -i www.shop.example:80\n\
             \x20http-request deny deny_status 404 if !shop !www\n\
             \x20use_backend slow if {{ path_beg /slow }}\n use_backend api if {{ hdr_beg(host) -i www. }}\n\
             \x20use_backend api if {{ path_dir static }}\n default_backend app\n\
             backend app\n http-request set-header X-Tenant acme\n server a {app}\n\
             backend api\n default-server check inter 1s\n server b {api}\n\
             backend slow\n stick-table type ip size 1k expire 1m store http_req_rate(1m)\n http-request track-sc0 src\n\
             \x20http-request deny deny_status 429 if {{ sc_http_req_rate(0) gt 2 }}\n server a {app}\n"
        )
    };
    let folder = tempfile::tempdir().expect("a folder");
    let sides = Sides::of("haproxy", folder.path(), config).await;
    let text = &sides.text;
    for (target, host, wanted) in [
        ("/", "shop.example", "app"),
        ("/", "shop.example:8080", "app"),
        ("/", "other.example", "404"),
        ("/static/x", "other.example", "404"),
        ("/", "www.shop.example:80", "api"),
        ("/a/static", "shop.example", "api"),
        ("/statics", "shop.example", "app"),
        ("/slow", "shop.example", "app"),
        ("/slow", "shop.example", "app"),
        ("/slow", "shop.example", "429"),
    ] {
        for at in sides.addresses() {
            let told = ask(at, "GET", target, &format!("host: {host}"), b"").await;
            assert_eq!(who(&told), wanted, "{target} {host} at {at}\n{text}");
        }
    }
    sides.end();
}
