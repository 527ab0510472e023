//! Each name is shown its own certificate, and a renewed one costs nobody a request.

use std::net::SocketAddr;

use crate::harness::{Authority, Issued, Load, Settings, Tunnel, command, eventually, look};
use crate::tls::{ONE, echo, secured, shop};

/// Returns the certificate presented to a client that asks for `name`.
async fn shown(to: SocketAddr, authority: &Authority, name: &str) -> Vec<u8> {
    look(to, authority, name).await.unwrap().certificate
}

#[tokio::test(flavor = "multi_thread")]
async fn the_certificate_is_chosen_by_the_name_that_the_client_asks_for() {
    let app = echo().await;
    let settings = Settings::new(&secured(
        r#"certificates = [
            { chain = "first.pem", key = "first.key" },
            { chain = "wild.pem", key = "wild.key" },
            { chain = "exact.pem", key = "exact.key" },
        ]"#,
    ));
    let authority = Authority::new("test authority");
    let issue = |stem: &str, name| -> Issued {
        let issued = authority.issue(stem, &[name]);
        issued.write(settings.folder(), stem);
        issued
    };
    let first = issue("first", "first.example");
    let wild = issue("wild", "*.shop.example");
    let exact = issue("exact", "pay.shop.example");
    let proxy = settings.backend("app", &app).start().await;
    let web = proxy.address("web");
    for (name, issued) in [
        ("first.example", &first),
        ("a.shop.example", &wild),
        ("pay.shop.example", &exact),
        ("a.b.shop.example", &first),
        ("other.example", &first),
        ("127.0.0.1", &first),
    ] {
        let der = shown(web, &authority, name).await;
        assert!(der == issued.der().to_vec(), "what {name} is shown");
    }
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_taken_up_under_load_without_a_failed_request() {
    let app = echo().await;
    let settings = Settings::new(&secured(ONE));
    let authority = shop(&settings);
    let proxy = settings.backend("app", &app).start().await;
    let web = proxy.address("web");
    let h1 = authority.client(None, &["http/1.1"]);
    let tunnel = Tunnel::to_tls(web, h1, "shop.example").await;
    let mix = |number| ("GET", format!("/{number}"), &b""[..]);
    let load = Load::start(tunnel.address(), 4, 0, mix);
    load.goes_on(50).await;
    let renewed = authority.issue("shop", &["shop.example"]);
    renewed.write(proxy.folder(), "a");
    eventually("the new certificate is shown", || async {
        (shown(web, &authority, "shop.example").await == renewed.der().to_vec()).then_some(())
    })
    .await;
    load.goes_on(50).await;
    load.stop().await.assert_clean();
    let labels = [("result", "succeeded")];
    proxy
        .metric_becomes("sluicegate_certificate_reloads_total", &labels, 1.0)
        .await;
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_renewal_leaves_the_old_certificate_in_use_and_is_told() {
    let app = echo().await;
    let settings = Settings::new(&secured(ONE));
    let authority = shop(&settings);
    let proxy = settings.backend("app", &app).start().await;
    let web = proxy.address("web");
    let before = shown(web, &authority, "shop.example").await;
    let failed = [("result", "failed")];
    let metric = "sluicegate_certificate_reloads_total";
    let expired = authority.issue_expired(&["shop.example"]);
    expired.write(proxy.folder(), "a");
    proxy.metric_becomes(metric, &failed, 1.0).await;
    proxy.log_says("expired at").await;
    // Chain and key of two different pairs.
    let (one, two) = (authority.issue("x", &["x"]), authority.issue("y", &["y"]));
    let torn = Issued {
        chain: one.chain,
        key: two.key,
    };
    torn.write(proxy.folder(), "a");
    proxy.metric_becomes(metric, &failed, 2.0).await;
    proxy.log_says("does not belong to").await;
    let refused = "degraded: listener web: its changed certificate files are refused, the old ones stay in use, since 20";
    let (_, status) = command(proxy.folder(), &["status"]);
    let line = status.lines().find(|line| line.contains(refused));
    assert!(
        line.is_some_and(|line| line.contains("does not belong to")),
        "{status}"
    );
    assert!(shown(web, &authority, "shop.example").await == before);
    for name in [
        "sluicegate_certificate_expiry_timestamp_seconds",
        "sluicegate_certificate_expiry_seconds",
    ] {
        let expiry = proxy.metric(name, &[("listener", "web")]).await;
        assert!(expiry > 1.7e9, "{name} {expiry}");
    }
    let renewed = authority.issue("shop", &["shop.example"]);
    renewed.write(proxy.folder(), "a");
    eventually("nothing is refused any more", || async {
        let (_, status) = command(proxy.folder(), &["status"]);
        (!status.contains("are refused")).then_some(())
    })
    .await;
    proxy.finish().await;
}
