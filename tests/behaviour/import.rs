//! Configurations of nginx, HAProxy and Caddy that are written anew by `import`: the proxy then
//! answers as they do, side by side where they are installed.

mod closed;
mod haproxy;
mod moved;
mod sides;
mod traefik;

use std::{fs, net::SocketAddr};

use crate::harness::{Answer, Backend, Client, Proxy, Seen, Settings, answer_bytes, command};
use sides::Sides;

/// A server that says what it was asked.
async fn echo(name: &'static str) -> Backend {
    Backend::start(move |seen: &Seen| {
        let body = format!(
            "{name} {} {} host={} real={} tenant={}",
            seen.method,
            seen.target,
            seen.field("host"),
            seen.field("x-real-ip"),
            seen.field("x-tenant"),
        );
        answer_bytes(&format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nX-Powered-By: echo\r\n\r\n{body}",
            body.len()
        ))
    })
    .await
}

/// A configuration as shops have it.
fn shop(listen: SocketAddr, app: &Backend, api: &Backend) -> String {
    let (app, api) = (app.address(), api.address());
    format!(
        r#"
        daemon off;
        master_process off;
        pid nginx.pid;
        error_log stderr;
        events {{}}
        http {{
            access_log off;
            client_body_temp_path temp_a; proxy_temp_path temp_b; fastcgi_temp_path temp_c;
            uwsgi_temp_path temp_d; scgi_temp_path temp_e;
            client_max_body_size 1k;
            limit_req_zone $binary_remote_addr zone=slow:1m rate=1r/m;
            limit_req_status 429;
            map $http_x_tenant $tenant {{ default app; acme api; }}
            upstream app {{ server {app} weight=2 max_fails=3; keepalive 8; }}
            upstream api {{ server {api}; }}
            server {{
                listen {listen} default_server;
                server_name _;
                return 404;
            }}
            server {{
                listen {listen};
                server_name shop.example www.shop.example;
                include shop/*.conf;
                if ($host = www.shop.example) {{ return 301 http://shop.example$request_uri; }}
                proxy_set_header Host $host;
                proxy_set_header X-Real-IP $remote_addr;
                location / {{ proxy_pass http://app; add_header X-Frame-Options DENY always; proxy_hide_header X-Powered-By; }}
                location = /exact {{ return 200 "exact"; }}
                location /api/ {{ proxy_pass http://api/v1/; proxy_set_header Host api.internal; }}
                location /tenants/ {{ proxy_pass http://$tenant; proxy_set_header X-Tenant $http_x_tenant; proxy_set_header Host $host; }}
                location /slow/ {{ limit_req zone=slow nodelay; proxy_pass http://app; }}
                location /admin/ {{ allow 10.0.0.0/8; deny all; proxy_pass http://app; }}
                location /staff/ {{ auth_basic "Staff"; auth_basic_user_file users; proxy_pass http://app; }}
                location /old/ {{ return 302 /new/; }}
                location ~ \.php$ {{ deny all; }}
                location ^~ /static/ {{ proxy_pass http://api; }}
            }}
        }}
        "#
    )
}

/// The proxy with an imported configuration, without its comments.
async fn started(text: &str, at: SocketAddr) -> Proxy {
    let lines = text.lines().filter(|it| !it.starts_with('#'));
    let text: String = lines.flat_map(|line| [line, "\n"]).collect();
    Settings::new(&text).address("web", at).start().await
}

/// Parts of an answer that a client notices.
fn noticed(answer: &Answer) -> String {
    let field = |name: &str| answer.field(name).to_owned();
    let body = match answer.status {
        200 => answer.text(),
        // Pages of errors differ.
        _ => String::new(),
    };
    let location = field("location");
    // nginx makes some absolute.
    let location = match location.strip_prefix("http://shop.example") {
        Some(path) => path.split_once('/').map_or("", |(_, path)| path).to_owned(),
        None => location.trim_start_matches('/').to_owned(),
    };
    let asks = answer
        .field("www-authenticate")
        .split(' ')
        .next()
        .unwrap_or_default()
        .to_owned();
    format!(
        "{} {body} location={location} frame={} powered={} asks={asks}",
        answer.status,
        field("x-frame-options"),
        field("x-powered-by"),
    )
}

async fn ask(at: SocketAddr, method: &str, target: &str, lines: &str, body: &[u8]) -> String {
    let mut client = Client::connect(at).await;
    noticed(&client.request(method, target, lines, body).await)
}

#[tokio::test]
async fn an_imported_configuration_answers_as_nginx_does() {
    let (app, api) = (echo("app").await, echo("api").await);
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    fs::create_dir(folder.join("shop")).expect("a folder");
    fs::write(
        folder.join("shop/gzip.conf"),
        "gzip on;\ngzip_types text/plain;\n",
    )
    .expect("written");
    // u:secret
    fs::write(
        folder.join("users"),
        "u:$apr1$5OVCKCLZ$zgj6OlvCXwfpVVijELfAh/\n",
    )
    .expect("written");
    let sides = Sides::of("nginx", folder, |at| shop(at, &app, &api)).await;
    let text = &sides.text;
    assert!(!text.contains("NOT TRANSLATED"), "{text}");
    let real = "127.0.0.1";
    for (method, target, lines, body, wanted) in [
        ("GET", "/", "", "", format!("200 app GET / host=shop.example real={real} tenant= location= frame=DENY powered= asks=")),
        ("GET", "/a?b=c", "", "", format!("200 app GET /a?b=c host=shop.example real={real} tenant= location= frame=DENY powered= asks=")),
        ("GET", "/exact", "", "", "200 exact location= frame= powered= asks=".to_owned()),
        ("GET", "/api/users?x=1", "", "", "200 api GET /v1/users?x=1 host=api.internal real= tenant= location= frame= powered=echo asks=".to_owned()),
        ("GET", "/tenants/1", "x-tenant: acme", "", "200 api GET /tenants/1 host=shop.example real= tenant=acme location= frame= powered=echo asks=".to_owned()),
        ("GET", "/tenants/1", "", "", "200 app GET /tenants/1 host=shop.example real= tenant= location= frame= powered=echo asks=".to_owned()),
        ("GET", "/slow/1", "", "", format!("200 app GET /slow/1 host=shop.example real={real} tenant= location= frame= powered=echo asks=")),
        ("GET", "/slow/2", "", "", "429  location= frame= powered= asks=".to_owned()),
        ("GET", "/admin/", "", "", "403  location= frame= powered= asks=".to_owned()),
        ("GET", "/staff/", "", "", "401  location= frame= powered= asks=Basic".to_owned()),
        ("GET", "/staff/", "authorization: Basic dTp3cm9uZw==", "", "401  location= frame= powered= asks=Basic".to_owned()),
        ("GET", "/old/x", "", "", "302  location=new/ frame= powered= asks=".to_owned()),
        ("GET", "/x.php", "", "", "403  location= frame= powered= asks=".to_owned()),
        ("GET", "/static/x.php", "", "", format!("200 api GET /static/x.php host=shop.example real={real} tenant= location= frame= powered=echo asks=")),
        ("GET", "/page?q=1", "host: www.shop.example", "", "301  location=page?q=1 frame= powered= asks=".to_owned()),
        ("GET", "/", "host: other.example", "", "404  location= frame= powered= asks=".to_owned()),
        ("POST", "/", "", &*"x".repeat(2000), "413  location= frame= powered= asks=".to_owned()),
    ] {
        for at in sides.addresses() {
            let told = ask(at, method, target, lines, body.as_bytes()).await;
            // Only an answer of the endpoint says that nginx did not make it.
            let told = if wanted.starts_with('4') { told.replace("frame=DENY", "frame=") } else { told };
            assert_eq!(told, wanted, "{method} {target} {lines} at {at}\n{text}");
        }
    }
    sides.end();
}

#[test]
fn a_file_that_cannot_be_read_or_understood_is_told_with_its_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let (code, text) = command(folder.path(), &["import", "nginx", "none.conf"]);
    assert_eq!(code, Some(3), "{text}");
    assert!(
        text.contains("none.conf: the file does not exist"),
        "{text}"
    );
    fs::write(folder.path().join("nginx.conf"), "http {\n  server {\n").expect("written");
    let (code, text) = command(folder.path(), &["import", "nginx", "nginx.conf"]);
    assert_eq!(code, Some(3), "{text}");
    assert!(
        text.contains("nginx.conf:3: the file ends inside of a block"),
        "{text}"
    );
    fs::write(
        folder.path().join("nginx.conf"),
        "http { include sites/*/[a-z]*.conf; server { listen 80; location / { return 204; } } }",
    )
    .expect("written");
    let (code, text) = command(folder.path(), &["import", "nginx", "nginx.conf"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("NOT TRANSLATED nginx.conf:1: include sites/*/[a-z]*.conf; — no file fits"),
        "{text}"
    );
    let (code, text) = command(folder.path(), &["import", "apache", "httpd.conf"]);
    assert_eq!(code, Some(2), "{text}");
}

/// A Caddyfile of a shop.
fn caddyfile(listen: SocketAddr, app: &Backend, api: &Backend) -> String {
    let (app, api) = (app.address(), api.address());
    let port = listen.port();
    format!(
        "{{\n\tadmin off\n\tauto_https off\n}}\n\
         http://shop.example:{port} {{\n\tbind 127.0.0.1\n\theader X-Frame-Options DENY\n\theader -X-Powered-By\n\
         \thandle /api/* {{\n\t\treverse_proxy {api} {{\n\t\t\theader_up X-Tenant acme\n\t\t}}\n\t}}\n\
         \thandle_path /files/* {{\n\t\treverse_proxy {api}\n\t}}\n\
         \t@beta {{\n\t\theader X-Beta yes\n\t\tmethod GET PUT\n\t}}\n\thandle @beta {{\n\t\treverse_proxy {api}\n\t}}\n\
         \t@lang query lang=de\n\thandle @lang {{\n\t\trewrite * /de{{uri}}\n\t\treverse_proxy {app}\n\t}}\n\
         \t@old path /old /older/*\n\tredir @old /new permanent\n\thandle /health {{\n\t\trespond 204\n\t}}\n\
         \thandle {{\n\t\treverse_proxy {app}\n\t}}\n}}\n"
    )
}

#[tokio::test]
async fn an_imported_caddyfile_answers_as_caddy_does() {
    let (app, api) = (echo("app").await, echo("api").await);
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let sides = Sides::of("caddy", folder, |at| caddyfile(at, &app, &api)).await;
    let text = &sides.text;
    assert!(!text.contains("NOT TRANSLATED"), "{text}");
    for (target, wanted) in [
        (
            "/",
            "200 app GET / host=shop.example real= tenant= location= frame=DENY powered= asks=",
        ),
        (
            "/a?b=c",
            "200 app GET /a?b=c host=shop.example real= tenant= location= frame=DENY powered= asks=",
        ),
        (
            "/api/users",
            "200 api GET /api/users host=shop.example real= tenant=acme location= frame=DENY powered= asks=",
        ),
        (
            "/files/x?y",
            "200 api GET /x?y host=shop.example real= tenant= location= frame=DENY powered= asks=",
        ),
        ("/old", "301  location=new frame=DENY powered= asks="),
        ("/older/x", "301  location=new frame=DENY powered= asks="),
        ("/health", "204  location= frame=DENY powered= asks="),
    ] {
        for at in sides.addresses() {
            // Each has a port of its own.
            let lines = format!("host: shop.example:{}", at.port());
            let told = ask(at, "GET", target, &lines, b"").await;
            let told = told.replace(&format!("shop.example:{}", at.port()), "shop.example");
            assert_eq!(told, wanted, "{target} at {at}\n{text}");
        }
    }
    sides.end();
}
