//! Revocation lists: which one counts for a client, and which are refused because they would lock out
//! all of them.

use std::sync::Arc;

use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{
    client_revocation::{GUARDED, next_year, passes, renew, start},
    harness::{Authority, Issued, Settings, command, shake},
    tls::{echo, secured, shop},
};

const RELOADS: &str = "sluicegate_certificate_reloads_total";

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_list_of_an_authority_counts_wherever_it_stands() {
    let (proxy, authority, _app) = start(|it| it.revocation_list(&[], next_year())).await;
    let [left, stays] = ["left", "stays"].map(|name| authority.issue(name, &[]));
    let [of_left, of_stays] = [&left, &stays].map(|it| authority.client(Some(it), &[]));
    assert!(passes(&proxy, &of_left).await);
    let old = authority.numbered_list(&[&stays], next_year(), 255);
    let new = authority.numbered_list(&[&left], next_year(), 256);
    for (turn, both) in [[&old, &new], [&new, &old]].into_iter().enumerate() {
        let both = both.map(String::as_str).concat();
        renew(&proxy, &both, if turn == 0 { 1.0 } else { 2.0 }).await;
        assert!(!passes(&proxy, &of_left).await, "turn {turn}");
        assert!(passes(&proxy, &of_stays).await, "turn {turn}");
        let (_, said) = command(proxy.folder(), &["check"]);
        let expected = "a newer list of CN=test authority is in the file, which counts";
        assert!(said.contains(expected), "{said}");
        assert_eq!(
            said.contains(&format!("line 1: {expected}")),
            turn == 0,
            "{said}"
        );
    }
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_key_of_an_authority_has_its_own_list() {
    let app = echo().await;
    let settings = Settings::new(&secured(GUARDED));
    let servers = shop(&settings);
    // Renewed with another key, under the same name.
    let [old, new] = [(); 2].map(|()| Authority::new("clients"));
    let both = [old.pem(), new.pem()].concat();
    std::fs::write(settings.folder().join("clients.pem"), both).unwrap();
    let issued = [&old, &new].map(|it| ["left", "stays"].map(|name| it.issue(name, &[])));
    let lists = [
        old.numbered_list(&[&issued[0][0]], next_year(), 9),
        new.numbered_list(&[&issued[1][0]], next_year(), 2),
    ];
    std::fs::write(settings.folder().join("clients.crl"), lists.concat()).unwrap();
    let proxy = settings.backend("app", &app).start().await;
    for turn in 0..2 {
        for [left, stays] in &issued {
            assert!(
                !passes(&proxy, &servers.client(Some(left), &[])).await,
                "turn {turn}"
            );
            assert!(
                passes(&proxy, &servers.client(Some(stays), &[])).await,
                "turn {turn}"
            );
        }
        if turn == 0 {
            renew(&proxy, &[&*lists[1], &lists[0]].concat(), 1.0).await;
        }
    }
    // Without its list, the clients of the new key stay out, and `check` says so.
    renew(&proxy, &lists[0], 2.0).await;
    assert!(passes(&proxy, &servers.client(Some(&issued[0][1]), &[])).await);
    assert!(!passes(&proxy, &servers.client(Some(&issued[1][1]), &[])).await);
    proxy
        .log_says("the list of its authority in client_crl is signed by another key")
        .await;
    proxy
        .log_says("has no list of CN=clients, an authority in client_ca")
        .await;
    let (code, said) = command(proxy.folder(), &["check"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("clients.crl has no list of CN=clients"),
        "{said}"
    );
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_would_lock_out_every_client_is_not_taken_up() {
    let (proxy, authority, _app) = start(|it| it.revocation_list(&[], next_year())).await;
    let client = authority.client(Some(&authority.issue("stays", &[])), &[]);
    let other_key = Authority::new("test authority");
    let stranger = Authority::new("stranger");
    let signed = "clients.crl line 1: the list of CN=test authority is signed by another key than that of this authority in client_ca";
    let strange = "clients.crl line 1: no list of the file is of an authority in client_ca; this one is of CN=stranger";
    for (turn, (list, said)) in [(&other_key, signed), (&stranger, strange)]
        .into_iter()
        .enumerate()
    {
        let list = list.revocation_list(&[], next_year());
        std::fs::write(proxy.folder().join("clients.crl"), list).unwrap();
        let refused = [1.0, 2.0][turn];
        proxy
            .metric_becomes(RELOADS, &[("result", "failed")], refused)
            .await;
        proxy.log_says(said).await;
        assert!(passes(&proxy, &client).await);
        let (_, status) = command(proxy.folder(), &["status"]);
        let wrong = status.lines().find(|line| line.starts_with('!'));
        assert!(wrong.is_some_and(|line| line.contains(said)), "{status}");
        let (code, checked) = command(proxy.folder(), &["check"]);
        assert_eq!(code, Some(3), "{checked}");
        assert!(
            checked.contains(said) && checked.contains("proxy.toml:"),
            "{checked}"
        );
    }
    // The authority moves to the other key: its list first, then its certificate.
    let list = other_key.revocation_list(&[], next_year());
    std::fs::write(proxy.folder().join("clients.crl"), list).unwrap();
    proxy
        .metric_becomes(RELOADS, &[("result", "failed")], 3.0)
        .await;
    std::fs::write(proxy.folder().join("clients.pem"), other_key.pem()).unwrap();
    proxy
        .metric_becomes(RELOADS, &[("result", "succeeded")], 1.0)
        .await;
    assert!(!passes(&proxy, &client).await, "of the old key");
    let moved = authority.client(Some(&other_key.issue("moved", &[])), &[]);
    assert!(passes(&proxy, &moved).await);
    // And back: the list in use is not of this certificate.
    authority.write(proxy.folder(), "clients.pem");
    proxy
        .metric_becomes(RELOADS, &[("result", "failed")], 4.0)
        .await;
    assert!(passes(&proxy, &moved).await);
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_between_is_held_to_its_newest_list() {
    let (proxy, root, _app) = start(|it| it.revocation_list(&[], next_year())).await;
    let [between, gone] = ["between", "gone"].map(|name| root.below(name));
    let chained = |of: &Authority, name: &str| {
        let mut issued = of.issue(name, &[]);
        issued.chain.push_str(of.pem());
        issued
    };
    let [left, stays] = ["left", "stays"].map(|name| chained(&between, name));
    let lost = chained(&gone, "lost");
    let config = |own: &Issued| root.client(Some(own), &[]);
    assert!(!passes(&proxy, &config(&stays)).await, "without its list");
    let lists = [
        root.numbered_list(&[&gone.itself()], next_year(), 2),
        between.numbered_list(&[&stays], next_year(), 3),
        between.numbered_list(&[&left], next_year(), 4),
        gone.numbered_list(&[], next_year(), 1),
    ];
    renew(&proxy, &lists.concat(), 1.0).await;
    assert!(passes(&proxy, &config(&stays)).await);
    assert!(!passes(&proxy, &config(&left)).await);
    assert!(
        !passes(&proxy, &config(&lost)).await,
        "its authority is revoked"
    );
    let (code, said) = command(proxy.folder(), &["check"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("no authority in client_ca is CN=between"),
        "{said}"
    );
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tickets_of_a_revoked_client_end_over_each_version() {
    let (proxy, authority, _app) = start(|it| it.revocation_list(&[], next_year())).await;
    let left = authority.issue("left", &[]);
    let ways = [
        (&TLS12, "http/1.1"),
        (&TLS12, "h2"),
        (&TLS13, "http/1.1"),
        (&TLS13, "h2"),
    ];
    let clients = ways.map(|(version, protocol)| {
        Arc::new(authority.client_of(&[version], Some(&left), &[protocol]))
    });
    for _ in 0..2 {
        for client in &clients {
            assert!(greets(&proxy, client).await);
        }
    }
    let resumed = [("result", "resumed")];
    proxy
        .metric_becomes("sluicegate_tls_handshakes_total", &resumed, 4.0)
        .await;
    renew(
        &proxy,
        &authority.revocation_list(&[&left], next_year()),
        1.0,
    )
    .await;
    for (client, way) in clients.iter().zip(ways) {
        assert!(!greets(&proxy, client).await, "{way:?}");
    }
    proxy.finish().await;
}

/// Returns true if the proxy answers over HTTP/1.1 or HTTP/2, whichever is agreed on.
async fn greets(proxy: &crate::harness::Proxy, client: &Arc<rustls::ClientConfig>) -> bool {
    let Ok(mut session) = shake(proxy.address("web"), Arc::clone(client), "shop.example").await
    else {
        return false;
    };
    let http2 = client.alpn_protocols == [b"h2".to_vec()];
    let said: &[u8] = match http2 {
        true => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        false => b"GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n",
    };
    let mut first = [0; 9];
    let asked = session.write_all(said).await;
    asked.is_ok() && session.read_exact(&mut first).await.is_ok()
}
