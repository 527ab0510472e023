//! The harness against itself, without a proxy between: what the behaviour
//! tests conclude from must be true.

use crate::harness::{Act, Backend, Client, End, H2Act, H2Backend, H2Client, H2Fault, Load};
use crate::harness::{Gate, answer, answer_bytes, h2_answer, identity};

#[tokio::test]
async fn a_backend_records_what_the_client_sent() {
    let backend = Backend::start(identity("a")).await;
    let mut client = Client::connect(backend.address()).await;
    let answer = client
        .request("POST", "/x?y=%2f", "x-one: 1\nx-one: 2", b"hello")
        .await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "a"));
    let second = client.get("/second").await;
    assert_eq!(second.end, End::Complete);
    let seen = backend.seen();
    assert_eq!(seen[0].method, "POST");
    assert_eq!(seen[0].target, "/x?y=%2f");
    assert_eq!(seen[0].fields.all("X-One"), ["1", "2"]);
    assert_eq!(seen[0].body, b"hello");
    assert_eq!((seen[1].connection, seen[1].turn), (0, 1));
    assert_eq!(backend.connections(), 1);
}

#[tokio::test]
async fn each_way_to_misbehave_is_seen_by_the_client() {
    let backend = Backend::start(|seen| match seen.target.as_str() {
        "/reset" => vec![Act::Read, Act::Reset],
        "/close" => vec![Act::Read, Act::Close],
        "/half" => vec![
            Act::Read,
            Act::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".to_vec()),
            Act::Close,
        ],
        "/chunks" => vec![
            Act::Read,
            Act::Send(
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n".to_vec(),
            ),
            Act::Reset,
        ],
        "/stale" => [answer("once"), vec![Act::ResetOnNextByte]].concat(),
        _ => answer("fine"),
    })
    .await;
    for (target, end) in [("/reset", End::Reset), ("/close", End::Closed)] {
        let mut client = Client::connect(backend.address()).await;
        client.send(format!("GET {target} HTTP/1.1\r\n\r\n")).await;
        assert_eq!(client.try_answer_to("GET").await.err(), Some(end));
    }
    for (target, end, body) in [
        ("/half", End::Closed, "half"),
        ("/chunks", End::Reset, "abc"),
    ] {
        let mut client = Client::connect(backend.address()).await;
        let answer = client.get(target).await;
        assert_eq!((answer.end, answer.text().as_str()), (end, body));
    }
    let mut client = Client::connect(backend.address()).await;
    assert_eq!(client.get("/stale").await.text(), "once");
    client.send("GET /again HTTP/1.1\r\n\r\n").await;
    assert_eq!(client.try_answer_to("GET").await.err(), Some(End::Reset));
    assert_eq!(backend.count_of("GET", "/again"), 0);
}

#[tokio::test]
async fn trailers_and_informational_answers_are_told_apart() {
    let backend = Backend::start(|_| {
        answer_bytes(
            "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n\
             transfer-encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\nx-sum: 9\r\n\r\n",
        )
    })
    .await;
    let answer = Client::connect(backend.address()).await.get("/").await;
    assert_eq!(answer.informational, [103]);
    assert_eq!(answer.body, b"ok");
    assert_eq!(answer.trailers.get("x-sum"), Some("9"));
}

#[tokio::test]
async fn a_killed_backend_refuses_and_comes_back_on_its_port() {
    let mut backend = Backend::start(identity("a")).await;
    let address = backend.address();
    assert_eq!(Client::connect(address).await.get("/").await.text(), "a");
    backend.kill().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    backend.up().await;
    assert_eq!(Client::connect(address).await.get("/").await.text(), "a");
}

#[tokio::test]
async fn a_gate_holds_an_answer_until_it_opens() {
    let gate = Gate::new();
    let held = gate.clone();
    let backend =
        Backend::start(move |_| [vec![Act::Wait(held.clone())], answer("late")].concat()).await;
    let mut client = Client::connect(backend.address()).await;
    client.send("GET / HTTP/1.1\r\n\r\n").await;
    backend.has_seen(1).await;
    gate.open();
    assert_eq!(client.answer().await.text(), "late");
}

#[tokio::test]
async fn http2_resets_are_told_from_ends() {
    let backend = H2Backend::start(|seen| match seen.target.as_str() {
        "/refused" => vec![H2Act::Reset(h2::Reason::REFUSED_STREAM)],
        "/trailers" => vec![
            H2Act::Read,
            H2Act::Head(200, Vec::new()),
            H2Act::Data(b"x".to_vec()),
            H2Act::Trailers(vec![("x-sum", "1")]),
        ],
        _ => h2_answer("fine"),
    })
    .await;
    let mut client = H2Client::connect(backend.address()).await;
    let echo = client
        .request("POST", "/", &[("x-a", "b")], b"body")
        .await
        .unwrap();
    assert_eq!(echo.text(), "fine");
    assert_eq!(backend.seen()[0].body, b"body");
    assert_eq!(
        client.get("/refused").await.unwrap_err(),
        H2Fault::Reset(h2::Reason::REFUSED_STREAM)
    );
    let trailers = client.get("/trailers").await.unwrap();
    assert_eq!(trailers.trailers.get("x-sum"), Some("1"));
    assert!(client.is_open());
}

#[tokio::test]
async fn the_load_counts_what_goes_wrong() {
    let backend = Backend::start(|seen| match seen.target.as_str() {
        "/7" => answer_bytes("HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n"),
        "/9" => vec![Act::Read, Act::Reset],
        _ => answer("fine"),
    })
    .await;
    let load = Load::start(backend.address(), 2, 0, |n| ("GET", format!("/{n}"), b""));
    load.goes_on(20).await;
    let verdict = load.stop().await;
    assert_eq!(verdict.statuses.get(&503), Some(&1));
    assert_eq!(verdict.closed, 1);
    assert_eq!(verdict.faults.len(), 2);
    assert!(verdict.fine >= 20);
}
