//! The start of the tests of the dashboard: proxies, and pages that show them.

use crate::harness::{Backend, Chromium, Proxy, Screen, Settings, answer, eventually, identity};

const ALL: &str = r#"
    [proxy]
    workers = 1
    [admin]
    address = "$admin"
    token = { env = "ADMIN_TOKEN" }
    [listeners.web]
    address = "$web"
    [routes.shop]
    pool = "app"
    [routes.away]
    path = "/away"
    pool = "away"
    [pools.app]
    endpoints = [{ address = "$a", version = "1.4.0" }, { address = "$b", version = "2.0.0" }]
    [pools.away]
    endpoints = ["$gone"]
"#;

const ROLLOUT: &str = r#"
    [proxy]
    workers = 1
    [admin]
    address = "$admin"
    token = "correct-horse"
    [listeners.web]
    address = "$web"
    [routes.orders]
    rollout = "orders"
    [rollouts.orders]
    pool = "orders"
    baseline = "^1"
    candidate = "^2"
    pin = { by = "header:x-user" }
    steps = [{ share = "30%", hold = "1h" }, { share = "60%", hold = "1h" }]
    gate = { volume_min = 30 }
    on_failure = "freeze"
    [pools.orders]
    ejection = false
    endpoints = [
        { address = "$old", version = "1.4.0" },
        { address = "$new", version = "2.0.0" },
    ]
"#;

/// A proxy with a pool of two versions, and one whose endpoint is gone.
pub(super) async fn start() -> (Proxy, Backend, Backend) {
    let a = Backend::start(identity("a")).await;
    let b = Backend::start(|_| answer("b")).await;
    let gone = Backend::start(|_| answer("gone")).await.address();
    let proxy = Settings::new(ALL)
        .variable("ADMIN_TOKEN", "correct-horse")
        .backend("a", &a)
        .backend("b", &b)
        .address("gone", gone)
        .start()
        .await;
    (proxy, a, b)
}

/// A proxy with a rollout under way; some users have the new version.
pub(super) async fn start_rollout() -> (Proxy, [Backend; 2]) {
    let backends = [
        Backend::start(|_| answer("1")).await,
        Backend::start(|_| answer("2")).await,
    ];
    let proxy = Settings::new(ROLLOUT)
        .backend("old", &backends[0])
        .backend("new", &backends[1])
        .start()
        .await;
    eventually("some users have the new version", || async {
        users(&proxy).await.contains('2').then_some(())
    })
    .await;
    (proxy, backends)
}

/// The versions that some users get.
pub(super) async fn users(proxy: &Proxy) -> String {
    let mut versions = String::new();
    for user in 0..20 {
        let lines = format!("host: shop.example\nx-user: {user}");
        versions += &proxy.request("GET", "/", &lines, b"").await.text();
    }
    versions
}

/// Opens a view of the dashboard in a browser, and waits until it shows the proxy; none where
/// Chromium is missing.
pub(super) async fn page(
    proxy: &Proxy,
    view: &str,
    language: &str,
    screen: Screen,
) -> Option<Chromium> {
    let mut browser = Chromium::start(language, screen).await?;
    open(&mut browser, proxy, view).await;
    Some(browser)
}

/// Opens a view of the dashboard, and waits until it shows the proxy.
pub(super) async fn open(browser: &mut Chromium, proxy: &Proxy, view: &str) {
    let url = format!("http://{}/#{view}", proxy.address("admin"));
    browser.open(&url).await;
    browser
        .until("document.querySelector('#state').textContent")
        .await;
}

/// Goes to another view by its link.
pub(super) async fn go(browser: &mut Chromium, view: &str) {
    browser.click(&format!("nav a[href='#{view}']")).await;
    browser
        .until(&format!(
            "document.querySelector(\"nav a[href='#{view}']\").ariaCurrent == 'page'"
        ))
        .await;
}

/// Gives the page the token by its form.
pub(super) async fn log_in(browser: &mut Chromium) {
    browser.click("#token-button").await;
    browser.until("document.activeElement.id == 'secret'").await;
    browser.typed("correct-horse").await;
    browser.press("Enter").await;
    browser
        .until("sessionStorage.getItem('sluicegate-token') == 'correct-horse'")
        .await;
    browser
        .until("document.querySelector('#state').textContent")
        .await;
}
