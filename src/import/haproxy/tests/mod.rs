//! Usual parts of a configuration of HAProxy, one by one.

mod closed;

use std::fs;

use crate::import::{
    Dialect,
    tests::{self, has, write_certificate},
};

/// Imports a configuration; the result must be good.
fn imported(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("haproxy.cfg");
    tests::imported(Dialect::Haproxy, &path, text)
}

#[test]
fn frontends_with_rules_in_their_order_and_backends() {
    let text = imported(
        "global\n maxconn 1000\ndefaults\n mode http\n timeout connect 5s\n timeout client 30s\n timeout server 1m\n retries 2\n\
         frontend web\n bind *:80\n acl api path_beg /api/\n acl shop hdr(host) -i shop.example www.shop.example\n\
         http-request deny if { path_beg -i /private }\n use_backend api if shop api\n use_backend api if { hdr(x-api) yes } || { method PUT }\n\
         redirect prefix https://new.example code 301 if { path /old }\n default_backend app\n\
         backend app\n balance leastconn\n option httpchk GET /up\n server a 10.0.0.1:80 weight 3 check inter 2s\n server b 10.0.0.2:80 check backup\n\
         backend api\n server c 10.0.0.3:443 ssl verify none\n",
    );
    has(
        &text,
        &[
            "[listeners.http]",
            "address = \"0.0.0.0:80\"",
            "timeouts.body_idle = \"30s\"",
        ],
    );
    has(
        &text,
        &[
            "path_regex = \"(?i)^/private\"",
            "priority = 4",
            "respond.status = 403",
        ],
    );
    has(
        &text,
        &[
            "hosts = [\"shop.example\", \"www.shop.example\"]",
            "path_prefix = \"/api\"",
            "priority = 2",
            "pool = \"api\"",
        ],
    );
    has(
        &text,
        &[
            "headers.x-api = \"yes\"",
            "priority = 1",
            "methods = [\"PUT\"]",
            "priority = 1",
        ],
    );
    has(
        &text,
        &[
            "path = \"/old\"",
            "redirect.to = \"https://new.example{path}{query}\"",
            "redirect.status = 301",
        ],
    );
    has(&text, &["pool = \"app\""]);
    has(
        &text,
        &[
            "picker = \"least_requests\"",
            "health.http.path = \"/up\"",
            "{ address = \"10.0.0.1:80\", weight = 3 }, { address = \"10.0.0.2:80\", priority = 1 }",
        ],
    );
    assert!(!text.contains("NOT TRANSLATED"), "{text}");
}

#[test]
fn headers_https_and_compression() {
    let text = imported(
        "listen web\n bind :8080\n mode http\n http-request set-header X-Real-IP %[src]\n http-response set-header X-A b\n http-response del-header Server\n\
         compression algo gzip\n compression type text/html\n http-request redirect scheme https unless { ssl_fc }\n option forwardfor\n server a 10.0.0.1:80\n",
    );
    has(
        &text,
        &[
            "address = \"0.0.0.0:8080\"",
            "pool = \"web\"",
            "https_only = true",
        ],
    );
    has(
        &text,
        &[
            "headers_request.set.x-real-ip = \"{client_ip}\"",
            "headers_response.set.x-a = \"b\"",
            "headers_response.remove = [\"server\"]",
        ],
    );
    has(
        &text,
        &[
            "compress.encodings = [\"gzip\"]",
            "compress.types = [\"text/html\"]",
        ],
    );
    assert!(!text.contains("NOT TRANSLATED"), "{text}");
}

#[test]
fn what_has_no_equal_says_what_to_do() {
    let text = imported(
        "frontend web\n bind :80\n http-request deny if !{ src 10.0.0.0/8 } { dst_port 81 }\n stick-table type ip size 1m\n use_backend b if !{ path /a }\n default_backend b\nbackend b\n cookie SRV insert\n server a 10.0.0.1:80\n",
    );
    has(
        &text,
        &[
            "keeps everybody out",
            "access.deny = [\"0.0.0.0/0\", \"::/0\"]",
        ],
    );
    for (line, advice) in [
        ("use_backend b if !{ path /a }", "no negation"),
        ("stick-table", "rate_limit"),
        ("cookie SRV insert", "session = {"),
    ] {
        has(&text, &["NOT TRANSLATED haproxy.cfg:", line, advice]);
    }
}

/// Imports a frontend with these lines and a backend.
fn front(lines: &str) -> String {
    imported(&format!(
        "frontend web\n bind :80\n{lines}\n default_backend app\nbackend app\n server a 10.0.0.1:80\n"
    ))
}

#[test]
fn hosts_are_compared_as_haproxy_does() {
    for (test, wanted) in [
        ("hdr(host) -i a.example:8080", "hosts = [\"a.example\"]"),
        ("req.hdr(host),lower a.example", "hosts = [\"a.example\"]"),
        (
            "hdr(host),field(1,:) -i a.example",
            "hosts = [\"a.example\"]",
        ),
        ("hdr_end(host) .example", "hosts = [\"*.example\"]"),
        (
            "hdr_beg(host) -i a.",
            "headers.host = { regex = '(?i)^a\\.' }",
        ),
        (
            "hdr_dom(host) a.b",
            "headers.host = { regex = '(^|\\.)a\\.b($|\\.|:)' }",
        ),
        ("path_dir a b", "path_regex = \"(^|/)(a|b)(/|$)\""),
    ] {
        let text = front(&format!(" use_backend app if {{ {test} }}"));
        has(&text, &[wanted, "priority = 1", "pool = \"app\""]);
    }
    // Samples that are converted to something else are no fields.
    for test in [
        "hdr(host),map(/etc/a.map) -m found",
        "hdr(x-a),json(utf8) b",
        "path,url_dec -m beg /a",
    ] {
        let text = front(&format!(" use_backend app if {{ {test} }}"));
        has(&text, &["NOT TRANSLATED haproxy.cfg:3: use_backend app"]);
        assert!(!text.contains("headers.\""), "{text}");
    }
}

#[test]
fn a_map_of_hosts_is_a_route_for_each_line() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("hosts.map"),
        "# all\nShop.example app\nb.example  api\n",
    )
    .unwrap();
    let of = |map: &str| {
        let text = format!(
            "frontend web\n bind :80\n use_backend %[req.hdr(host),lower,{map}]\n default_backend app\n\
             backend app\n server a 10.0.0.1:80\nbackend api\n server b 10.0.0.2:80\n"
        );
        tests::imported(Dialect::Haproxy, &folder.path().join("haproxy.cfg"), &text)
    };
    let text = of("map(/etc/haproxy/hosts.map)");
    has(
        &text,
        &[
            "hosts = [\"shop.example\"]",
            "pool = \"app\"",
            "hosts = [\"b.example\"]",
            "pool = \"api\"",
        ],
    );
    let text = of("map_dom(hosts.map,api)");
    has(&text, &["hosts = [\"shop.example\", \"*.shop.example\"]"]);
    let text = of("map(missing.map)");
    has(
        &text,
        &["NOT TRANSLATED haproxy.cfg:3", "respond.status = 503"],
    );
}

#[test]
fn old_words_and_addresses_behind_a_name_are_understood() {
    let text = imported(
        "defaults\n contimeout 5000\n clitimeout 50000\n srvtimeout 7000\nlisten web 10.0.0.9:80\n server a 10.0.0.1:80\n",
    );
    has(
        &text,
        &[
            "address = \"10.0.0.9:80\"",
            "timeouts.body_idle = \"50s\"",
            "timeouts.total = \"7s\"",
            "timeouts.connect = \"5s\"",
        ],
    );
    assert!(!text.contains("listeners = []"), "{text}");
}

#[test]
fn no_line_is_lost() {
    let text = imported(
        "global\n ssl-default-bind-options ssl-min-ver TLSv1.3\n some-setting on\ndefaults\n timeout queue 3s\n errorfile 503 /a.http\n\
         frontend web\n bind :80\n bind quic4@:443 ssl crt a.pem\n stats auth admin:topsecret\n .if feature(QUIC)\n http-response add-header alt-svc h3\n .endif\n\
         http-request return status 200 content-type text/plain lf-file /a.txt if { path /a }\n default_backend app\n\
         backend app\n default-server ssl verify none inter 9s\n server a 10.0.0.1:443 check minconn 5\nbackend other\n server b 10.0.0.2:443 ssl\n",
    );
    for line in [
        "NOT TRANSLATED haproxy.cfg:3: some-setting on",
        "NOT TRANSLATED haproxy.cfg:5: timeout queue 3s",
        "NOT TRANSLATED haproxy.cfg:6: errorfile",
        "NOT TRANSLATED haproxy.cfg:9: bind quic4@",
        "NOT TRANSLATED haproxy.cfg:11: .if",
        "alt-svc h3 (nothing to do: the proxy sends it by itself",
        "the answer has no body yet",
        "minconn: limits.per_endpoint",
        "health.interval = \"9s\"",
        "no frontend of this file sends requests here",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    has(&text, &["[pools.app]", "tls.verify = false"]);
    // It is the default to verify.
    has(&text, &["[pools.other]", "tls.verify = true"]);
    assert!(
        !text.contains("topsecret") && !text.contains("access.deny"),
        "{text}"
    );
}

#[test]
fn a_frontend_that_only_redirects_is_a_route() {
    let text = imported(
        "frontend plain\n bind :80\n redirect scheme https code 301 if !{ ssl_fc }\nfrontend web\n bind :8080\n\
         http-request set-header X-Forwarded-Proto https if { ssl_fc }\n http-request set-header X-Forwarded-Host shop.example\n\
         http-request del-header x-forwarded-for\n default_backend app\nbackend app\n server a 10.0.0.1:80\n",
    );
    has(
        &text,
        &[
            "listeners = [\"http\"]",
            "redirect.to = \"https://{host}{path}{query}\"",
            "redirect.status = 301",
            "headers_request.set.x-forwarded-host = \"shop.example\"",
        ],
    );
    assert!(!text.contains("headers_request.remove"), "{text}");
}

#[test]
fn options_of_a_redirect_stand_anywhere() {
    let text = front(
        " http-request redirect code 301 location https://new.example%[path] if { hdr(host) old.example }\n redirect code 302 prefix /b if { path /a }",
    );
    has(
        &text,
        &[
            "hosts = [\"old.example\"]",
            "redirect.to = \"https://new.example{path}\"",
            "redirect.status = 301",
            "redirect.to = \"/b{path}{query}\"",
            "redirect.status = 302",
        ],
    );
    let text = front(" redirect code 301 scheme https if !{ ssl_fc }");
    has(&text, &["https_only = true"]);
}

#[test]
fn revocation_lists_go_with_the_authorities_of_clients() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("haproxy.cfg");
    let text = "frontend web\n bind :8443 ssl crt a.pem ca-file c.pem crl-file c.crl verify required\n default_backend app\n\
                backend app\n server a 10.0.0.1:80\n";
    fs::write(&path, text).unwrap();
    // Files of TLS are named, and not there.
    let text = crate::import::import(Dialect::Haproxy, &path).unwrap().text;
    has(
        &text,
        &[
            "tls.client_ca = \"c.pem\"",
            "tls.client_auth = \"required\"",
            "tls.client_crl = \"c.crl\"",
        ],
    );
}

#[test]
fn a_bind_of_quic_is_h3_of_the_listener_at_its_address() {
    let folder = tempfile::tempdir().unwrap();
    write_certificate(folder.path());
    let pem = folder.path().join("shop.pem");
    let pem = pem.display();
    let path = folder.path().join("haproxy.cfg");
    let text = format!(
        "frontend web\n bind :443 ssl crt {pem} alpn http/1.1\n bind quic4@:443 ssl crt {pem} alpn h3\n \
         bind quic4@:8443 ssl crt {pem}\n default_backend app\n\
         frontend other\n bind :444 ssl crt {pem} alpn http/1.1\n default_backend app\n\
         backend app\n server a 10.0.0.1:80\n"
    );
    let text = tests::imported(Dialect::Haproxy, &path, &text);
    has(
        &text,
        &[
            "NOT TRANSLATED haproxy.cfg:4: bind quic4@:8443",
            "at \"0.0.0.0:8443\"",
            "[listeners.https]",
            "haproxy.cfg:3: bind quic4@:443",
            "protocols = [\"http/1.1\", \"h2\", \"h3\"]",
            "[listeners.https_444]",
            "protocols = [\"http/1.1\"]",
        ],
    );
}
