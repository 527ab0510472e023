//! Certificates that Caddy gets by itself, and variables of the environment.

use super::{has, imported};
use crate::import::{
    Dialect,
    tests::{self, write_certificate},
};

#[test]
fn a_site_orders_its_certificate_where_caddy_does() {
    let text = imported(
        "{\n\temail ops@shop.example\n\tacme_ca https://ca.example/directory\n}\nshop.example, www.shop.example {\n\treverse_proxy 10.0.0.1:80\n}\n",
    );
    has(
        &text,
        &[
            "state_dir = \"state\"",
            "[listeners.https]",
            "address = \"[::]:443\"",
            "tls.acme.domains = [\"shop.example\", \"www.shop.example\"]",
            "tls.acme.contact = \"mailto:ops@shop.example\"",
            "tls.acme.directory = \"https://ca.example/directory\"",
            "[listeners.http]",
            "address = \"[::]:80\"",
            "https_only = true",
        ],
    );
    assert!(!text.contains("NOT TRANSLATED"), "{text}");
}

#[test]
fn a_certificate_that_cannot_be_ordered_is_told_with_what_to_write() {
    for (site, advice) in [
        ("*.shop.example", "orders no wildcards"),
        ("localhost", "mkcert"),
        ("10.0.0.1:443", "mkcert"),
        ("shop.example:8443", "acme = { domains"),
        (":443", "names that are listed"),
    ] {
        let text = imported(&format!("{site} {{\n\treverse_proxy 10.0.0.1:80\n}}\n"));
        has(&text, &["NOT TRANSLATED Caddyfile:1", advice, "plain HTTP"]);
    }
    let text = imported(
        "shop.example {\n\ttls {\n\t\tdns cloudflare topsecret\n\t}\n\treverse_proxy 10.0.0.1:80\n}\n",
    );
    has(
        &text,
        &["NOT TRANSLATED Caddyfile:3: dns cloudflare *** — the CA is not answered by DNS"],
    );
    assert!(!text.contains("topsecret"), "{text}");
}

#[test]
fn variables_are_read_when_the_proxy_starts_and_their_defaults_fill_the_rest() {
    let text = imported(
        "{\n\tservers {\n\t\ttrusted_proxies static private_ranges\n\t}\n}\nhttp://:{$PORT:8080} {\n\theader X-A {$VALUE:one}\n\treverse_proxy {$SERVICE:app:9000}\n}\n",
    );
    has(
        &text,
        &[
            "trusted_proxies = [\"192.168.0.0/16\", \"172.16.0.0/12\", \"10.0.0.0/8\"",
            "address = \"[::]:8080\"",
            "headers_response.set.x-a = { env = \"VALUE\", default = \"one\" }",
            "endpoints = [{ env = \"SERVICE\", default = \"app:9000\" }]",
        ],
    );
}

#[test]
fn a_log_that_is_thrown_away_logs_nothing() {
    let text = imported("http://a {\n\tlog {\n\t\toutput discard\n\t}\n\treverse_proxy :1\n}\n");
    has(&text, &["access_log = false"]);
    assert!(!text.contains("[access_log]"), "{text}");
}

#[test]
fn http3_is_on_as_in_caddy_unless_an_option_says_otherwise() {
    let imported = |options: &str| {
        let folder = tempfile::tempdir().unwrap();
        write_certificate(folder.path());
        let site = "shop.example {\n\ttls shop.pem shop.key\n\treverse_proxy localhost:9000\n}\n";
        let path = folder.path().join("Caddyfile");
        tests::imported(Dialect::Caddy, &path, &format!("{options}{site}"))
    };
    let with = "protocols = [\"http/1.1\", \"h2\", \"h3\"]";
    has(
        &imported(""),
        &["[listeners.https]", "Caddy speaks HTTP/3", with],
    );
    let servers = |of: &str, protocols: &str| {
        format!("{{\n\tservers {of} {{\n\t\tprotocols {protocols}\n\t}}\n}}\n")
    };
    let text = imported(&servers("", "h1 h2"));
    has(
        &text,
        &["protocols h1 h2", "protocols = [\"http/1.1\", \"h2\"]"],
    );
    let text = imported(&servers(":443", "h1 h2 h3"));
    has(&text, &["protocols h1 h2 h3", with]);
    let text = imported(&servers(":8443", "h1"));
    has(
        &text,
        &["protocols h1 (nothing to do", "Caddy speaks HTTP/3", with],
    );
    let text = imported(&servers("", "h3"));
    has(&text, &["NOT TRANSLATED", "protocols h3"]);
}
