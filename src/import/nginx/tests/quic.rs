//! HTTP/3 of nginx: `listen … quic`, `http3` and `Alt-Svc`.

use crate::import::{
    Dialect,
    tests::{self, has, write_certificate},
};

/// Imports a server with a certificate and these lines; the result must be good.
fn imported(lines: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    write_certificate(folder.path());
    let path = folder.path().join("nginx.conf");
    let text = format!(
        "http {{ server {{\n{lines}\nssl_certificate shop.pem; ssl_certificate_key shop.key;\n\
         location / {{ proxy_pass http://10.0.0.1; }}\n}} }}"
    );
    tests::imported(Dialect::Nginx, &path, &text)
}

const H3: &str = "protocols = [\"http/1.1\", \"h2\", \"h3\"]";

#[test]
fn listen_quic_is_h3_of_the_listener_which_tells_of_it_by_itself() {
    let text = imported(
        "listen 443 ssl;\nlisten [::]:443 ssl;\nlisten 443 quic reuseport;\nlisten [::]:443 quic;\nhttp3 on;\n\
         quic_retry on;\nadd_header Alt-Svc 'h3=\":443\"; ma=86400';",
    );
    has(
        &text,
        &[
            "[listeners.https]",
            "address = \"[::]:443\"",
            "nginx.conf:4: listen 443 quic reuseport",
            "nginx.conf:6: http3 on",
            "nginx.conf:5: listen [::]:443 quic",
            H3,
        ],
    );
    has(
        &text,
        &[
            "Alt-Svc",
            "(nothing to do: the proxy sends Alt-Svc by itself",
        ],
    );
    assert!(
        !text.contains("NOT TRANSLATED") && !text.contains("alt-svc ="),
        "{text}"
    );
}

#[test]
fn quic_at_a_port_without_tls_is_told_and_nobody_is_sent_there() {
    let text = imported(
        "listen 443 ssl;\nlisten 8443 quic;\nadd_header Alt-Svc 'h3=\":8443\"; ma=86400';",
    );
    has(
        &text,
        &[
            "NOT TRANSLATED nginx.conf:3: listen 8443 quic",
            "none has 0.0.0.0:8443",
        ],
    );
    has(&text, &["NOT TRANSLATED nginx.conf:4: add_header Alt-Svc"]);
    assert!(
        !text.contains("\"h3\"]\n") && !text.contains("alt-svc ="),
        "{text}"
    );
}

#[test]
fn http3_off_a_mapped_port_and_a_server_of_quic_alone() {
    let off = imported("listen 443 ssl;\nlisten 443 quic;\nhttp3 off;");
    has(&off, &["listen 443 quic", "http3 is off"]);
    assert!(!off.contains(H3), "{off}");
    // Clients see the port of a mapping.
    let mapped = imported("listen 8443 ssl;\nlisten 8443 quic;\nadd_header Alt-Svc 'h3=\":443\"';");
    has(&mapped, &[H3]);
    has(&mapped, &["headers_response.set.alt-svc = ", "h3="]);
    let alone = imported("listen 443 quic;");
    has(
        &alone,
        &["[listeners.https]", "address = \"0.0.0.0:443\"", H3],
    );
    // Without QUIC the field is one like others.
    let other = imported("listen 443 ssl;\nadd_header Alt-Svc 'h3=\":443\"';");
    has(&other, &["add.alt-svc = "]);
}
