//! Clients whose certificate was revoked are kept out, from the moment at which the list is
//! replaced, whatever they still hold from before.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::ClientConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{
    harness::{Authority, Backend, Issued, Proxy, Settings, shake},
    tls::{echo, secured, shop},
    tls_openssl::openssl,
};

/// The TLS of a listener whose clients need a certificate that is not revoked.
pub(super) const GUARDED: &str = r#"certificates = [{ chain = "a.pem", key = "a.key" }]
client_ca = "clients.pem"
client_crl = "clients.crl""#;

const NAME: &str = "shop.example";

/// One GET over a session of its own; what came until the end.
async fn ask(to: SocketAddr, config: ClientConfig) -> io::Result<String> {
    let mut session = shake(to, Arc::new(config), NAME).await?;
    let head = format!("GET / HTTP/1.1\r\nhost: {NAME}\r\nconnection: close\r\n\r\n");
    session.write_all(head.as_bytes()).await?;
    let mut text = Vec::new();
    session.read_to_end(&mut text).await?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Returns true if a client is served.
pub(super) async fn passes(proxy: &Proxy, config: &ClientConfig) -> bool {
    match ask(proxy.address("web"), config.clone()).await {
        Ok(text) => {
            assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
            true
        }
        Err(_) => false,
    }
}

/// A time far from the end of any list.
pub(super) fn next_year() -> SystemTime {
    SystemTime::now() + Duration::from_secs(365 * 24 * 3600)
}

/// Replaces the list, and waits until it is in use.
pub(super) async fn renew(proxy: &Proxy, text: &str, taken: f64) {
    let new = proxy.folder().join("clients.new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(&new, proxy.folder().join("clients.crl")).unwrap();
    let reloads = "sluicegate_certificate_reloads_total";
    let succeeded = [("result", "succeeded")];
    proxy.metric_becomes(reloads, &succeeded, taken).await;
}

/// A proxy whose clients come from the authority of its certificate, with the list.
pub(super) async fn start(list: impl FnOnce(&Authority) -> String) -> (Proxy, Authority, Backend) {
    let app = echo().await;
    let settings = Settings::new(&secured(GUARDED));
    let authority = shop(&settings);
    authority.write(settings.folder(), "clients.pem");
    std::fs::write(settings.folder().join("clients.crl"), list(&authority)).unwrap();
    let proxy = settings.backend("app", &app).start().await;
    (proxy, authority, app)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_client_is_kept_out_also_with_a_ticket_from_before() {
    let (proxy, authority, _app) = start(|it| it.revocation_list(&[], next_year())).await;
    let [left, stays] = ["left", "stays"].map(|name| authority.issue(name, &[]));
    // Each client keeps its tickets.
    let [of_left, of_stays] = [&left, &stays].map(|it| authority.client(Some(it), &[]));
    for _ in 0..2 {
        assert!(passes(&proxy, &of_left).await && passes(&proxy, &of_stays).await);
    }
    let handshakes = "sluicegate_tls_handshakes_total";
    let resumed = [("result", "resumed")];
    proxy.metric_becomes(handshakes, &resumed, 2.0).await;

    let list = authority.revocation_list(&[&left], next_year());
    renew(&proxy, &list, 1.0).await;
    assert!(!passes(&proxy, &of_left).await, "with a ticket");
    assert!(!passes(&proxy, &authority.client(Some(&left), &[])).await);
    assert!(passes(&proxy, &of_stays).await);
    proxy
        .log_says("its certificate is on a list of client_crl")
        .await;

    // A list that cannot be used leaves the one in use.
    std::fs::write(proxy.folder().join("clients.crl"), "torn").unwrap();
    let failed = [("result", "failed")];
    let reloads = "sluicegate_certificate_reloads_total";
    proxy.metric_becomes(reloads, &failed, 1.0).await;
    assert!(!passes(&proxy, &of_left).await);
    assert!(passes(&proxy, &of_stays).await);

    renew(&proxy, &authority.revocation_list(&[], next_year()), 2.0).await;
    assert!(passes(&proxy, &of_left).await, "taken back");
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_an_authority_without_a_list_are_kept_out() {
    let app = echo().await;
    let settings = Settings::new(&secured(GUARDED));
    let authority = shop(&settings);
    let second = Authority::new("second");
    let both = [authority.pem(), second.pem()].concat();
    std::fs::write(settings.folder().join("clients.pem"), both).unwrap();
    let list = authority.revocation_list(&[], next_year());
    std::fs::write(settings.folder().join("clients.crl"), &list).unwrap();
    let proxy = settings.backend("app", &app).start().await;
    let of_first = authority.client(Some(&authority.issue("first", &[])), &[]);
    let of_second = authority.client(Some(&second.issue("second", &[])), &[]);
    assert!(passes(&proxy, &of_first).await);
    assert!(!passes(&proxy, &of_second).await);
    proxy
        .log_says("client_crl has no list of the authority")
        .await;

    let both = [list, second.revocation_list(&[], next_year())].concat();
    renew(&proxy, &both, 1.0).await;
    assert!(passes(&proxy, &of_second).await);
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overdue_list_stays_in_use_and_is_reported() {
    let app = echo().await;
    let settings = Settings::new(&secured(GUARDED));
    let authority = shop(&settings);
    authority.write(settings.folder(), "clients.pem");
    let [left, stays] = ["left", "stays"].map(|name| authority.issue(name, &[]));
    let due = SystemTime::now() - Duration::from_secs(3600);
    let list = authority.revocation_list(&[&left], due);
    std::fs::write(settings.folder().join("clients.crl"), list).unwrap();
    let proxy = settings.backend("app", &app).start().await;
    assert!(!passes(&proxy, &authority.client(Some(&left), &[])).await);
    assert!(passes(&proxy, &authority.client(Some(&stays), &[])).await);
    proxy.log_says("a newer revocation list is overdue").await;
    let ready = proxy.admin("GET", "/ready", "").await.unwrap();
    assert_eq!(ready.status, 200);
    let text = ready.text();
    let due = humantime(due);
    assert!(
        text.contains("clients.crl has a revocation list whose successor was due at"),
        "{text}"
    );
    assert!(text.contains(&due), "{text}");

    renew(
        &proxy,
        &authority.revocation_list(&[&left], next_year()),
        1.0,
    )
    .await;
    let ready = proxy.admin("GET", "/ready", "").await.unwrap().text();
    assert!(!ready.contains("revocation"), "{ready}");
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_trusted_itself_can_be_revoked() {
    let app = echo().await;
    let settings = Settings::new(&secured(GUARDED));
    let authority = shop(&settings);
    // An authority that shows its own certificate, as `openssl req -x509` makes them.
    let own = Authority::new("itself");
    let pair = own.itself();
    std::fs::write(settings.folder().join("clients.pem"), own.pem()).unwrap();
    let list = own.revocation_list(&[], next_year());
    std::fs::write(settings.folder().join("clients.crl"), list).unwrap();
    let proxy = settings.backend("app", &app).start().await;
    let config = authority.client(Some(&pair), &[]);
    assert!(passes(&proxy, &config).await);
    renew(&proxy, &own.revocation_list(&[&pair], next_year()), 1.0).await;
    assert!(!passes(&proxy, &config).await);
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_openssl_wrote_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::write(at.join("ca.cnf"), OPENSSL).unwrap();
    std::fs::write(at.join("index.txt"), "").unwrap();
    let run = |arguments: String| async move { openssl(at, &arguments, "").await };
    let curve = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    let authority = format!(
        "req -x509 -config ca.cnf {curve} -keyout ca.key -out ca.pem -subj /CN=clients -days 9"
    );
    let Some(made) = run(authority).await else {
        eprintln!("passed over: openssl is not installed");
        return;
    };
    assert!(made.success, "{}", made.text);
    for name in ["left", "stays"] {
        let asked = format!(
            "req -new -config ca.cnf {curve} -keyout {name}.key -out {name}.csr -subj /CN={name}"
        );
        let signed = format!("ca -batch -config ca.cnf -in {name}.csr -out {name}.pem");
        for arguments in [asked, signed] {
            let made = run(arguments).await.unwrap();
            assert!(made.success, "{}", made.text);
        }
    }
    for arguments in ["-revoke left.pem", "-gencrl -out clients.crl"] {
        let made = run(format!("ca -config ca.cnf {arguments}")).await.unwrap();
        assert!(made.success, "{}", made.text);
    }
    let app = echo().await;
    let settings = Settings::new(&secured(GUARDED));
    let authority = shop(&settings);
    for (from, to) in [("ca.pem", "clients.pem"), ("clients.crl", "clients.crl")] {
        std::fs::copy(at.join(from), settings.folder().join(to)).unwrap();
    }
    let proxy = settings.backend("app", &app).start().await;
    for (name, expected) in [("left", false), ("stays", true)] {
        let [chain, key] = ["pem", "key"]
            .map(|end| std::fs::read_to_string(at.join(format!("{name}.{end}"))).unwrap());
        let config = authority.client(Some(&Issued { chain, key }), &[]);
        assert_eq!(passes(&proxy, &config).await, expected, "{name}");
    }
    proxy.finish().await;
}

fn humantime(time: SystemTime) -> String {
    let seconds = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    humantime::format_rfc3339_seconds(time).to_string()
}

const OPENSSL: &str = "\
[req]
distinguished_name = name
x509_extensions = authority
[name]
[authority]
basicConstraints = critical, CA:true
subjectKeyIdentifier = hash
keyUsage = critical, keyCertSign, cRLSign
[ca]
default_ca = clients
[clients]
database = index.txt
rand_serial = yes
certificate = ca.pem
private_key = ca.key
new_certs_dir = .
default_md = sha256
default_days = 9
default_crl_days = 9
policy = any
x509_extensions = client
crl_extensions = list
[any]
commonName = supplied
[client]
basicConstraints = CA:false
authorityKeyIdentifier = keyid
[list]
authorityKeyIdentifier = keyid
";
