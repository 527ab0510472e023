//! A real browser, a real provider (npm `oidc-provider`), and the proxy between them.
//!
//! `tests/run` installs both; where they are missing the test says so and passes.

use super::Browser;
use crate::harness::{
    Backend, Chromium, Client, Peer, Port, Screen, Settings, answer_bytes, eventually,
    node_packages,
};

const ROUTES: &str = r#"
    [listeners.web]
    address = "$web"
    [routes.shop]
    path_prefix = "/shop"
    pool = "app"
    [routes.shop.auth.oidc]
    issuer = "http://$provider"
    client_id = "shop"
    client_secret = "a secret of the shop: with / and +"
    logged_out = "/bye"
    backchannel_logout = "/shop/oidc/ended"
    timeout = "20s"
    claims = { groups = "staff" }
    forward = { x-user = "sub", x-mail = "email" }
    session = { secret = "a secret of the cookies, long enough" }
    [routes.bye]
    path = "/bye"
    respond = { status = 200, body = "bye" }
    [pools.app]
    endpoints = ["$app"]
"#;

#[tokio::test]
async fn chromium_logs_in_at_a_real_provider_and_out_again() {
    let Some(packages) = node_packages() else {
        return;
    };
    let Some(mut chromium) = Chromium::start("en", Screen::Desk).await else {
        return;
    };
    let app = Backend::start(|seen| {
        let body = format!("<p>{} {}</p>", seen.field("x-user"), seen.field("x-mail"));
        answer_bytes(&format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ))
    })
    .await;
    let port = Port::take();
    let settings = Settings::new(ROUTES).backend("app", &app);
    let proxy = settings.address("provider", port.address()).start().await;
    let own = format!("http://{}", proxy.address("web"));
    let arguments = [
        port.address().port().to_string(),
        format!("{own}/shop/oidc/callback"),
        format!("{own}/bye"),
        format!("{own}/shop/oidc/ended"),
    ];
    let _provider = Peer::start_node(&packages, "oidc_provider.cjs", &arguments).await;
    eventually("the provider is known", || async {
        (Browser::new(&proxy).open("/shop/").await.status == 302).then_some(())
    })
    .await;
    log_in(&mut chromium, &own).await;
    let text = chromium.evaluate("document.body.innerText").await;
    assert_eq!(text.as_str().unwrap().trim(), "anna anna@shop.example");
    // No script can read the session, and no endpoint sees it.
    assert_eq!(chromium.evaluate("document.cookie").await, "");
    let of_proxy = |cookies: &str| cookies.contains("sluicegate_");
    assert!(!app.seen().iter().any(|seen| of_proxy(seen.field("cookie"))));
    // Its tokens last a second; pages go on, and the provider sees no token twice.
    let many = "Promise.all([1, 2, 3, 4].map((n) => fetch('/shop/' + n).then((it) => it.status))).then(String)";
    let asked = port.address();
    while count(asked, "/refreshes").await < 3 {
        assert_eq!(chromium.evaluate(many).await, "200,200,200,200");
    }
    chromium.open(&format!("{own}/shop/oidc/logout")).await;
    let out = "document.querySelector('[value=yes]').click()";
    let bye = format!("location.href == '{own}/bye'");
    chromium.arrives(&once(out, &bye)).await;
    let status = "fetch('/shop/').then((it) => it.status)";
    assert_eq!(chromium.evaluate(status).await, 401);
    eventually("the refresh token is revoked", || async {
        (count(asked, "/revocations").await == 1).then_some(())
    })
    .await;
    // A logout at the provider, of which the browser tells the proxy nothing.
    log_in(&mut chromium, &own).await;
    assert_eq!(chromium.evaluate(status).await, 200);
    chromium.open(&format!("http://{asked}/session/end")).await;
    let ended = "location.pathname == '/session/end/success'";
    chromium.arrives(&once(out, ended)).await;
    chromium.open(&format!("{own}/bye")).await;
    // The provider has told the proxy before it told the browser.
    assert_eq!(chromium.evaluate(status).await, 401);
    proxy.finish().await;
}

/// Logs in for a page, and agrees that the shop may know who it is.
async fn log_in(chromium: &mut Chromium, own: &str) {
    chromium.open(&format!("{own}/shop/cart?item=1")).await;
    let consent = "document.querySelector('[name=prompt][value=consent]')";
    let filled = "document.querySelector('[name=login]').value = 'anna', \
                  document.querySelector('[name=password]').value = 'x', \
                  document.forms[0].submit()";
    chromium.arrives(&once(filled, consent)).await;
    let back = format!("location.href == '{own}/shop/cart?item=1'");
    let back = format!("{back} && document.body.innerText.includes('anna')");
    let agreed = format!("{consent}.value, document.forms[0].submit()");
    chromium.arrives(&once(&agreed, &back)).await;
}

/// An expression that does something once on a page, and is true when that has led to the next.
fn once(action: &str, next: &str) -> String {
    format!("({next}) || (window.sent || ({action}, window.sent = true), false)")
}

async fn count(provider: std::net::SocketAddr, path: &str) -> usize {
    let mut client = Client::connect(provider).await;
    client
        .send(&format!(
            "GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
        ))
        .await;
    client.answer().await.text().parse().unwrap()
}
