//! Log lines of clients that were refused by their certificate, and the list in use, as the operator
//! sees them.

use crate::{
    client_revocation::{next_year, passes, renew, start},
    harness::{Authority, Proxy, Settings, eventually, packages, run_peer},
    http3::offered,
    tls::echo,
};

/// The line of a refusal that has all of this, once it is logged.
async fn told(proxy: &Proxy, all: &[&str]) {
    eventually(format!("a line with {all:?}"), || async {
        let log = proxy.log();
        let mut lines = log.lines();
        lines
            .any(|line| all.iter().all(|it| line.contains(it)))
            .then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_cause_of_a_refusal_is_logged_with_the_certificate() {
    let (proxy, authority, _app) = start(|it| it.revocation_list(&[], next_year())).await;
    let [left, gone] = ["left, or not", "gone"].map(|name| authority.issue(name, &[]));
    let list = authority.revocation_list(&[&left, &gone], next_year());
    renew(&proxy, &list, 1.0).await;
    let stranger = Authority::new("strangers").issue("stranger", &[]);
    let expired = authority.issue_expired(&[]);
    // Within the 5 s in which a cause is logged once: none hides the other.
    let refused = [
        Some(&stranger),
        None,
        Some(&expired),
        Some(&left),
        Some(&gone),
    ];
    for client in refused {
        assert!(!passes(&proxy, &authority.client(client, &[])).await);
    }
    let failed = "TLS handshake with a client failed";
    told(&proxy, &[failed, "it sent no certificate"]).await;
    for (client, subject, why) in [
        (
            &stranger,
            "CN=stranger",
            "leads to no authority in client_ca",
        ),
        (&expired, "CN=expired", "has expired"),
        (
            &left,
            "or not",
            "its certificate is on a list of client_crl",
        ),
        (
            &gone,
            "CN=gone",
            "its certificate is on a list of client_crl",
        ),
    ] {
        told(&proxy, &[failed, subject, &client.serial(), why]).await;
    }
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_in_use_is_shown_before_it_is_overdue() {
    let (proxy, authority, _app) = start(|it| it.numbered_list(&[], next_year(), 7)).await;
    let metric = "sluicegate_revocation_list_next_update_timestamp_seconds";
    let soon = std::time::SystemTime::now() + std::time::Duration::from_secs(3600);
    renew(&proxy, &authority.numbered_list(&[], soon, 8), 1.0).await;
    told(
        &proxy,
        &[
            "a renewed revocation list is in use",
            "clients.crl",
            "CN=test authority",
        ],
    )
    .await;
    let due = soon
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let due = f64::from(u32::try_from(due).unwrap());
    proxy
        .metric_becomes(metric, &[("listener", "web")], due)
        .await;
    let shown = proxy.admin("GET", "/certificates", "").await.unwrap();
    let shown: serde_json::Value = serde_json::from_str(&shown.text()).unwrap();
    let rows = shown.as_array().unwrap().iter();
    let lists: Vec<_> = rows
        .filter(|row| row["revocation_list"].is_object())
        .collect();
    assert_eq!(lists.len(), 1, "{shown}");
    assert_eq!(lists[0]["revocation_list"]["number"], "8", "{shown}");
    assert_eq!(
        lists[0]["revocation_list"]["issuer"], "CN=test authority",
        "{shown}"
    );
    assert!(
        lists[0]["certificate"]
            .as_str()
            .unwrap()
            .ends_with("clients.crl"),
        "{shown}"
    );
    let left = lists[0]["expires_in_seconds"].as_i64().unwrap();
    assert!((3000..=3600).contains(&left), "{shown}");
    proxy.finish().await;
}

#[tokio::test]
async fn a_revoked_client_of_http3_is_kept_out_and_named() {
    let Some(packages) = packages() else { return };
    let app = echo().await;
    let text = offered("").replace(
        "key = \"a.key\" }]",
        "key = \"a.key\" }], client_ca = \"ca.pem\", client_crl = \"clients.crl\"",
    );
    let settings = Settings::new(&text).backend("app", &app);
    let authority = Authority::new("test authority");
    let folder = settings.folder().to_owned();
    authority
        .issue("shop", &["shop.example", "other.example"])
        .write(&folder, "a");
    let robot = authority.issue("robot", &["robot.example"]);
    robot.write(&folder, "c");
    authority.write(&folder, "ca.pem");
    std::fs::write(
        folder.join("clients.crl"),
        authority.revocation_list(&[], next_year()),
    )
    .unwrap();
    let proxy = settings.start().await;
    let path = |name: &str| folder.join(name).display().to_string();
    let arguments = |scenario: &str| {
        [
            scenario.to_owned(),
            proxy.address("web").to_string(),
            path("ca.pem"),
            path("c.pem"),
            path("c.key"),
        ]
    };
    run_peer(&packages, "http3_client.py", &arguments("admitted")).await;
    renew(
        &proxy,
        &authority.revocation_list(&[&robot], next_year()),
        1.0,
    )
    .await;
    run_peer(&packages, "http3_client.py", &arguments("outcast")).await;
    let failed = "QUIC handshake with a client failed";
    let why = "its certificate is on a list of client_crl";
    told(&proxy, &[failed, "CN=robot", &robot.serial(), why]).await;
    proxy.finish().await;
}
