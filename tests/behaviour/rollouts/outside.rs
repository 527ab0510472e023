//! Rollouts and the world outside: clients that mean harm, and a webhook.

use std::time::Duration;

use serde_json::Value;

use super::{
    becomes, order, start, text, told,
    users::{Asks, Users},
};
use crate::harness::{Act, Backend, Seen, Settings, answer_bytes, command, eventually, identity};

#[tokio::test]
async fn deadlines_of_clients_and_their_slow_uploads_count_for_nobody() {
    let slow = |version: &'static str| {
        move |seen: &Seen| match seen.target.as_str() {
            "/slow" => vec![
                Act::Read,
                Act::Pause(Duration::from_millis(600)),
                Act::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec()),
            ],
            _ => identity(version)(seen),
        }
    };
    let old = Backend::start(slow("1")).await;
    let new = Backend::start(slow("2")).await;
    let deadlines = r#"
        steps = [{ share = "50%", hold = "1h" }]
        gate = { volume_min = 30, latency = { quantile = 0.9, ratio_max = 1.5 } }
        [routes.slow]
        path_prefix = "/slow"
        rollout = "orders"
        timeouts = { from_client = true }
    "#;
    let proxy = start(deadlines, &old, &new).await;
    becomes(&proxy, "running").await;
    // The attacker asks for the candidate; honest users go on beside him.
    let users = Users::start(proxy.address("web"), 50, Asks::Gets);
    let lines = "x-user: attacker\nx-canary: always\nx-request-timeout-ms: 20\n";
    for _ in 0..30 {
        let answer = proxy.request("GET", "/slow", lines, b"").await;
        assert_eq!(answer.status, 504, "{answer:?}");
    }
    for _ in 0..12 {
        let mut client = proxy.raw_client().await;
        let head = "POST / HTTP/1.1\r\nhost: a\r\nx-user: attacker\r\nx-canary: always\r\n\
                    content-length: 2\r\n\r\n1";
        client.send(head).await;
        tokio::time::sleep(Duration::from_millis(40)).await;
        client.send("2").await;
        assert_eq!(client.answer().await.status, 200);
    }
    let told = told(&proxy).await;
    assert_eq!(told["state"], "running", "{told}");
    assert_eq!(
        told["versions"]["candidate"]["rollout"]["failures"], 0,
        "{told}"
    );
    assert_eq!(users.stop().await.failed, 0);
    proxy.finish().await;
}

#[tokio::test]
async fn a_webhook_is_told_of_each_change_and_asked_again_if_it_fails() {
    let old = Backend::start(identity("1")).await;
    let new = Backend::start(identity("2")).await;
    let hook = Backend::start(|seen| {
        // The first message is refused once.
        let first = seen.connection == 0 && seen.turn == 0;
        let status = if first { "503 Busy" } else { "204 No Content" };
        answer_bytes(&format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n"))
    })
    .await;
    let notify = r#"
        steps = []
        watch = "1h"
        notify = { webhook = "http://$hook/told?by=proxy", token = "of-the-hook" }
    "#;
    let settings = Settings::new(&text(notify));
    let settings = settings.backend("old", &old).backend("new", &new);
    let proxy = settings.address("hook", hook.address()).start().await;
    becomes(&proxy, "running").await;
    eventually("the message", async || (hook.count() == 2).then_some(())).await;
    assert_eq!(order(&proxy, "abort").await.1["state"], "rolled_back");
    eventually("the second message", async || {
        (hook.count() == 3).then_some(())
    })
    .await;
    let seen = hook.seen();
    assert_eq!(seen[0].body, seen[1].body, "the same again");
    for (message, to) in [(&seen[1], "running"), (&seen[2], "rolled_back")] {
        assert_eq!(message.method, "POST");
        assert_eq!(message.target, "/told?by=proxy");
        assert_eq!(message.field("authorization"), "Bearer of-the-hook");
        assert_eq!(message.field("content-type"), "application/json");
        let told: Value = serde_json::from_slice(&message.body).unwrap();
        assert_eq!(
            (&told["rollout"], &told["to"]),
            (&"orders".into(), &to.into())
        );
        assert!(told["candidate"].is_object(), "{told}");
    }
    assert!(!proxy.log().contains("of-the-hook"));
    proxy.finish().await;
}

#[tokio::test]
async fn a_promoted_version_without_an_endpoint_is_told() {
    let old = Backend::start(identity("1")).await;
    let new = Backend::start(identity("2")).await;
    let proxy = start(r#"steps = [{ share = "25%", hold = "1h" }]"#, &old, &new).await;
    becomes(&proxy, "running").await;
    let (status, told) = order(&proxy, "promote").await;
    assert_eq!(status, 200, "{told}");
    becomes(&proxy, "promoted").await;
    let status = || command(proxy.folder(), &["status"]).1;
    let line = "! rollout orders: it is promoted, but no endpoint of pool orders with version ^2";
    assert!(!status().contains("! rollout"), "{}", status());

    let address = new.address();
    let change = async |what: &str| {
        let path = format!("/pools/orders/endpoints/{address}/{what}");
        let token = "authorization: Bearer 0123456789\n";
        let answer = proxy.admin("POST", &path, token).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    change("drain").await;
    eventually("the line", async || status().contains(line).then_some(())).await;
    assert_eq!(proxy.get("/").await.text(), "1");
    change("enable").await;
    eventually("no line", async || {
        (!status().contains("! rollout")).then_some(())
    })
    .await;
    proxy.finish().await;
}
