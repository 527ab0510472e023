//! The views of rollouts, events, requests, connections, and the form for explanations.

use super::start::{go, log_in, page, start, start_rollout, users};
use crate::harness::{Backend, Screen, Settings, answer};

#[tokio::test]
async fn a_click_aborts_a_rollout_and_all_users_have_the_old_version() {
    let (proxy, _backends) = start_rollout().await;
    let Some(mut browser) = page(&proxy, "rollouts", "en", Screen::Desk).await else {
        return;
    };
    log_in(&mut browser).await;
    browser
        .until("document.querySelector('.steps [aria-current=step]').innerText.includes('30 %')")
        .await;
    users(&proxy).await;
    browser.picture("rollout.png").await;
    browser.click("button[aria-label='Pause: orders']").await;
    browser.click("#yes").await;
    browser
        .until("document.querySelector('main .pill').innerText.includes('paused')")
        .await;
    browser.click("button[aria-label='Abort: orders']").await;
    browser.until("document.querySelector('#question').innerText.includes('All users get the old version')").await;
    browser.click("#yes").await;
    browser
        .until("document.querySelector('main .pill').innerText.includes('rolled back · 0 %')")
        .await;
    browser
        .until("document.querySelector('.history').innerText.includes('abort')")
        .await;
    assert_eq!(users(&proxy).await, "1".repeat(20));
    browser.has_no_faults().await;
    proxy.finish().await;
}

/// The proxy keeps the ids of requests that clients send.
const TRUSTING: &str = r#"
    [proxy]
    trusted_proxies = ["127.0.0.0/8"]
    [listeners.web]
    address = "$web"
    [routes.away]
    pool = "away"
    [pools.away]
    endpoints = ["$gone"]
"#;

#[tokio::test]
async fn hostile_paths_and_headers_are_shown_as_text() {
    let gone = Backend::start(|_| answer("gone")).await.address();
    let settings = Settings::new(TRUSTING).address("gone", gone);
    let mut proxy = settings.start().await;
    let hostile = "<img/src=x/onerror=window.hacked=1><script>hacked=1</script>";
    let target = "/away?q=\"'<svg/onload=window.hacked=1>";
    let lines = format!("host: shop.example\nuser-agent: {hostile}\nx-request-id: {hostile}");
    let answer = proxy.request("GET", target, &lines, b"").await;
    assert_eq!(answer.status, 502);
    proxy.replace(&format!("[listeners.'{hostile}']\naddress = 1\n"));
    proxy.reload_fails().await;

    let Some(mut browser) = page(&proxy, "requests", "en", Screen::Desk).await else {
        return;
    };
    browser.click("main tbody tr button.link").await;
    let shows = |selector: &str| {
        format!(
            "document.querySelector('{selector}').innerText.includes('<script>hacked=1</script>')"
        )
    };
    browser.until(&shows("dialog.large")).await;
    browser
        .evaluate("document.querySelector('dialog.large').close()")
        .await;
    browser.until(&shows("#alerts")).await;
    go(&mut browser, "events").await;
    browser.until(&shows(".event.bad")).await;
    assert_eq!(browser.evaluate("typeof window.hacked").await, "undefined");
    let foreign = "document.querySelectorAll('main img, main script, dialog img, dialog script, section img, section script').length";
    assert_eq!(browser.evaluate(foreign).await, 0);
    browser.has_no_faults().await;
    proxy.finish().await;
}

#[tokio::test]
async fn the_page_explains_a_request_and_shows_connections_and_events() {
    let (mut proxy, _a, b) = start().await;
    let mut client = proxy.client().await;
    assert_eq!(client.get("/").await.status, 200);
    let Some(mut browser) = page(&proxy, "explain", "en", Screen::Desk).await else {
        return;
    };
    browser.click("#explain-url").await;
    browser
        .evaluate("document.querySelector('#explain-url').select()")
        .await;
    browser.typed("http://shop.example/away").await;
    browser.press("Enter").await;
    browser
        .until("document.querySelector('main').innerText.includes('It goes to pool away.')")
        .await;
    go(&mut browser, "connections").await;
    browser
        .until("[...document.querySelectorAll('main td')].some((it) => it.innerText == 'HTTP/1.1')")
        .await;
    go(&mut browser, "events").await;
    browser
        .until("document.querySelector('.events').innerText.includes('started')")
        .await;
    // What happens while the page is open appears in it.
    let token = "authorization: Bearer correct-horse";
    let path = format!("/pools/app/endpoints/{}/eject", b.address());
    proxy.admin("POST", &path, token).await.expect("an answer");
    browser
        .until("document.querySelector('.events').innerText.includes('eject app')")
        .await;
    proxy.replace("[listeners.web]\naddress = 1\n[routes.all]\npol = \"app\"\n");
    proxy.reload_fails().await;
    browser
        .until("document.querySelector('.event.bad').innerText.includes('failed')")
        .await;
    browser
        .until(
            "document.querySelector('#alerts').innerText.includes('the last reload was refused')",
        )
        .await;
    // Each of its errors is told, not the first alone.
    browser
        .until(
            "['needs one of', 'unknown key', 'proxy.toml:4'].every((it) => document.querySelector('#alerts').innerText.includes(it))",
        )
        .await;
    browser
        .until("document.querySelector('#state').innerText == 'degraded'")
        .await;
    browser.has_no_faults().await;
    proxy.finish().await;
}
