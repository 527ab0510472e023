//! HTTP/3 towards clients that break its rules, flood, or are slow: each is told what the standard
//! has for it, and others notice nothing.

use crate::harness::{Act, Backend, Seen, answer, answer_bytes};

use super::http3::{Offer, echo, offered};

const RULES: &str = "http3_rules.py";

#[tokio::test]
async fn each_violation_ends_the_connection_with_its_code() {
    let app = echo().await;
    let Some(offer) = Offer::start(&offered(""), &app).await else {
        return;
    };
    offer.run(RULES, "violations", &[]).await;
    offer.proxy.finish().await;
}

#[tokio::test]
async fn malformed_requests_are_answered_and_reach_no_endpoint() {
    let app = Backend::start(|seen: &Seen| match seen.target.as_str() {
        "/after" => answer("ok"),
        _ => vec![Act::Read, Act::Stall],
    })
    .await;
    let Some(offer) = Offer::start(&offered(""), &app).await else {
        return;
    };
    offer.run(RULES, "malformed", &[]).await;
    for seen in app.seen() {
        assert!(
            matches!(seen.target.as_str(), "/after" | "/length"),
            "{}",
            seen.target
        );
    }
    offer.proxy.finish().await;
}

#[tokio::test]
async fn heads_over_the_limits_are_refused_by_name() {
    let app = echo().await;
    let lines = r#"limits = { head = "2KiB", headers = 10, target = "1KiB" }"#;
    let Some(offer) = Offer::start(&offered(lines), &app).await else {
        return;
    };
    offer.run(RULES, "limits", &[]).await;
    offer.proxy.finish().await;
}

#[tokio::test]
async fn heads_and_bodies_that_are_late_are_told_so() {
    let app = Backend::start(|seen: &Seen| match seen.target.as_str() {
        "/slow-body" => vec![Act::Read],
        target => answer(target),
    })
    .await;
    let lines = r#"timeouts = { head = "300ms", body_idle = "300ms" }"#;
    let Some(offer) = Offer::start(&offered(lines), &app).await else {
        return;
    };
    offer.run(RULES, "slow_head", &[]).await;
    offer.run(RULES, "slow_body", &[]).await;
    let line = offer
        .proxy
        .logged("of the slow body", |line| line["path"] == "/slow-body")
        .await;
    assert_eq!(line["status"], 408, "{line}");
    offer.proxy.finish().await;
}

#[tokio::test]
async fn a_client_that_makes_no_room_is_cut_off() {
    let app = Backend::start(|_: &Seen| {
        let body = "x".repeat(1_000_000);
        answer_bytes(&format!(
            "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n{body}"
        ))
    })
    .await;
    let lines = r#"timeouts = { body_idle = "300ms" }"#;
    let Some(offer) = Offer::start(&offered(lines), &app).await else {
        return;
    };
    offer.run(RULES, "slow_reader", &[]).await;
    let line = offer
        .proxy
        .logged("of the large one", |line| line["path"] == "/large");
    let line = line.await;
    assert_eq!(line["protocol"], "HTTP/3.0", "{line}");
    assert!(line["bytes_out"].as_u64().unwrap() < 600_000, "{line}");
    offer.proxy.finish().await;
}

#[tokio::test]
async fn floods_end_the_connection_and_are_counted() {
    let app = Backend::start(|seen: &Seen| match seen.target.as_str() {
        "/after" => answer("ok"),
        _ => vec![Act::Stall],
    })
    .await;
    let Some(offer) = Offer::start(&offered(""), &app).await else {
        return;
    };
    offer.run(RULES, "floods", &[]).await;
    for (reason, count) in [
        ("resets", 1.0),
        ("data", 1.0),
        ("unknown", 2.0),
        ("control", 2.0),
    ] {
        let name = "sluicegate_http3_floods_total";
        let labels = [("listener", "web"), ("reason", reason)];
        let floods = offer.proxy.metric(name, &labels);
        let floods = floods.await;
        assert!((floods - count).abs() < 0.1, "{reason}: {floods}");
    }
    offer.proxy.finish().await;
}

#[tokio::test]
async fn unfinished_heads_on_all_streams_wait_for_one_another() {
    let app = echo().await;
    let Some(offer) = Offer::start(&offered(""), &app).await else {
        return;
    };
    offer.run(RULES, "many_heads", &[]).await;
    offer.proxy.finish().await;
}

#[tokio::test]
async fn noise_ends_nothing_but_its_own_connection() {
    let app = echo().await;
    let Some(offer) = Offer::start(&offered(""), &app).await else {
        return;
    };
    offer.run(RULES, "noise", &["7"]).await;
    offer.proxy.finish().await;
}

#[tokio::test]
async fn many_unfinished_handshakes_make_clients_prove_their_address() {
    let app = echo().await;
    let lines = r#"timeouts = { handshake = "20s" }"#;
    let text = format!("[proxy]\nworkers = 1\n{}", offered(lines));
    let Some(offer) = Offer::start(&text, &app).await else {
        return;
    };
    offer.run(RULES, "unfinished", &[]).await;
    let labels = [("listener", "web"), ("result", "retry")];
    let retries = offer
        .proxy
        .metric("sluicegate_tls_handshakes_total", &labels);
    assert!(retries.await > 1.5);
    offer.proxy.finish().await;
}
