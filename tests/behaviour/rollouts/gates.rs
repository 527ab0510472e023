//! Gates beside the usual ones: proof, users in place of requests, and the figures of a frozen rollout.

use super::{becomes, start, told, users::Asks, users::Users};
use crate::harness::{Backend, Seen, answer, answer_bytes, eventually, identity};

#[tokio::test]
async fn with_proof_a_step_ends_when_it_is_proved_and_not_before() {
    let old = Backend::start(identity("1")).await;
    let new = Backend::start(identity("2")).await;
    let rollout = r#"
        steps = [{ share = "50%", hold = "100ms" }]
        gate = { volume_min = 1, error_increase_max = "10%", proof = true }
    "#;
    let proxy = start(rollout, &old, &new).await;
    proxy.request("GET", "/", "x-user: 1\n", b"").await;
    let held = eventually("it waits for proof", || async {
        proxy.request("GET", "/", "x-user: 1\n", b"").await;
        proxy.request("GET", "/", "x-user: 2\n", b"").await;
        proxy.request("GET", "/", "x-user: 5\n", b"").await;
        let told = told(&proxy).await;
        (told["state"] == "holding").then_some(told)
    })
    .await;
    let reason = held["reason"].as_str().unwrap();
    assert!(
        reason.contains("% of the evidence that it is not worse by 10.00 %")
            || reason.contains("requests of the candidate"),
        "{reason}"
    );
    let users = Users::start(proxy.address("web"), 100, Asks::Gets);
    becomes(&proxy, "promoted").await;
    assert_eq!(users.stop().await.failed, 0);
    proxy.finish().await;
}

#[tokio::test]
async fn by_user_only_the_first_request_of_each_is_compared() {
    let old = Backend::start(identity("1")).await;
    let new = Backend::start(identity("2")).await;
    let rollout = r#"
        steps = [{ share = "50%", hold = "1h" }]
        gate = { unit = "user" }
    "#;
    let proxy = start(rollout, &old, &new).await;
    becomes(&proxy, "running").await;
    let users = Users::start(proxy.address("web"), 40, Asks::Gets);
    let told = eventually("every user asked several times", || async {
        let told = told(&proxy).await;
        let served = told["versions"]["candidate"]["served"]["requests"].as_u64();
        (served > Some(200)).then_some(told)
    })
    .await;
    users.stop().await;
    let compared = told["versions"]["candidate"]["rollout"]["requests"]
        .as_u64()
        .unwrap();
    assert!((5..=40).contains(&compared), "{compared}");
    proxy.finish().await;
}

#[tokio::test]
async fn figures_of_a_frozen_rollout_go_on() {
    let old = Backend::start(identity("1")).await;
    let new = Backend::start(|seen: &Seen| match &*seen.target {
        "/good" => answer("2"),
        _ => answer_bytes("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"),
    })
    .await;
    let rollout = r#"
        steps = [{ share = "50%", hold = "1h" }]
        on_failure = "freeze"
    "#;
    let proxy = start(rollout, &old, &new).await;
    becomes(&proxy, "running").await;
    let users = Users::start(proxy.address("web"), 40, Asks::Gets);
    let frozen = becomes(&proxy, "frozen").await;
    let requests = |told: &serde_json::Value| {
        let candidate = &told["versions"]["candidate"];
        candidate["rollout"]["requests"].as_u64().unwrap()
    };
    let then = requests(&frozen);
    eventually("the figures go on", || async {
        (requests(&told(&proxy).await) > then + 20).then_some(())
    })
    .await;
    users.stop().await;
    proxy.finish().await;
}
