//! An answer that is cut short or makes no sense is never made to look whole.

use crate::harness::{Act, Backend, End, H2Fault, Settings, answer, answer_bytes};

const ALL: &str = r#"
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "app"
    [pools.app]
    endpoints = ["$app"]
"#;

const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

#[tokio::test]
async fn a_body_cut_short_is_never_ended_cleanly() {
    let app = Backend::start(|seen| {
        let (bytes, end) = match seen.target.as_str() {
            "/length-closed" => (
                "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".to_owned(),
                Act::Close,
            ),
            "/length-reset" => (
                "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".to_owned(),
                Act::Reset,
            ),
            "/chunked-closed" => (format!("{CHUNKED}4\r\nhalf\r\n"), Act::Close),
            "/chunk-closed" => (format!("{CHUNKED}8\r\nhalf"), Act::Close),
            "/chunked-reset" => (format!("{CHUNKED}4\r\nhalf\r\n"), Act::Reset),
            "/bad-size" => (format!("{CHUNKED}4\r\nhalf\r\nxyz\r\n"), Act::Stall),
            "/trailers-closed" => (format!("{CHUNKED}4\r\nhalf\r\n0\r\nx-a: b\r\n"), Act::Close),
            other => panic!("{other}"),
        };
        vec![Act::Read, Act::Send(bytes.into_bytes()), end]
    })
    .await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut h2 = proxy.h2_client().await;
    for target in [
        "/length-closed",
        "/length-reset",
        "/chunked-closed",
        "/chunk-closed",
        "/chunked-reset",
        "/bad-size",
        "/trailers-closed",
    ] {
        let mut client = proxy.client().await;
        client
            .send(format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n"))
            .await;
        match client.try_answer_to("GET").await {
            Ok(answer) if answer.status == 200 => {
                assert_ne!(answer.end, End::Complete, "{target}: {answer:?}");
            }
            // Nothing had been relayed yet: then a plain 502 is as good.
            Ok(answer) => assert_eq!(answer.status, 502, "{target}: {answer:?}"),
            Err(_) => {}
        }
        match h2.get(target).await {
            Ok(answer) if answer.status == 200 => {
                assert_eq!(answer.end, End::Reset, "{target} over HTTP/2");
            }
            Ok(answer) => assert_eq!(answer.status, 502, "{target} over HTTP/2"),
            Err(fault) => assert!(matches!(fault, H2Fault::Reset(_)), "{target}: {fault:?}"),
        }
        assert!(
            h2.is_open(),
            "{target}: only the stream ends, not the connection"
        );
    }
    let line = proxy
        .logged("of a cut answer", |l| l["path"] == "/length-closed")
        .await;
    assert_eq!(line["reason"], "http_response_incomplete", "{line}");
}

#[tokio::test]
async fn an_endpoint_that_says_more_than_it_announced_is_not_asked_again_on_that_connection() {
    let app = Backend::start(|seen| match seen.target.as_str() {
        "/more" => answer_bytes(
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\
             content-length: 6\r\n\r\npoison",
        ),
        _ => answer("clean"),
    })
    .await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut client = proxy.client().await;
    for _ in 0..5 {
        assert_eq!(client.get("/more").await.text(), "ok");
        assert_eq!(client.get("/next").await.text(), "clean");
    }
    for seen in app.seen() {
        assert!(
            seen.target == "/more"
                || seen.turn == 0
                || app.seen().iter().all(|other| {
                    other.connection != seen.connection
                        || other.target != "/more"
                        || other.turn > seen.turn
                }),
            "a poisoned connection was used again"
        );
    }
    proxy.finish().await;
}

#[tokio::test]
async fn an_endpoint_that_answers_nonsense_is_a_502() {
    let app = Backend::start(|seen| {
        answer_bytes(match seen.target.as_str() {
            "/garbage" => "SSH-2.0-OpenSSH_9.2\r\n\r\n",
            "/both" => "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            "/lengths" => "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nabc",
            "/folded" => "HTTP/1.1 200 OK\r\nx-a: b\r\n c\r\ncontent-length: 0\r\n\r\n",
            "/coding" => "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
            "/name" => "HTTP/1.1 200 OK\r\nx a: b\r\ncontent-length: 0\r\n\r\n",
            "/status" => "HTTP/1.1 2000 OK\r\ncontent-length: 0\r\n\r\n",
            "/switch" => "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
            other => panic!("{other}"),
        })
    })
    .await;
    let proxy = Settings::new(&format!("{ALL}\nejection = false"))
        .backend("app", &app)
        .start()
        .await;
    for target in [
        "/garbage", "/both", "/lengths", "/folded", "/coding", "/name", "/status",
    ] {
        let answer = proxy.request("POST", target, "", b"").await;
        answer.assert_failure(502, "http_protocol_error");
    }
    let answer = proxy.request("POST", "/switch", "", b"").await;
    assert_eq!(
        answer.status, 502,
        "a switch that nobody asked for: {answer:?}"
    );
    proxy.finish().await;
}

#[tokio::test]
async fn a_get_that_is_answered_with_nonsense_goes_to_another_endpoint() {
    let nonsense = Backend::start(|seen| match seen.target.as_str() {
        "/large" => {
            let line = format!("x-{}: {}\r\n", "a".repeat(100), "b".repeat(8000));
            let head = format!("HTTP/1.1 200 OK\r\n{}\r\n", line.repeat(60));
            answer_bytes(&head)
        }
        _ => answer_bytes("SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    })
    .await;
    let well = Backend::start(|_| answer("well")).await;
    let text = ALL.replace("[\"$app\"]", "[\"$app\", \"$well\"]");
    for on in ["", "on = [\"502\"]", "on = [\"5xx\"]", "on = [\"reset\"]"] {
        let text = text.replace(
            "pool = \"app\"",
            &format!("pool = \"app\"\nretry = {{ {on} }}"),
        );
        let proxy = Settings::new(&format!("{text}\nejection = false"))
            .backend("app", &nonsense)
            .backend("well", &well)
            .start()
            .await;
        let before = nonsense.count();
        for target in ["/large", "/large", "/garbage", "/garbage"] {
            let answer = proxy.get(target).await;
            assert_eq!(answer.text(), "well", "{on} {target}: {answer:?}");
        }
        assert!(nonsense.count() > before, "it was asked");
        proxy.finish().await;
    }
}

#[tokio::test]
async fn an_answer_head_without_end_is_a_502_with_its_own_word() {
    let app = Backend::start(|_| {
        let line = format!("x-{}: {}\r\n", "a".repeat(100), "b".repeat(8000));
        let head = format!("HTTP/1.1 200 OK\r\n{}\r\n", line.repeat(60));
        vec![Act::Read, Act::Send(head.into_bytes()), Act::Stall]
    })
    .await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let answer = proxy.request("POST", "/", "", b"").await;
    answer.assert_failure(502, "http_response_header_section_size");
    proxy.finish().await;
}
