//! Clients that must show a certificate: nobody comes in without one, by a ticket of elsewhere, or
//! to another host than the session is for.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::{Authority, Settings, shake};
use crate::tls::{ONE, echo, secured, shop};

const GUARDED: &str = r#"certificates = [{ chain = "a.pem", key = "a.key" }]
client_ca = "clients.pem""#;

/// One GET over a session of one's own; what came until the end.
async fn ask(to: SocketAddr, config: ClientConfig, name: &str, host: &str) -> io::Result<String> {
    let mut session = shake(to, Arc::new(config), name).await?;
    let head = format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    session.write_all(head.as_bytes()).await?;
    let mut text = Vec::new();
    session.read_to_end(&mut text).await?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_a_certificate_is_let_in_only_where_it_is_optional() {
    for (auth, alone_passes) in [("required", false), ("optional", true)] {
        let app = echo().await;
        let text = secured(&format!("{GUARDED}\nclient_auth = \"{auth}\"")).replace(
            "pool = \"app\"",
            "pool = \"app\"\nheaders_request = { set = { x-subject = \"{tls.subject}\" } }",
        );
        let settings = Settings::new(&text);
        let authority = shop(&settings);
        authority.write(settings.folder(), "clients.pem");
        let proxy = settings.backend("app", &app).start().await;
        let web = proxy.address("web");
        let known = authority.issue("client 1", &[]);
        let strange = Authority::new("others").issue("client 1", &[]);
        let name = "shop.example";
        let config = authority.client(Some(&known), &[]);
        for _ in 0..2 {
            // The second session is resumed, and no certificate is shown in it.
            let text = ask(web, config.clone(), name, name).await;
            assert!(text.unwrap().starts_with("HTTP/1.1 200"), "{auth}");
        }
        let resumed = [("result", "resumed")];
        proxy
            .metric_becomes("sluicegate_tls_handshakes_total", &resumed, 1.0)
            .await;
        for seen in app.seen() {
            assert_eq!(seen.field("x-subject"), "CN=client 1");
        }
        let text = ask(web, authority.client(Some(&strange), &[]), name, name).await;
        assert!(text.is_err(), "{auth}: a stranger's certificate");
        let text = ask(web, authority.client(None, &[]), name, name).await;
        assert_eq!(text.is_ok(), alone_passes, "{auth}: none");
        if alone_passes {
            assert_eq!(app.seen()[2].field("x-subject"), "");
        }
        proxy.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_for_one_host_does_not_reach_another_where_clients_show_certificates() {
    let app = echo().await;
    let settings = Settings::new(&secured(GUARDED));
    let authority = shop(&settings);
    authority.write(settings.folder(), "clients.pem");
    let proxy = settings.backend("app", &app).start().await;
    let known = authority.issue("client", &[]);
    let config = || authority.client(Some(&known), &[]);
    let web = proxy.address("web");
    let other = ask(web, config(), "shop.example", "admin.example").await;
    let other = other.unwrap();
    assert!(other.starts_with("HTTP/1.1 421 "), "{other}");
    assert!(other.contains("error=http_request_denied"), "{other}");
    let same = ask(web, config(), "shop.example", "SHOP.example:443").await;
    assert!(same.unwrap().starts_with("HTTP/1.1 200 "));
    assert_eq!(app.seen().len(), 1);
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_of_an_open_listener_is_no_way_into_a_guarded_one() {
    let app = echo().await;
    let text = format!(
        "{}\n[listeners.guarded]\naddress = \"$guarded\"\n[listeners.guarded.tls]\n{GUARDED}",
        secured(ONE)
    );
    let settings = Settings::new(&text);
    let authority = shop(&settings);
    authority.write(settings.folder(), "clients.pem");
    let proxy = settings.backend("app", &app).start().await;
    let config = authority.client(None, &[]);
    let name = "shop.example";
    for _ in 0..2 {
        let open = ask(proxy.address("web"), config.clone(), name, name).await;
        assert!(open.unwrap().starts_with("HTTP/1.1 200 "));
    }
    // The clones share their tickets, and offer one here.
    let guarded = ask(proxy.address("guarded"), config, name, name).await;
    assert!(guarded.is_err(), "{guarded:?}");
    proxy.finish().await;
}
