//! An OCSP response is stapled to its certificate while it is valid.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::harness::{Authority, Issued, Proxy, Says, Settings, eventually, look, ocsp_response};
use crate::tls_openssl::{openssl, s_client};

const STAPLED: &str = r#"
    [listeners.web]
    address = "$web"
    [listeners.web.tls]
    certificates = [{ chain = "a.pem", key = "a.key", ocsp = "a.ocsp" }]
    [routes.all]
    respond = { }
"#;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Returns the response stapled in a handshake; empty if there is none.
async fn stapled(to: SocketAddr, authority: &Authority) -> Vec<u8> {
    look(to, authority, "shop.example").await.unwrap().stapled
}

/// Puts a response in place, whole.
fn put(folder: &Path, response: &[u8]) {
    fs::write(folder.join("a.ocsp.new"), response).unwrap();
    fs::rename(folder.join("a.ocsp.new"), folder.join("a.ocsp")).unwrap();
}

fn tomorrow() -> SystemTime {
    SystemTime::now() + DAY
}

/// A certificate in the folder, and a response about it that counts until then.
fn shop(settings: &Settings, until: SystemTime) -> (Authority, Issued, Vec<u8>) {
    let authority = Authority::new("test authority");
    let issued = authority.issue("shop", &["shop.example"]);
    issued.write(settings.folder(), "a");
    let response = ocsp_response(&issued, Says::Good, until);
    put(settings.folder(), &response);
    (authority, issued, response)
}

async fn reloads(proxy: &Proxy, result: &str, count: f64) {
    let metric = "sluicegate_certificate_reloads_total";
    proxy
        .metric_becomes(metric, &[("result", result)], count)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_is_stapled_and_a_renewed_one_follows_it() {
    let settings = Settings::new(STAPLED);
    let (authority, issued, first) = shop(&settings, tomorrow());
    let proxy = settings.start().await;
    let web = proxy.address("web");
    assert!(stapled(web, &authority).await == first);
    let second = ocsp_response(&issued, Says::Good, tomorrow() + DAY);
    assert!(first != second);
    put(proxy.folder(), &second);
    reloads(&proxy, "succeeded", 1.0).await;
    assert!(stapled(web, &authority).await == second);
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_response_that_is_of_no_use_leaves_the_old_one_in_use() {
    let settings = Settings::new(STAPLED);
    let (authority, issued, first) = shop(&settings, tomorrow());
    let proxy = settings.start().await;
    let other = authority.issue("other", &["other.example"]);
    let yesterday = SystemTime::now() - DAY;
    let bad = [
        (b"torn".to_vec(), "is malformed"),
        (
            ocsp_response(&other, Says::Good, tomorrow()),
            "is not about this certificate",
        ),
        (
            ocsp_response(&issued, Says::Revoked, tomorrow()),
            "was revoked at 1970-01-01T00:00:00Z",
        ),
        (
            ocsp_response(&issued, Says::Unknown, tomorrow()),
            "is not known",
        ),
        (ocsp_response(&issued, Says::Good, yesterday), "ran out at"),
    ];
    for (count, (response, words)) in (1_u8..).zip(&bad) {
        put(proxy.folder(), response);
        reloads(&proxy, "failed", f64::from(count)).await;
        proxy.log_says(words).await;
        let log = proxy.log();
        let told = log.lines().filter(|line| line.contains(words));
        assert!(told.count() == 1, "{words}: {log}");
        let shown = stapled(proxy.address("web"), &authority).await;
        assert!(shown == first, "{words}");
    }
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_runs_out_is_not_stapled_any_more() {
    let settings = Settings::new(STAPLED);
    let (authority, issued, _) = shop(&settings, tomorrow());
    let proxy = settings.start().await;
    let web = proxy.address("web");
    let short = ocsp_response(&issued, Says::Good, SystemTime::now() + PATIENCE);
    put(proxy.folder(), &short);
    reloads(&proxy, "succeeded", 1.0).await;
    eventually("nothing is stapled", || async {
        stapled(web, &authority).await.is_empty().then_some(())
    })
    .await;
    eventually("it is told", || async {
        let events = proxy
            .admin("GET", "/events", "accept: application/json\n")
            .await?;
        events.text().contains("not_stapled").then_some(())
    })
    .await;
    proxy.log_says("nothing is stapled to a certificate").await;
    // A renewed one takes its place.
    let long = ocsp_response(&issued, Says::Good, tomorrow());
    put(proxy.folder(), &long);
    reloads(&proxy, "succeeded", 2.0).await;
    assert!(stapled(web, &authority).await == long);
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_with_a_response_that_has_run_out_serves_without_it() {
    let settings = Settings::new(STAPLED);
    let (authority, ..) = shop(&settings, SystemTime::now() - DAY);
    let proxy = settings.start().await;
    assert!(stapled(proxy.address("web"), &authority).await.is_empty());
    proxy
        .log_says("it is not shown to clients until it is renewed")
        .await;
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_finds_its_own_response_stapled_over_both_versions() {
    let settings = Settings::new(STAPLED);
    let folder = settings.folder();
    let authority = Authority::new("test authority");
    let issued = authority.issue("shop", &["shop.example"]);
    issued.write(folder, "a");
    authority.write(folder, "ca.pem");
    authority.write_key(folder, "ca.key");
    let serial = issued.serial();
    let line = format!("V\t45000101000000Z\t\t{serial}\tunknown\t/CN=shop\n");
    fs::write(folder.join("index"), line).unwrap();
    let arguments = format!(
        "ocsp -index index -CA ca.pem -rsigner ca.pem -rkey ca.key -issuer ca.pem \
         -serial 0x{serial} -no_nonce -ndays 1 -noverify -respout a.ocsp"
    );
    let made = openssl(folder, &arguments, "");
    let Some(made) = made.await else { return };
    assert!(made.success, "{}", made.text);
    let proxy = settings.start().await;
    for version in ["-tls1_2", "-tls1_3"] {
        let options = format!("{version} -status");
        let ran = s_client(proxy.folder(), proxy.address("web"), &options).await;
        let text = ran.unwrap().text;
        for words in [
            "OCSP Response Status: successful",
            "Cert Status: good",
            "Verify return code: 0 (ok)",
        ] {
            assert!(text.contains(words), "{version}, {words}: {text}");
        }
        let ran = s_client(proxy.folder(), proxy.address("web"), version).await;
        let text = ran.unwrap().text;
        assert!(
            !text.contains("OCSP Response Status"),
            "not asked for: {text}"
        );
    }
    proxy.finish().await;
}

/// Longer than it takes to see two looks at the files.
const PATIENCE: Duration = Duration::from_secs(8);
