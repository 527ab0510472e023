//! The dashboard in a real browser: it shows what happens, and its buttons do what they say.
//!
//! With `SCREENSHOTS=FOLDER` the tests also write pictures of what they see.

mod accessible;
mod certificates;
mod charts;
mod start;
mod values;
mod views;

use self::start::{go, log_in, page, start};
use crate::harness::{Client, Screen, eventually};

#[tokio::test]
async fn a_click_drains_an_endpoint_and_the_page_shows_it() {
    let (proxy, a, b) = start().await;
    let Some(mut browser) = page(&proxy, "", "en", Screen::Desk).await else {
        return;
    };
    browser
        .until("document.querySelector('#state').textContent == 'running'")
        .await;
    // Reading needs no token on this machine; a change asks for it.
    let drain = format!("button[aria-label='Drain {}']", b.address());
    browser.click(&drain).await;
    browser.click("#yes").await;
    browser.until("document.querySelector('#token').open").await;
    browser
        .evaluate("document.querySelector('#token').close()")
        .await;
    assert_eq!(proxy.get("/").await.status, 200);
    browser.forgive();

    log_in(&mut browser).await;
    browser.click(&drain).await;
    browser.click("#yes").await;
    browser
        .until("document.querySelector('#said').textContent == 'Done: Drain'")
        .await;
    let enable = format!("button[aria-label='Enable {}']", b.address());
    let there = format!("document.querySelector(\"{enable}\")");
    browser.until(&there).await;
    let before = b.count();
    for _ in 0..6 {
        proxy.get("/").await;
    }
    assert_eq!(b.count(), before, "the drained endpoint is served nothing");
    browser
        .until("[...document.querySelectorAll('tbody tr')].some((row) => row.innerText.includes('shop') && parseFloat(row.children[1].innerText) > 0)")
        .await;

    // By the keyboard alone.
    browser.evaluate(&format!("{there}.focus()")).await;
    browser.press("Enter").await;
    browser.until("document.activeElement.id == 'yes'").await;
    browser.press("Enter").await;
    browser
        .until(&format!("document.querySelector(\"{drain}\")"))
        .await;
    eventually("requests at the enabled endpoint", || async {
        proxy.get("/").await;
        (b.count() > before).then_some(())
    })
    .await;
    assert!(a.count() > 0);
    let answer = proxy
        .admin("GET", "/events", "accept: application/json")
        .await;
    let text = answer.expect("an answer").text();
    assert!(text.contains("\"action\": \"drain\""), "{text}");
    browser.picture("endpoints-light.png").await;
    browser.scheme("dark").await;
    browser.picture("endpoints-dark.png").await;
    browser.has_no_faults().await;
    proxy.finish().await;
}

#[tokio::test]
async fn the_dashboard_speaks_chinese_and_fits_a_phone() {
    let (proxy, _a, _b) = start().await;
    proxy.get("/away").await;
    let Some(mut browser) = page(&proxy, "", "zh-CN", Screen::Phone).await else {
        return;
    };
    browser
        .until("document.querySelector('#state').textContent == '运行中'")
        .await;
    assert_eq!(
        browser.evaluate("document.documentElement.lang").await,
        "zh-CN"
    );
    browser
        .until("document.body.innerText.includes('每秒请求数')")
        .await;
    let wide = "document.documentElement.scrollWidth - innerWidth";
    assert_eq!(browser.evaluate(wide).await, 0);
    for view in ["rollouts", "events", "requests", "explain", "connections"] {
        go(&mut browser, view).await;
        assert_eq!(browser.evaluate(wide).await, 0, "{view}");
    }
    go(&mut browser, "overview").await;
    browser
        .until("document.body.innerText.includes('127.0.0.1')")
        .await;
    browser.picture("phone.png").await;
    browser.click("#language").await;
    browser.until("document.documentElement.lang == 'en' && document.querySelector('#state').textContent == 'running'").await;
    assert_eq!(browser.evaluate(wide).await, 0);
    browser.has_no_faults().await;
    proxy.finish().await;
}

#[tokio::test]
async fn the_dashboard_is_one_page_that_loads_nothing_from_elsewhere() {
    let (proxy, _a, _b) = start().await;
    let page = proxy.admin("GET", "/", "accept: text/html,*/*").await;
    let page = page.expect("an answer");
    assert_eq!(page.status, 200);
    assert!(
        page.field("content-type").starts_with("text/html"),
        "{page:?}"
    );
    let policy = page.field("content-security-policy");
    assert!(policy.contains("default-src 'none'"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    let list = proxy.admin("GET", "/", "").await.expect("an answer");
    assert!(list.text().contains("/openapi.json"), "{list:?}");
    let none = proxy.admin("GET", "/dashboard/none.js", "").await;
    assert_eq!(none.expect("an answer").status, 404);
    proxy.finish().await;
}

#[tokio::test]
async fn the_overview_has_rates_and_latencies_of_the_last_moments() {
    let (proxy, _a, _b) = start().await;
    let overview = proxy.admin("GET", "/overview", "");
    let load = async {
        loop {
            proxy.get("/").await;
            proxy.get("/away").await;
        }
    };
    let answer = tokio::select! {
        answer = overview => answer,
        () = load => None,
    };
    let it: serde_json::Value = serde_json::from_slice(&answer.expect("an answer").body).unwrap();
    let routes = it["routes"].as_array().unwrap();
    let route = |name: &str| routes.iter().find(|it| it["name"] == name).unwrap();
    let shop = route("shop");
    assert!(shop["per_second"].as_f64().unwrap() > 1.0, "{it:#}");
    assert_eq!(shop["failed_per_second"], 0.0, "{it:#}");
    assert!(shop["latency"]["p99_ms"].as_f64().unwrap() > 0.0, "{it:#}");
    assert!(
        route("away")["failed_per_second"].as_f64().unwrap() > 1.0,
        "{it:#}"
    );
    let app = it["pools"]
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["name"] == "app")
        .unwrap();
    // The load goes on, one request at a time.
    let in_flight = app["endpoints"][0]["in_flight"].as_u64();
    assert!(in_flight.is_some_and(|it| it <= 1), "{it:#}");
    proxy.finish().await;
}

#[tokio::test]
async fn streams_are_bounded_and_leave_room_for_questions() {
    let (proxy, _a, _b) = start().await;
    let mut watchers = Vec::new();
    let mut statuses = Vec::new();
    for _ in 0..40 {
        let mut client = Client::connect(proxy.address("admin")).await;
        let lines = format!(
            "GET /events?overview=1s HTTP/1.1\r\nhost: {}\r\n\r\n",
            proxy.address("admin")
        );
        client.send(lines.as_bytes()).await;
        let (status, _) = client.head().await;
        statuses.push(status);
        watchers.push(client);
    }
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 32);
    assert_eq!(statuses.last(), Some(&503));
    let answer = proxy.admin("GET", "/status", "").await.expect("an answer");
    assert_eq!(answer.status, 200);
    for wrong in ["0s", "61s", "x"] {
        let target = format!("/events?overview={wrong}");
        let answer = proxy.admin("GET", &target, "").await.expect("an answer");
        assert_eq!(answer.status, 400, "{wrong}");
    }
    drop(watchers);
    proxy.finish().await;
}
