//! Usual parts of a configuration of HAProxy, one by one.

use crate::import::{
    Dialect,
    tests::{self, has},
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
            "priority = 3",
            "pool = \"api\"",
        ],
    );
    has(
        &text,
        &[
            "headers.x-api = \"yes\"",
            "priority = 2",
            "methods = [\"PUT\"]",
            "priority = 2",
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
    has(&text, &["address = \"0.0.0.0:8080\"", "pool = \"web\""]);
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
            "https_only = true",
        ],
    );
    assert!(!text.contains("NOT TRANSLATED"), "{text}");
}

#[test]
fn what_has_no_equal_says_what_to_do() {
    let text = imported(
        "frontend web\n bind :80\n http-request deny if !{ src 10.0.0.0/8 }\n stick-table type ip size 1m\n use_backend b if !{ path /a }\n default_backend b\nbackend b\n cookie SRV insert\n server a 10.0.0.1:80\n",
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
