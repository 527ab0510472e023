//! A configuration of HAProxy that is written anew, beside HAProxy with the same.

use std::{fs, net::SocketAddr};

use super::{Other, ask, command, echo, started};
use crate::harness::{Backend, Port};

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
    let (port, peer) = (Port::take(), Port::take());
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let written = shop(port.address(), &app, &api);
    fs::write(folder.join("haproxy.cfg"), &written).expect("written");
    let theirs = shop(peer.address(), &app, &api);
    fs::write(folder.join("peer.cfg"), theirs).expect("written");
    let (code, text) = command(folder, &["import", "haproxy", "haproxy.cfg"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(!text.contains("NOT TRANSLATED"), "{text}");
    fs::write(folder.join("imported.toml"), &text).expect("written");
    let (code, checked) = command(folder, &["check", "--offline", "imported.toml"]);
    assert_eq!(code, Some(0), "{checked}\n{text}");
    let proxy = started(&text, port.address()).await;
    let arguments = ["-db", "-f", "peer.cfg"];
    let haproxy = Other::start("haproxy", folder, &arguments, peer.address()).await;
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
        for at in [
            Some(port.address()),
            haproxy.as_ref().map(|_| peer.address()),
        ] {
            let Some(at) = at else { continue };
            let told = ask(at, method, target, lines, b"").await;
            // Whether an answer of the proxy itself has the field of a frame differs.
            let told = match told.starts_with("200 app") || told.starts_with("200 api") {
                true => told,
                false => told.replace("frame=DENY", "frame="),
            };
            assert_eq!(told, wanted, "{method} {target} {lines} at {at}\n{text}");
        }
    }
    drop(haproxy);
    drop(proxy);
}
