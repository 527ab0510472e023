//! Field names that servers take for those of the proxy.

use crate::harness::{Backend, Settings, answer_bytes, identity};

#[tokio::test]
async fn a_name_that_a_server_may_take_for_a_field_of_the_proxy_does_not_pass() {
    let app = Backend::start(identity("app")).await;
    let leave =
        Backend::start(|_| answer_bytes("HTTP/1.1 204 No Content\r\nx-user: anna\r\n\r\n")).await;
    let text = r#"
        [listeners.web]
        address = "$web"
        underscores = "allow"
        [routes.all]
        pool = "app"
        auth = { forward = { pool = "leave", headers = ["x-user", "x-groups"] } }
        headers_request = { set = { x-tenant = "shop" }, remove = ["x-debug"] }
        [pools.app]
        endpoints = ["$app"]
        [pools.leave]
        endpoints = ["$leave"]
    "#;
    let settings = Settings::new(text).backend("app", &app);
    let proxy = settings.backend("leave", &leave).start().await;
    let forged = [
        "x.user",
        "X_Groups",
        "x~groups",
        "x.tenant",
        "x_debug",
        "x.forwarded.for",
        "x_forwarded_proto",
        "x.forwarded.ssl",
        "x_real_ip",
    ];
    let lines: String = forged
        .iter()
        .map(|name| format!("{name}: root\n"))
        .collect();
    let lines = format!("{lines}x.other: 1\nx_other: 2\nx-users: 3\n");
    assert_eq!(proxy.request("GET", "/", &lines, b"").await.status, 200);
    let lower: Vec<String> = forged.iter().map(|name| name.to_lowercase()).collect();
    let mut fields: Vec<(&str, &str)> = lower.iter().map(|name| (&**name, "root")).collect();
    fields.extend([("x.other", "1"), ("x_other", "2"), ("x-users", "3")]);
    let mut client = proxy.h2_client().await;
    let answer = client.request("GET", "/", &fields, b"").await.unwrap();
    assert_eq!(answer.status, 200);
    let asked = leave.seen().into_iter().map(|seen| (seen, true));
    let served = app.seen().into_iter().map(|seen| (seen, false));
    for (seen, is_asked) in asked.chain(served) {
        let all = format!("{:?}", seen.fields);
        for name in forged {
            let kept = is_asked && ["x.tenant", "x_debug"].contains(&name);
            assert!(kept || !seen.fields.has(name), "{name}: {all}");
        }
        assert!(seen.fields.has("x-forwarded-for"), "{all}");
        for (name, value) in [("x.other", "1"), ("x_other", "2"), ("x-users", "3")] {
            assert_eq!(seen.fields.all(name), [value], "{name}: {all}");
        }
    }
    let seen = app.seen().pop().unwrap();
    assert_eq!(seen.fields.all("x-user"), ["anna"]);
    assert_eq!(seen.fields.all("x-tenant"), ["shop"]);
    proxy.finish().await;
}
