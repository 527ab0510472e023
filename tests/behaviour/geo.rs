//! Countries and autonomous systems of clients: `access`, placeholders, log fields, and the files of
//! the databases.

use std::fs;
use std::path::Path;

use crate::harness::mmdb::{Value, asn, country, database};
use crate::harness::{Backend, Load, Settings, answer, command, eventually, packages, run_peer};

/// Writes a database beside a file and renames it into place, as updaters do.
fn replace(file: &Path, content: &[u8]) {
    let new = file.with_extension("new");
    fs::write(&new, content).unwrap();
    fs::rename(&new, file).unwrap();
}

fn countries() -> Vec<u8> {
    let registered = Value::Map(vec![("iso_code", Value::Text("CH"))]);
    let networks = [
        ("198.51.100.0/24", country("DE")),
        ("198.51.100.128/25", country("FR")),
        ("203.0.113.0/24", country("BR")),
        (
            "192.0.2.0/24",
            Value::Map(vec![("registered_country", registered)]),
        ),
        ("2001:db8::/32", country("DE")),
        ("2001:db8:1::/48", country("BR")),
    ];
    database("GeoLite2-Country", &networks)
}

fn systems() -> Vec<u8> {
    let networks = [
        ("198.51.100.0/24", asn(64496)),
        ("203.0.113.0/25", asn(64497)),
    ];
    database("GeoLite2-ASN", &networks)
}

/// A path, a client, and the end of the reason to refuse it; empty: it is let in.
const CASES: &[(&str, &str, &str)] = &[
    ("/home", "198.51.100.1", ""),
    ("/home", "198.51.100.129", "country FR"),
    ("/home", "203.0.113.1", "country BR"),
    ("/home", "192.0.2.1", ""),
    ("/home", "2001:db8::1", ""),
    ("/home", "2001:db8:1::1", "country BR"),
    ("/home", "::ffff:198.51.100.1", ""),
    ("/home", "::ffff:203.0.113.1", "country BR"),
    ("/home", "10.1.2.3", ""),
    ("/home", "192.168.0.1", "country not known"),
    ("/home", "fd00::1", "country not known"),
    ("/home", "127.0.0.1", "country not known"),
    ("/away", "203.0.113.1", "country BR"),
    ("/away", "198.51.100.1", ""),
    ("/away", "192.168.0.1", ""),
    ("/known", "192.168.0.1", "country not known"),
    ("/known", "198.51.100.1", ""),
    ("/asn", "198.51.100.1", ""),
    ("/asn", "203.0.113.1", "AS64497"),
    ("/asn", "203.0.113.200", ""),
    ("/asn", "2001:db8::1", ""),
    ("/all", "198.51.100.1", ""),
    ("/all", "198.51.100.7", "not allowed"),
    ("/all", "203.0.113.1", "country BR"),
];

#[tokio::test]
async fn a_client_is_let_in_by_its_country_and_its_autonomous_system() {
    let app = Backend::start(|_| answer("fine")).await;
    let settings = Settings::new(
        r#"
        [proxy]
        trusted_proxies = ["127.0.0.0/8"]
        [access_log]
        path = "access.log"
        [geo]
        country = "country.mmdb"
        asn = "asn.mmdb"
        [listeners.web]
        address = "$web"
        [routes.home]
        path = "/home"
        pool = "app"
        access = { countries = { allow = ["DE", "ch"], except = ["10.0.0.0/8"] } }
        [routes.away]
        path = "/away"
        pool = "app"
        access = { countries = { deny = ["BR"] } }
        [routes.known]
        path = "/known"
        pool = "app"
        access = { countries = { deny = ["BR"], unknown = "deny" } }
        [routes.asn]
        path = "/asn"
        pool = "app"
        access = { asns = { allow = ["AS64496"], unknown = "allow" } }
        [routes.all]
        path = "/all"
        pool = "app"
        access = { deny = ["198.51.100.7"], countries = { allow = ["DE", "FR"] }, asns = { deny = [64497] } }
        [pools.app]
        endpoints = ["$app"]
        "#,
    )
    .backend("app", &app);
    fs::write(settings.folder().join("country.mmdb"), countries()).unwrap();
    fs::write(settings.folder().join("asn.mmdb"), systems()).unwrap();
    let proxy = settings.start().await;
    for (target, client, refused) in CASES {
        let lines = format!("x-forwarded-for: {client}\n");
        let one = proxy.request("GET", target, &lines, b"").await;
        let fields = [("x-forwarded-for", *client)];
        let mut two = proxy.h2_client().await;
        let two = two.request("GET", target, &fields, b"").await.unwrap();
        for got in [one, two] {
            if refused.is_empty() {
                assert_eq!(got.status, 200, "{target} {client}: {got:?}");
                continue;
            }
            got.assert_failure(403, "http_request_denied");
            // The reason is not for the client.
            assert!(!got.text().contains("country"), "{got:?}");
            let id = got.field("x-request-id").to_owned();
            let of_refusal = |line: &serde_json::Value| line["request_id"] == *id;
            let line = proxy.logged("of a refusal", of_refusal).await;
            let detail = line["reason_detail"].as_str().unwrap();
            assert!(detail.ends_with(*refused), "{target} {client}: {detail}");
        }
    }
    let question = ["explain", "GET", "http://a/home", "--source", "203.0.113.1"];
    let (_, told) = command(proxy.folder(), &question);
    let refusal = "refused: 403, access: 203.0.113.1 is not allowed: country BR";
    assert!(told.contains(refusal), "{told}");
    proxy.finish().await;
}

#[tokio::test]
async fn headers_and_log_lines_tell_where_a_client_is() {
    let app = Backend::start(|_| answer("fine")).await;
    let settings = Settings::new(
        r#"
        [proxy]
        trusted_proxies = ["127.0.0.0/8"]
        [access_log]
        path = "access.log"
        fields = { add = { country = "geo.country", asn = "geo.asn" } }
        [geo]
        country = "country.mmdb"
        asn = "asn.mmdb"
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        headers_request = { set = { x-country = "{geo.country}", x-asn = "AS{geo.asn}" } }
        headers_response = { set = { x-told = "{geo.country}-{geo.asn}" } }
        [pools.app]
        endpoints = ["$app"]
        "#,
    )
    .backend("app", &app);
    fs::write(settings.folder().join("country.mmdb"), countries()).unwrap();
    fs::write(settings.folder().join("asn.mmdb"), systems()).unwrap();
    let proxy = settings.start().await;
    for (client, country, asn) in [
        ("198.51.100.1", "DE", "64496"),
        ("192.0.2.1", "CH", ""),
        ("10.0.0.1", "", ""),
    ] {
        // What a client says of itself does not count.
        let lines = format!("x-forwarded-for: {client}\nx-country: XX\nx-asn: AS1\n");
        let got = proxy.request("GET", "/", &lines, b"").await;
        assert_eq!(got.field("x-told"), format!("{country}-{asn}"));
        let request = app.seen().pop().unwrap();
        assert_eq!(request.field("x-country"), country);
        assert_eq!(request.field("x-asn"), format!("AS{asn}"));
        let id = got.field("x-request-id").to_owned();
        let of_request = |line: &serde_json::Value| line["request_id"] == *id;
        let line = proxy.logged("of the request", of_request).await;
        let told = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        assert_eq!((told("country"), told("asn")), (country.into(), asn.into()));
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a_database_is_replaced_under_load_and_a_bad_one_leaves_the_last_good_one() {
    let app = Backend::start(|_| answer("fine")).await;
    let settings = Settings::new(
        r#"
        [proxy]
        trusted_proxies = ["127.0.0.0/8"]
        [geo]
        country = "country.mmdb"
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        access = { countries = { allow = ["DE"], unknown = "allow" } }
        [pools.app]
        endpoints = ["$app"]
        "#,
    )
    .backend("app", &app);
    let file = settings.folder().join("country.mmdb");
    fs::write(&file, countries()).unwrap();
    let proxy = settings.start().await;
    let status = async |client: &str| {
        let lines = format!("x-forwarded-for: {client}\n");
        proxy.request("GET", "/", &lines, b"").await.status
    };
    assert_eq!(status("198.51.100.1").await, 200);
    assert_eq!(status("203.0.113.1").await, 403);
    let load = Load::start(proxy.address("web"), 2, 1, |_| ("GET", "/".to_owned(), b""));
    let moved = [
        ("198.51.100.0/24", country("BR")),
        ("203.0.113.0/24", country("DE")),
    ];
    let moved = database("GeoLite2-Country", &moved);
    replace(&file, &moved);
    eventually("the new database counts", || async {
        (status("203.0.113.1").await == 200).then_some(())
    })
    .await;
    assert_eq!(status("198.51.100.1").await, 403);
    load.goes_on(50).await;
    for (content, message) in [
        (
            &moved[..moved.len() / 2],
            "it is no database in the format MMDB",
        ),
        (b"", "it is no database in the format MMDB"),
        (
            &systems(),
            "the database has no countries: it is of the type \"GeoLite2-ASN\"",
        ),
    ] {
        let told = proxy.log().matches(message).count();
        replace(&file, content);
        proxy.reload_fails().await;
        eventually("the log says why", || async {
            (proxy.log().matches(message).count() > told).then_some(())
        })
        .await;
        assert_eq!(status("203.0.113.1").await, 200);
        assert_eq!(status("198.51.100.1").await, 403);
    }
    replace(&file, &countries());
    eventually("a good database counts again", || async {
        (status("198.51.100.1").await == 200).then_some(())
    })
    .await;
    load.goes_on(50).await;
    load.stop().await.assert_clean();
    proxy.finish().await;
}

#[tokio::test]
async fn it_reads_a_database_as_the_providers_own_reader_does() {
    let Some(packages) = packages() else { return };
    if !Path::new(&packages).join("maxminddb").is_dir() {
        eprintln!("passed over: the Python packages have no maxminddb; tests/run installs it");
        return;
    }
    let app = Backend::start(|_| answer("fine")).await;
    let settings = Settings::new(
        r#"
        [proxy]
        trusted_proxies = ["127.0.0.0/8"]
        [geo]
        country = "both.mmdb"
        asn = "both.mmdb"
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        headers_response = { set = { x-told = "{geo.country}-{geo.asn}" } }
        [pools.app]
        endpoints = ["$app"]
        "#,
    )
    .backend("app", &app);
    let path = |name: &str| settings.folder().join(name).display().to_string();
    run_peer(&packages, "mmdb.py", &[path("both.mmdb"), path("found")]).await;
    let found = fs::read_to_string(path("found")).unwrap();
    let proxy = settings.start().await;
    let mut client = proxy.client().await;
    let mut count = 0;
    for line in found.lines() {
        let (address, expected) = line.split_once(' ').unwrap();
        let lines = format!("x-forwarded-for: {address}\n");
        let got = client.request("GET", "/", &lines, b"").await;
        assert_eq!(got.field("x-told"), expected, "{address}");
        count += 1;
    }
    assert!(count >= 1000, "{count}");
    proxy.finish().await;
}
