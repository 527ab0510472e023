//! Certificates from a real ACME server: ordered, and no harm done while there is none.

use std::fmt::Display;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::harness::{Authority, EAB_KEY, Pebble, Port, Proxy, Settings, eventually, look, shake};

/// The ports that the CA calls.
pub(crate) struct Ports {
    plain: Port,
    web: Port,
}

impl Ports {
    pub(crate) fn take() -> Self {
        Self {
            plain: Port::take(),
            web: Port::take(),
        }
    }

    pub(crate) fn prepared(&self) -> Pebble {
        Pebble::prepared(&self.plain, &self.web)
    }

    pub(crate) async fn pebble(&self) -> Pebble {
        let mut pebble = self.prepared();
        pebble.run().await;
        pebble
    }

    pub(crate) fn settings(&self, text: &str) -> Settings {
        Settings::new(text)
            .address("plain", self.plain.address())
            .address("web", self.web.address())
    }
}

/// A proxy with this certificate.
pub(crate) fn text(acme: &str) -> String {
    format!(
        r#"
        [proxy]
        workers = 2
        state_dir = "state"
        [listeners.plain]
        address = "$plain"
        [listeners.web]
        address = "$web"
        [listeners.web.tls]
        acme = {{ {acme} }}
        [routes.all]
        https_only = true
        respond = {{ body = "here" }}
        "#
    )
}

/// A certificate for one name from this CA.
pub(crate) fn shop(pebble: &Pebble) -> String {
    format!(r#"domains = ["shop.test"], {}"#, pebble.directory())
}

/// Asks as a client does that trusts these authorities alone; returns the body.
pub(crate) async fn ask(to: SocketAddr, name: &str, trust: &Path) -> Option<String> {
    let (port, ip) = (to.port(), to.ip());
    let mut command = Command::new("curl");
    command
        .args(["-sf", "-m", "5", "--cacert"])
        .arg(trust)
        .args(["--resolve", &format!("{name}:{port}:{ip}")])
        .arg(format!("https://{name}:{port}/"));
    let asked = tokio::task::spawn_blocking(move || command.output().expect("curl"));
    let got = asked.await.expect("no panic");
    got.status
        .success()
        .then(|| String::from_utf8_lossy(&got.stdout).into_owned())
}

/// Waits until clients that trust the CA are served under this name.
pub(crate) async fn is_served(proxy: &Proxy, listener: &str, name: &str, pebble: &Pebble) {
    let trust = pebble.trust();
    let to = proxy.address(listener);
    let body = patiently(format!("{name} is served"), || ask(to, name, &trust)).await;
    assert_eq!(body, "here");
}

/// The certificate presented under a name.
pub(crate) async fn shown(proxy: &Proxy, name: &str) -> Option<Vec<u8>> {
    let any = Authority::new("any");
    let seen = look(proxy.address("web"), &any, name).await;
    seen.ok().map(|seen| seen.certificate)
}

/// The events about orders so far.
async fn told(proxy: &Proxy) -> Vec<Value> {
    let events = proxy
        .admin("GET", "/events", "accept: application/json\n")
        .await;
    let events: Value = serde_json::from_str(&events.unwrap().text()).unwrap();
    let all = events.as_array().cloned().unwrap_or_default();
    let about = all.into_iter().filter(|it| it["kind"] == "acme");
    about.map(|it| it["what"].clone()).collect()
}

/// Waits for an event about orders.
pub(crate) async fn is_told(proxy: &Proxy, to: &str) -> Value {
    patiently(format!("it is told: {to}"), || async {
        let told = told(proxy).await;
        told.into_iter().find(|it| it["to"] == to)
    })
    .await
}

/// The certificate of a listener, as the admin API shows it.
pub(crate) async fn standing(proxy: &Proxy, listener: &str) -> Value {
    let all = proxy.admin("GET", "/listeners", "").await.unwrap();
    let all: Value = serde_json::from_slice(&all.body).unwrap();
    let mut all = all.as_array().cloned().unwrap_or_default();
    let place = all.iter().position(|it| it["name"] == listener).unwrap();
    all.swap_remove(place)["acme"].take()
}

pub(crate) async fn restart(proxy: &mut Proxy) {
    proxy.signal(Signal::TERM);
    proxy.exited().await;
    proxy.start_again().await;
}

/// Files of the state with this ending.
fn kept(proxy: &Proxy, ending: &str) -> Vec<PathBuf> {
    let folders = fs::read_dir(proxy.folder().join("state/acme")).unwrap();
    let files = folders.flat_map(|it| fs::read_dir(it.unwrap().path()).unwrap());
    let files = files.map(|it| it.unwrap().path());
    files
        .filter(|it| it.extension().is_some_and(|it| it == ending))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_ordered_by_http_01_and_served() {
    let ports = Ports::take();
    let pebble = ports.pebble().await;
    let acme = format!(
        r#"domains = ["shop.test", "www.shop.test"], contact = "mailto:ops@shop.test", {}"#,
        pebble.directory()
    );
    // The redirect to TLS, which has no certificate yet, does not stand in the way.
    let proxy = ports.settings(&text(&acme)).start().await;
    is_served(&proxy, "web", "shop.test", &pebble).await;
    is_served(&proxy, "web", "www.shop.test", &pebble).await;
    assert_eq!(pebble.orders(), 1);
    let succeeded = [("result", "succeeded")];
    let metric = "sluicegate_acme_orders_total";
    proxy.metric_becomes(metric, &succeeded, 1.0).await;
    let event = is_told(&proxy, "issued").await;
    assert_eq!(event["names"][1], "www.shop.test", "{event}");
    let standing = standing(&proxy, "web").await;
    assert_eq!(standing["state"], "issued", "{standing}");
    assert!(standing["next_order"].is_string(), "{standing}");
    let listed = proxy.admin("GET", "/certificates", "").await.unwrap();
    let listed: Value = serde_json::from_slice(&listed.body).unwrap();
    assert_eq!(listed[0]["acme"]["directory"], standing["directory"]);
    // Only tokens under way are answered by the proxy itself.
    let mut client = proxy.client_of("plain").await;
    let stray = client.get("/.well-known/acme-challenge/x").await;
    assert_eq!(stray.status, 308);
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_alpn_01_is_answered_by_the_listener_itself() {
    let ports = Ports::take();
    let pebble = ports.pebble().await;
    let acme = format!(r#"challenge = "tls-alpn-01", {}"#, shop(&pebble));
    let text = text(&acme).replace("[listeners.plain]\n        address = \"$plain\"\n", "");
    let proxy = ports.settings(&text).start().await;
    is_served(&proxy, "web", "shop.test", &pebble).await;
    // Nobody else is presented anything, or served, under the protocol of the CA.
    let verifier = Authority::new("any").client(None, &["acme-tls/1"]);
    let refused = shake(proxy.address("web"), Arc::new(verifier), "shop.test").await;
    assert!(refused.is_err());
    assert_eq!(pebble.orders(), 1);
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_names_are_served_while_the_ca_is_away_at_the_start() {
    let ports = Ports::take();
    let mut pebble = ports.prepared();
    let own = r#"
        [listeners.web.tls]
        certificates = [{ chain = "a.pem", key = "a.key" }]
    "#;
    let text = text(&shop(&pebble)).replace("[listeners.web.tls]", own)
        + r#"
        [listeners.bare]
        address = "$bare"
        [listeners.bare.tls]
        acme = { "#
        + &shop(&pebble)
        + " }\n";
    let settings = ports.settings(&text);
    let authority = Authority::new("test authority");
    let other = authority.issue("other", &["other.test"]);
    other.write(settings.folder(), "a");
    authority.write(settings.folder(), "authority.pem");
    let proxy = settings.start().await;
    is_told(&proxy, "failed").await;
    let trust = proxy.folder().join("authority.pem");
    let body = ask(proxy.address("web"), "other.test", &trust).await;
    assert_eq!(body.as_deref(), Some("here"));
    // A name without a certificate is shown the first one; without any the handshake fails.
    let first = shown(&proxy, "shop.test").await.unwrap();
    assert_eq!(first, other.der().to_vec());
    let bare = look(proxy.address("bare"), &authority, "shop.test").await;
    assert!(bare.is_err());
    let ready = proxy.admin("GET", "/ready", "").await.unwrap();
    assert_eq!(ready.status, 200);
    let text = ready.text();
    assert!(
        text.contains("the certificate for shop.test is not issued since 20")
            && text.contains("Z: the CA does not answer"),
        "{text}"
    );
    assert_eq!(standing(&proxy, "web").await["state"], "failed");
    pebble.run().await;
    // One order for both listeners.
    is_served(&proxy, "web", "shop.test", &pebble).await;
    is_served(&proxy, "bare", "shop.test", &pebble).await;
    assert_eq!(pebble.orders(), 1);
    let body = ask(proxy.address("web"), "other.test", &trust).await;
    assert_eq!(body.as_deref(), Some("here"));
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_told_in_the_ca_s_words_and_not_asked_for_again_at_a_restart() {
    let ports = Ports::take();
    let (nobody, web) = (Port::take(), &ports.web);
    let pebble = Pebble::start(&nobody, web).await;
    let mut proxy = ports.settings(&text(&shop(&pebble))).start().await;
    let event = is_told(&proxy, "failed").await;
    let error = event["error"].as_str().unwrap();
    assert!(error.contains("the CA refuses: shop.test: "), "{event}");
    assert!(error.contains("connection refused (connection)"), "{event}");
    let failed = [("result", "failed")];
    let metric = "sluicegate_acme_orders_total";
    proxy.metric_becomes(metric, &failed, 1.0).await;
    eventually("the failure is kept", || async {
        (kept(&proxy, "json").len() == 2).then_some(())
    })
    .await;
    restart(&mut proxy).await;
    eventually("the failure is known", || async {
        (standing(&proxy, "web").await["failures"] == 1).then_some(())
    })
    .await;
    assert_eq!(pebble.orders(), 1);
    // What is mended is tried at once.
    let mended = format!(r#"challenge = "tls-alpn-01", {}"#, shop(&pebble));
    proxy.reload(&text(&mended)).await;
    is_served(&proxy, "web", "shop.test", &pebble).await;
    assert_eq!(pebble.orders(), 2);
    eventually("the failure is forgotten", || async {
        (kept(&proxy, "json").len() == 1).then_some(())
    })
    .await;
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_bound_to_one_that_the_ca_knows_and_nothing_is_readable_by_others() {
    let ports = Ports::take();
    let mut pebble = ports.prepared().demanding();
    pebble.run().await;
    let acme = format!(
        r#"eab = {{ key_id = "kid-1", key = {{ env = "EAB" }} }}, {}"#,
        shop(&pebble)
    );
    let settings = ports.settings(&text(&acme)).variable("EAB", EAB_KEY);
    let proxy = settings.start().await;
    is_served(&proxy, "web", "shop.test", &pebble).await;
    for ending in ["json", "pem"] {
        let files = kept(&proxy, ending);
        assert_eq!(files.len(), 1, "{files:?}");
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(&files[0]).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{files:?}");
    }
    proxy.finish().await;
}

/// Asks as `eventually` does, for longer: orders take seconds, and a CA that was away is asked again
/// after some.
pub(crate) async fn patiently<T, F>(what: impl Display, mut ask: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let asking = async {
        loop {
            if let Some(value) = ask().await {
                return value;
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    match timeout(Duration::from_secs(90), asking).await {
        Ok(value) => value,
        Err(_) => panic!("not in time: {what}"),
    }
}
