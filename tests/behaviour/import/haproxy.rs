//! A configuration of HAProxy that is written anew, beside HAProxy with the same.

use std::net::SocketAddr;

use super::{ask, echo, sides::Sides};
use crate::harness::Backend;

/// A configuration as shops have it.
fn shop(listen: SocketAddr, app: &Backend, api: &Backend) -> String {
    let (app, api) = (app.address(), api.address());
    format!(
        "defaults\n mode http\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n\
         frontend web\n bind {listen}\n acl shop hdr(host) -i shop.example\n acl api path_beg /api/\n\
         \x20http-request deny if {{ path_beg /private }}\n\
         \x20http-request return status 200 content-type text/plain string exact if {{ path /exact }}\n\
         \x20http-request redirect location /new code 302 if {{ path /old }}\n\
         \x20http-request redirect prefix https://secure.example code 301 if {{ path_beg /pay }}\n\
         \x20http-request set-header X-Tenant %[req.hdr(x-who)]\n\
         \x20http-request set-header X-Real-IP %[src]\n\
         \x20http-response set-header X-Frame-Options DENY\n\
         \x20http-response del-header X-Powered-By\n\
         \x20use_backend api if shop api\n\
         \x20use_backend api if {{ hdr(x-api) yes }} || {{ method PUT }}\n\
         \x20default_backend app\n\
         backend app\n balance leastconn\n server a {app} weight 2\n\
         backend api\n server b {api}\n"
    )
}

#[tokio::test]
async fn an_imported_configuration_answers_as_haproxy_does() {
    let (app, api) = (echo("app").await, echo("api").await);
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let sides = Sides::of("haproxy", folder, |at| shop(at, &app, &api)).await;
    let text = &sides.text;
    assert!(!text.contains("NOT TRANSLATED"), "{text}");
    let passed = |name: &str, request: &str, tenant: &str| {
        format!(
            "200 {name} {request} host=shop.example real=127.0.0.1 tenant={tenant} location= frame=DENY powered= asks="
        )
    };
    let refused = |status: &str| format!("{status}  location= frame= powered= asks=");
    for (method, target, lines, wanted) in [
        ("GET", "/", "", passed("app", "GET /", "")),
        (
            "GET",
            "/a?b=c",
            "x-who: acme",
            passed("app", "GET /a?b=c", "acme"),
        ),
        (
            "GET",
            "/api/users?x=1",
            "",
            passed("api", "GET /api/users?x=1", ""),
        ),
        ("GET", "/x", "x-api: yes", passed("api", "GET /x", "")),
        ("PUT", "/x", "", passed("api", "PUT /x", "")),
        ("GET", "/private/x", "", refused("403")),
        (
            "GET",
            "/old",
            "",
            "302  location=new frame= powered= asks=".to_owned(),
        ),
        (
            "GET",
            "/pay/1?a=b",
            "",
            "301  location=https://secure.example/pay/1?a=b frame= powered= asks=".to_owned(),
        ),
        (
            "GET",
            "/exact",
            "",
            "200 exact location= frame= powered= asks=".to_owned(),
        ),
    ] {
        for at in sides.addresses() {
            let told = ask(at, method, target, lines, b"").await;
            // Whether an answer of the proxy itself has the field of a frame differs.
            let told = match told.starts_with("200 app") || told.starts_with("200 api") {
                true => told,
                false => told.replace("frame=DENY", "frame="),
            };
            assert_eq!(told, wanted, "{method} {target} {lines} at {at}\n{text}");
        }
    }
    sides.end();
}
