//! HTTP/3 of entry points.

use super::imported;
use crate::import::tests::has;

#[test]
fn http3_of_an_entry_point_is_h3_where_it_speaks_tls() {
    let of = |http3: &str, tls: &str| {
        imported(
            "all.yml",
            &format!(
                "entryPoints:\n  websecure:\n    address: ':443'\n    http3: {http3}\n\
                 tls:\n  certificates:\n  - {{certFile: shop.pem, keyFile: shop.key}}\n\
                 http:\n  routers:\n    a: {{rule: 'Host(`shop.example`)', service: a, entryPoints: [websecure]{tls}}}\n  \
                 services:\n    a: {{loadBalancer: {{servers: [{{url: 'http://10.0.0.1:80'}}]}}}}\n"
            ),
        )
    };
    let with = "protocols = [\"http/1.1\", \"h2\", \"h3\"]";
    let text = of("{}", ", tls: {}");
    has(&text, &["[listeners.websecure]", "http3", with]);
    assert!(!text.contains("NOT TRANSLATED"), "{text}");
    let text = of("{advertisedPort: 443}", ", tls: {}");
    has(&text, &["advertisedPort", with]);
    assert!(!text.contains("NOT TRANSLATED"), "{text}");
    let text = of("{advertisedPort: 8443}", ", tls: {}");
    has(&text, &[with, "NOT TRANSLATED", "alt-svc = 'h3=\":8443\""]);
    let text = of("{}", "");
    has(&text, &["NOT TRANSLATED", "HTTP/3 needs TLS"]);
}

#[test]
fn an_entry_point_that_stands_in_another_file_may_speak_http3() {
    let text = imported(
        "dynamic.yml",
        "http:\n  routers:\n    a: {rule: 'Host(`shop.example`)', service: a, entryPoints: [websecure], tls: {}}\n  \
         services:\n    a: {loadBalancer: {servers: [{url: 'http://10.0.0.1:80'}]}}\n\
         tls:\n  certificates:\n  - {certFile: shop.pem, keyFile: shop.key}\n",
    );
    has(
        &text,
        &[
            "stands in the static configuration",
            "If it has http3 there: protocols = [\"http/1.1\", \"h2\", \"h3\"]",
        ],
    );
}
