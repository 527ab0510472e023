//! Sessions that are resumed over HTTP/3: by tickets, at any worker, and never past the rules for
//! clients that hold at that time.

use std::time::{Duration, SystemTime};

use crate::harness::{Authority, Backend, Peer, Proxy, Settings, packages};

use super::http3::{echo, offered};

/// A proxy with HTTP/3, whose clients keep their tickets.
struct Kept {
    proxy: Proxy,
    authority: Authority,
    packages: std::ffi::OsString,
    app: Backend,
}

impl Kept {
    /// Starts one; none if the packages are not installed.
    async fn start(text: &str) -> Option<Self> {
        let packages = packages()?;
        let app = echo().await;
        let settings = Settings::new(text).backend("app", &app);
        let authority = Authority::new("test authority");
        authority
            .issue("shop", &["shop.example"])
            .write(settings.folder(), "a");
        authority.write(settings.folder(), "ca.pem");
        authority.write(settings.folder(), "clients.pem");
        let list = authority.revocation_list(&[], next_year());
        std::fs::write(settings.folder().join("clients.crl"), list).unwrap();
        Some(Self {
            proxy: settings.start().await,
            authority,
            packages,
            app,
        })
    }

    /// Starts a client, with a certificate of this name if there is one.
    async fn client(&self, name: Option<&str>) -> Client {
        let path = |file: &str| self.proxy.folder().join(file).display().to_string();
        let mut arguments = vec![
            "keep".to_owned(),
            self.proxy.address("web").to_string(),
            path("ca.pem"),
        ];
        if let Some(name) = name {
            arguments.extend([path(&format!("{name}.pem")), path(&format!("{name}.key"))]);
        }
        Client(Peer::start(&self.packages, "http3_sessions.py", &arguments).await)
    }

    async fn handshakes(&self, result: &str, count: f64) {
        let name = "sluicegate_tls_handshakes_total";
        let labels = [("listener", "web"), ("result", result)];
        self.proxy.metric_becomes(name, &labels, count).await;
    }

    async fn finish(self, clients: impl IntoIterator<Item = Client>) {
        for Client(peer) in clients {
            peer.ended().await.expect("the client is content");
        }
        self.proxy.finish().await;
    }
}

struct Client(Peer);

impl Client {
    /// Connects without a ticket.
    async fn fresh(&mut self) -> String {
        self.0.say("fresh");
        self.0.line().await
    }

    /// Connects with the last ticket.
    async fn again(&mut self) -> String {
        self.0.say("again");
        self.0.line().await
    }
}

/// A time far from the end of any list.
fn next_year() -> SystemTime {
    SystemTime::now() + Duration::from_secs(365 * 24 * 3600)
}

fn guarded() -> String {
    offered("").replace(
        "key = \"a.key\" }]",
        "key = \"a.key\" }], client_ca = \"clients.pem\", client_crl = \"clients.crl\"",
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_over_quic_is_resumed_at_any_worker_and_after_a_reload() {
    let text = format!("[proxy]\nworkers = 4\n{}", offered(""));
    let Some(mut kept) = Kept::start(&text).await else {
        return;
    };
    let mut client = kept.client(None).await;
    assert_eq!(client.fresh().await, "full 200");
    for _ in 0..6 {
        assert_eq!(client.again().await, "resumed 200");
    }
    let more = "[routes.more]\npath = \"/more\"\npool = \"app\"";
    kept.proxy.reload(&format!("{text}\n{more}")).await;
    assert_eq!(client.again().await, "resumed 200");
    kept.handshakes("full", 1.0).await;
    kept.handshakes("resumed", 7.0).await;
    let line = kept
        .proxy
        .logged("of a request", |line| line["path"] == "/");
    let cipher = line.await["tls"].as_str().unwrap().to_owned();
    assert!(cipher.starts_with("TLSv1.3/"), "{cipher}");
    kept.finish([client]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_from_before_does_not_pass_a_revocation_list() {
    let Some(mut kept) = Kept::start(&guarded()).await else {
        return;
    };
    let [left, stays] = ["left", "stays"].map(|name| kept.authority.issue(name, &[]));
    left.write(kept.proxy.folder(), "left");
    stays.write(kept.proxy.folder(), "stays");
    let mut of_left = kept.client(Some("left")).await;
    let mut of_stays = kept.client(Some("stays")).await;
    for client in [&mut of_left, &mut of_stays] {
        assert_eq!(client.fresh().await, "full 200");
        assert_eq!(client.again().await, "resumed 200");
    }
    let line = kept.proxy.logged("of the resumed one", |line| {
        line["tls_subject"]
            .as_str()
            .is_some_and(|it| it.contains("stays"))
    });
    line.await;

    let list = kept.authority.revocation_list(&[&left], next_year());
    std::fs::write(kept.proxy.folder().join("later.crl"), list).unwrap();
    kept.proxy
        .reload(&guarded().replace("clients.crl", "later.crl"))
        .await;
    assert_eq!(of_left.again().await, "refused");
    assert_eq!(of_left.fresh().await, "refused");
    assert_eq!(of_stays.again().await, "full 200");
    assert_eq!(of_stays.again().await, "resumed 200");
    assert_eq!(kept.app.seen().len(), 6);
    kept.finish([of_left, of_stays]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_from_before_does_not_pass_another_authority() {
    let text = guarded().replace(", client_crl = \"clients.crl\"", "");
    let Some(mut kept) = Kept::start(&text).await else {
        return;
    };
    kept.authority
        .issue("old", &[])
        .write(kept.proxy.folder(), "old");
    let mut client = kept.client(Some("old")).await;
    assert_eq!(client.fresh().await, "full 200");
    assert_eq!(client.again().await, "resumed 200");
    Authority::new("other authority").write(kept.proxy.folder(), "other.pem");
    kept.proxy
        .reload(&text.replace("clients.pem", "other.pem"))
        .await;
    assert_eq!(client.again().await, "refused");

    // Where a reload begins to ask for certificates, a ticket stands for none.
    kept.proxy.reload(&offered("")).await;
    let mut bare = kept.client(None).await;
    assert_eq!(bare.fresh().await, "full 200");
    assert_eq!(bare.again().await, "resumed 200");
    kept.proxy.reload(&text).await;
    assert_eq!(bare.again().await, "refused");
    kept.finish([client, bare]).await;
}
