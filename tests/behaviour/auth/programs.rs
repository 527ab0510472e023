//! Keys and certificates of programs.

use std::fs;

use super::{ROUTES, start};
use crate::harness::{Act, Authority, Backend, Client, Settings, Tunnel, answer};

#[tokio::test]
async fn an_api_key_is_found_where_the_route_says_and_goes_no_further() {
    let app = Backend::start(|_| answer("fine")).await;
    let proxy = start(ROUTES, &app).await;
    for (target, lines, user, upstream) in [
        (
            "/header/1?a=1",
            "x-api-key: mobile-key\n",
            "mobile",
            "/header/1?a=1",
        ),
        (
            "/bearer/1",
            "authorization: bearer partner-key\n",
            "partner",
            "/bearer/1",
        ),
        (
            "/query/1?a=%41&k%65y=mobile-key&b",
            "",
            "mobile",
            "/query/1?a=%41&b",
        ),
        ("/query/2?key=partner-key", "", "partner", "/query/2"),
        (
            "/cookie/1",
            "cookie: a=1; key=mobile-key; b=2\n",
            "mobile",
            "/cookie/1",
        ),
    ] {
        let good = proxy.request("GET", target, lines, b"").await;
        assert_eq!(good.status, 200, "{target}");
        let seen = app.seen().pop().unwrap();
        assert_eq!(seen.target, upstream);
        assert!(!format!("{seen:?}").contains("-key\""), "{seen:?}");
        assert!(!format!("{seen:?}").contains("mobile-key"), "{seen:?}");
        let id = good.field("x-request-id").to_owned();
        let line = proxy
            .logged("of it", |line| line["request_id"] == *id)
            .await;
        assert_eq!(line["user"], user);
        assert!(!line.to_string().contains("-key"), "{line}");
    }
    assert_eq!(app.seen().pop().unwrap().field("cookie"), "a=1; b=2");
    let before = app.count();
    for (target, lines) in [
        ("/header/1", ""),
        ("/header/1", "x-api-key: \n"),
        ("/header/1", "x-api-key: mobile\n"),
        ("/header/1", "x-api-key: MOBILE-KEY\n"),
        (
            "/header/1",
            "x-api-key: mobile-key\nx-api-key: mobile-key\n",
        ),
        ("/header/1?key=mobile-key", ""),
        ("/bearer/1", "authorization: mobile-key\n"),
        ("/bearer/1", "authorization: basic mobile-key\n"),
        ("/query/1?key=wrong-key", ""),
        ("/query/1?key=mobile-key&key=mobile-key", ""),
        ("/cookie/1", "cookie: key=mobile-key; key=partner-key\n"),
        ("/cookie/1", "cookie: xkey=mobile-key\n"),
    ] {
        let refused = proxy.request("GET", target, lines, b"").await;
        refused.assert_failure(401, "http_request_denied");
        assert!(!refused.field("www-authenticate").is_empty());
    }
    assert_eq!(app.count(), before);
    let log = fs::read_to_string(proxy.folder().join("access.log")).unwrap();
    assert!(
        log.contains("key=***") && !log.contains("key=wrong-key"),
        "{log}"
    );
    proxy.finish().await;
}

#[tokio::test]
async fn a_key_is_masked_in_the_log_whoever_answers() {
    let app = Backend::start(|_| answer("fine")).await;
    let auth = "pool = \"app\"\nauth = { api_key = { query = \"key\", file = \"keys\" } }\n";
    let early = [
        ("https_only = true", 308),
        ("access = { deny = [\"127.0.0.0/8\"] }", 403),
        ("maintenance = { on = true }", 503),
    ];
    let mut text = String::from(
        "[access_log]\npath = \"access.log\"\n[admin]\naddress = \"$admin\"\n\
         [listeners.web]\naddress = \"$web\"\n[pools.app]\nendpoints = [\"$app\"]\n",
    );
    for (number, (filter, _)) in early.iter().enumerate() {
        let route = format!("[routes.r{number}]\npath = \"/{number}\"\n{auth}{filter}\n");
        text.push_str(&route);
    }
    text.push_str("[routes.open]\npath = \"/open\"\npool = \"app\"\n");
    let proxy = start(&text, &app).await;
    // A route without keys, and no route at all, have it come by mistake.
    let other = [("open", ("pool", 200)), ("none", ("no route", 404))];
    let early = early.into_iter().enumerate();
    let early = early.map(|(number, told)| (number.to_string(), told));
    let other = other.map(|(path, told)| (path.to_owned(), told));
    for (number, (filter, status)) in early.chain(other) {
        let answer = proxy.get(&format!("/{number}?key=mobile-key&a=1")).await;
        assert_eq!(answer.status, status, "{filter}");
        let id = answer.field("x-request-id").to_owned();
        let line = proxy
            .logged("of it", |line| line["request_id"] == *id)
            .await;
        assert_eq!(line["path"], format!("/{number}?key=***&a=1"), "{filter}");
    }
    let kept = proxy.admin("GET", "/requests?last=10", "").await.unwrap();
    let kept = kept.text();
    assert!(!kept.contains("mobile-key"), "{kept}");
    proxy.finish().await;
}

#[tokio::test]
async fn a_certificate_lets_its_owner_in() {
    let app = Backend::start(|_| answer("fine")).await;
    let text = r#"
        [access_log]
        path = "access.log"
        [listeners.web]
        address = "$web"
        [listeners.web.tls]
        certificates = [{ chain = "a.pem", key = "a.key" }]
        client_ca = "clients.pem"
        client_auth = "optional"
        [routes.all]
        pool = "app"
        auth = { mtls = { subjects = ["CN=billing", { regex = "^CN=web-[0-9]+$" }], dns = ["B.example"] } }
        [pools.app]
        endpoints = ["$app"]
    "#;
    let settings = Settings::new(text).backend("app", &app);
    let authority = Authority::new("test authority");
    authority
        .issue("shop", &["shop.example"])
        .write(settings.folder(), "a");
    authority.write(settings.folder(), "clients.pem");
    let proxy = settings.start().await;
    for (subject, name, status) in [
        (Some("billing"), "x.example", 200),
        (Some("web-17"), "x.example", 200),
        (Some("web-17a"), "x.example", 403),
        (Some("other"), "b.example", 200),
        (Some("other"), "c.example", 403),
        (None, "", 403),
    ] {
        let issued = subject.map(|subject| authority.issue(subject, &[name]));
        let config = authority.client(issued.as_ref(), &["http/1.1"]);
        let tunnel = Tunnel::to_tls(proxy.address("web"), config, "shop.example").await;
        let mut client = Client::connect(tunnel.address()).await;
        let got = client
            .request("GET", "/", "host: shop.example\n", b"")
            .await;
        assert_eq!(got.status, status, "{subject:?} {name}");
        if status == 403 {
            got.assert_failure(403, "http_request_denied");
        } else {
            let user = format!("CN={}", subject.unwrap());
            proxy
                .logged("of the owner", |line| line["user"] == *user)
                .await;
        }
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a_key_is_masked_in_the_log_of_a_websocket() {
    let app = Backend::start(|_| {
        let head = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
                    sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
        vec![Act::Send(head.into()), Act::Echo]
    })
    .await;
    let proxy = start(ROUTES, &app).await;
    let mut client = proxy.client().await;
    client
        .send(
            "GET /query/chat?key=mobile-key HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\n\
             upgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             sec-websocket-version: 13\r\n\r\n",
        )
        .await;
    assert_eq!(client.answer().await.status, 101);
    drop(client);
    let line = proxy.logged("of it", |line| line["status"] == 101).await;
    assert_eq!(line["path"], "/query/chat?key=***");
    proxy.finish().await;
}
