//! Users do not get what is for others.

use std::fs;

use super::numbered;
use crate::harness::{Backend, Settings, answer_bytes};

/// Two keys: `one` and `two`.
const KEYS: &str = "one sha256:7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed
two sha256:3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3
";

#[tokio::test]
async fn users_whom_the_route_lets_in_share_only_what_says_so() {
    for (fields, key, expected) in [
        ("cache-control: max-age=60\r\n", "", ["1", "2", "3", "4"]),
        (
            "cache-control: max-age=60, public\r\n",
            "",
            ["1", "1", "1", "1"],
        ),
        (
            "cache-control: s-maxage=60\r\n",
            "key = { headers = [\"x-user\"] }",
            ["1", "2", "1", "2"],
        ),
    ] {
        let app = Backend::start(numbered(fields)).await;
        let config = format!(
            r#"
            [listeners.web]
            address = "$web"
            [routes.all]
            pool = "app"
            auth = {{ api_key = {{ header = "x-api-key", file = "keys" }} }}
            headers_request = {{ set = {{ x-user = "{{auth.user}}" }} }}
            cache = {{ {key} }}
            [pools.app]
            endpoints = ["$app"]
            "#
        );
        let settings = Settings::new(&config).backend("app", &app);
        fs::write(settings.folder().join("keys"), KEYS).unwrap();
        let proxy = settings.start().await;
        for (user, number) in ["one", "two", "one", "two"].into_iter().zip(expected) {
            let lines = format!("x-api-key: {user}\n");
            let answer = proxy.request("GET", "/", &lines, b"").await;
            assert_eq!(answer.text(), format!("answer {number}"), "{fields} {user}");
        }
        let before = app.count();
        let refused = proxy.get("/").await;
        assert_eq!((refused.status, app.count()), (401, before));
        proxy.finish().await;
    }
}

#[tokio::test]
async fn a_user_of_a_split_never_gets_the_answer_of_another_pool() {
    let fresh = |name: &'static str| {
        move |_: &crate::harness::Seen| {
            answer_bytes(&format!(
                "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncache-control: max-age=60\r\n\r\n{name}"
            ))
        }
    };
    let (a, b) = (
        Backend::start(fresh("a")).await,
        Backend::start(fresh("b")).await,
    );
    let config = r#"
        [listeners.web]
        address = "$web"
        [routes.all]
        split = { a = 50, b = 50 }
        pin = { by = "header:x-user" }
        cache = {}
        [pools.a]
        endpoints = ["$a"]
        [pools.b]
        endpoints = ["$b"]
    "#;
    let proxy = Settings::new(config)
        .backend("a", &a)
        .backend("b", &b)
        .start()
        .await;
    let mut first = Vec::new();
    for round in 0..2 {
        for user in 0..20 {
            let lines = format!("x-user: u{user}\n");
            let answer = proxy.request("GET", "/", &lines, b"").await.text();
            match round {
                0 => first.push(answer),
                _ => assert_eq!(answer, first[user], "user {user}"),
            }
        }
    }
    assert!(first.contains(&"a".into()) && first.contains(&"b".into()));
    assert_eq!((a.count(), b.count()), (1, 1));
    proxy.finish().await;
}
