//! Names and passwords.

use std::fs;

use super::{ROUTES, USERS, basic, start};
use crate::harness::{Backend, Client, answer, command, eventually};

#[tokio::test]
async fn a_password_lets_its_user_in_and_nobody_else() {
    let app = Backend::start(|_| answer("fine")).await;
    let proxy = start(ROUTES, &app).await;
    for name in ["anna", "ben", "cleo"] {
        // Twice: the second time the answer is remembered.
        for _ in 0..2 {
            let good = basic(name, "hunter2");
            let one = proxy.request("GET", "/basic/1", &good, b"").await;
            assert_eq!(one.status, 200, "{one:?}");
            assert_eq!(one.field("x-seen"), "yes");
            let line = proxy
                .logged("of the user", |line| line["user"] == *name)
                .await;
            assert_eq!(line["status"], 200);
        }
    }
    let before = app.count();
    let two_lines = format!("{}{}", basic("anna", "hunter2"), basic("ben", "hunter2"));
    for (lines, reason) in [
        (String::new(), "no Authorization"),
        (basic("anna", "hunter3"), "wrong password of user \"anna\""),
        (basic("anna", ""), "wrong password"),
        (basic("anna", "hunter2\0"), "malformed"),
        (basic("anna", &"x".repeat(2000)), "malformed"),
        (basic("mallory", "hunter2"), "no user \"mallory\""),
        (basic("", "hunter2"), "no user"),
        (basic("ANNA", "hunter2"), "no user"),
        ("authorization: Basic YW5uYQ==\n".to_owned(), "malformed"),
        ("authorization: Basic %%%\n".to_owned(), "malformed"),
        ("authorization: Basic\n".to_owned(), "scheme"),
        ("authorization: Bearer hunter2\n".to_owned(), "scheme"),
        (two_lines, "several"),
    ] {
        let refused = proxy.request("GET", "/basic/1", &lines, b"").await;
        refused.assert_failure(401, "http_request_denied");
        let challenge = "Basic realm=\"the shop\", charset=\"UTF-8\"";
        assert_eq!(refused.field("www-authenticate"), challenge);
        // The reason is not for the client. Filters before still see the answer.
        for word in ["basic", "password", "user", "scheme"] {
            assert!(!refused.text().contains(word), "{}", refused.text());
            assert!(!refused.field("proxy-status").contains(word));
        }
        let id = refused.field("x-request-id").to_owned();
        let line = proxy
            .logged("of it", |line| line["request_id"] == *id)
            .await;
        let detail = line["reason_detail"].as_str().unwrap();
        assert!(
            detail.starts_with("basic: ") && detail.contains(reason),
            "{detail}"
        );
        assert!(line["user"].is_null(), "{line}");
        let (_, why) = command(proxy.folder(), &["why", &id]);
        assert!(why.contains(reason.split('"').next().unwrap()), "{why}");
    }
    assert_eq!(app.count(), before);
    // Over HTTP/2 too.
    let mut two = proxy.h2_client().await;
    let field = basic("anna", "hunter2");
    let value = field.trim_end().split_once(": ").unwrap().1;
    let good = two
        .request("GET", "/basic/1", &[("authorization", value)], b"")
        .await;
    assert_eq!(good.unwrap().status, 200);
    let bad = two.request("GET", "/basic/1", &[], b"").await.unwrap();
    bad.assert_failure(401, "http_request_denied");
    proxy.finish().await;
}

#[tokio::test]
async fn one_client_cannot_fill_the_queue_of_passwords() {
    let app = Backend::start(|_| answer("fine")).await;
    let text = ROUTES.replace(
        "[access_log]",
        "[proxy]\ntrusted_proxies = [\"127.0.0.0/8\"]\n[access_log]",
    );
    let proxy = start(&text, &app).await;
    // A hash that takes a while.
    let slow = USERS.replace("$2y$05$", "$2y$10$");
    let before = proxy.generation().await;
    fs::write(proxy.folder().join("users"), slow).unwrap();
    proxy.generation_passes(before).await;
    let wrong = |client: &str, n: usize| {
        let lines = format!(
            "{}x-forwarded-for: {client}\n",
            basic("anna", &format!("wrong-{n}"))
        );
        let address = proxy.address("web");
        tokio::spawn(async move {
            let mut client = Client::connect(address).await;
            client.request("GET", "/basic/1", &lines, b"").await
        })
    };
    let flood: Vec<_> = (0..12).map(|n| wrong("192.0.2.1", n)).collect();
    let mut refused = 0;
    for answer in flood {
        let answer = answer.await.unwrap();
        if answer.status == 503 {
            answer.assert_failure(503, "connection_limit_reached");
            assert_eq!(answer.field("retry-after"), "1");
            refused += 1;
        } else {
            assert_eq!(answer.status, 401);
        }
    }
    assert!(refused >= 7, "{refused}");
    proxy.finish().await;
}

#[tokio::test]
async fn a_changed_file_is_taken_over_and_a_bad_one_is_not() {
    let app = Backend::start(|_| answer("fine")).await;
    let proxy = start(ROUTES, &app).await;
    let (old, new) = (basic("anna", "hunter2"), basic("dora", "hunter2"));
    assert_eq!(
        proxy.request("GET", "/basic/1", &old, b"").await.status,
        200
    );
    assert_eq!(
        proxy.request("GET", "/basic/1", &new, b"").await.status,
        401
    );
    let users = proxy.folder().join("users");
    fs::write(&users, USERS.replace("anna", "dora")).unwrap();
    eventually("the new user passes", || async {
        let got = proxy.request("GET", "/basic/1", &new, b"").await;
        (got.status == 200).then_some(())
    })
    .await;
    // The remembered answer does not outlive its user.
    assert_eq!(
        proxy.request("GET", "/basic/1", &old, b"").await.status,
        401
    );
    fs::write(&users, format!("{USERS}eve:plain-text\n")).unwrap();
    proxy.reload_fails().await;
    proxy
        .log_says("users:4: the scheme of the hash is not known")
        .await;
    assert!(!proxy.log().contains("plain-text"));
    assert_eq!(
        proxy.request("GET", "/basic/1", &new, b"").await.status,
        200
    );
    // Keys too.
    fs::write(&users, USERS).unwrap();
    let keys = proxy.folder().join("keys");
    let text = fs::read_to_string(&keys).unwrap();
    fs::write(&keys, text.replace("mobile", "tablet")).unwrap();
    eventually("the key has another name", || async {
        let key = "x-api-key: mobile-key\n";
        proxy.request("GET", "/header/1", key, b"").await;
        proxy
            .access_log()
            .iter()
            .any(|line| line["user"] == "tablet")
            .then_some(())
    })
    .await;
    proxy.finish().await;
}
