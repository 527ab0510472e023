use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;

/// State of a connection after its last answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    Open,
    Closed,
}

/// A server that reads a head and writes these bytes, for each of the connections a list of them;
/// returns its client and what it read.
async fn server(
    connections: Vec<Vec<String>>,
    after: After,
) -> (Client, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/lists?all", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        let (mut seen, mut open) = (Vec::new(), Vec::new());
        for answers in connections {
            let (mut stream, _) = listener.accept().await.unwrap();
            for answer in answers {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                seen.push(String::from_utf8(head).unwrap());
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            if after == After::Open {
                open.push(stream);
            }
        }
        seen
    });
    let target = Target {
        url: HttpUrl::parse(&url).unwrap(),
        ca: None,
        secrets: vec![(header::AUTHORIZATION, "Bearer ", Secret::written("hunter2"))],
    };
    (Client::new(target), serving)
}

fn answer(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test]
async fn requests_share_a_connection_and_one_that_ended_is_replaced() {
    let (mut client, serving) = server(
        vec![vec![answer("one"), answer("two")], vec![answer("three")]],
        After::Closed,
    )
    .await;
    let path = client.target().url.path.clone();
    for body in ["one", "two", "three"] {
        let answer = client.ask(Ask::get(&*path)).await.unwrap();
        assert_eq!(
            (answer.status.as_u16(), &*answer.body),
            (200, body.as_bytes())
        );
    }
    let seen = serving.await.unwrap();
    assert_eq!(seen.len(), 3);
    for head in seen {
        assert!(head.starts_with("GET /lists?all HTTP/1.1\r\n"), "{head}");
        let lower = head.to_lowercase();
        assert!(
            lower.contains("\r\nauthorization: bearer hunter2\r\n"),
            "{head}"
        );
        assert!(lower.contains("\r\nhost: 127.0.0.1:"), "{head}");
    }
    assert!(!format!("{client:?}").contains("hunter2"));
}

#[tokio::test]
async fn answers_are_bounded_in_time_and_size_and_nonsense_is_an_error() {
    for (bytes, told) in [
        ("", "no answer within 300ms"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
            "no answer within 300ms",
        ),
        (
            &*answer(&"x".repeat(3000)),
            "the answer is longer than 2 KiB",
        ),
        (
            "SSH-2.0-OpenSSH\r\n\r\n",
            "the answer is not valid HTTP/1.1",
        ),
        (
            &*format!(
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nx: {}\r\n\r\n",
                "y".repeat(300_000)
            ),
            "the answer is not valid HTTP/1.1",
        ),
    ] {
        let (mut client, serving) = server(vec![vec![bytes.to_owned()], vec![]], After::Open).await;
        let ask = Ask {
            timeout: Duration::from_millis(300),
            body_max: 2048,
            ..Ask::get("/")
        };
        let error = client.ask(ask).await.unwrap_err().to_string();
        assert_eq!(error, told, "{bytes:.60}");
        serving.abort();
    }
    let (mut client, _serving) =
        server(vec![vec!["HTTP/1.1 200 OK\r\n".to_owned()]], After::Closed).await;
    let error = client.ask(Ask::get("/")).await.unwrap_err();
    assert_eq!(error.to_string(), "the connection ended before the answer");
    let unsendable = client.ask(Ask::get("/a b")).await.unwrap_err();
    assert!(matches!(unsendable, FetchError::Unsendable));
}

fn chunked(pieces: &[&str]) -> String {
    let pieces = pieces.iter();
    let body: String = pieces
        .map(|piece| format!("{:x}\r\n{piece}\r\n", piece.len()))
        .collect();
    format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}")
}

#[tokio::test]
async fn lines_come_one_by_one_and_the_connection_is_used_again_after_the_last() {
    let whole = chunked(&["on", "e\ntwo\n\nthr", "ee\nlast"]) + "0\r\n\r\n";
    let (mut client, serving) = server(vec![vec![whole, answer("next")]], After::Open).await;
    let mut stream = client.open(Ask::get("/watch")).await.unwrap();
    let mut lines = Vec::new();
    while let Some(line) = stream.line(5).await.unwrap() {
        lines.push(String::from_utf8(line.to_vec()).unwrap());
    }
    assert_eq!(lines, ["one", "two", "", "three", "last"]);
    client.reuse(stream);
    let next = client.ask(Ask::get("/next")).await.unwrap();
    assert_eq!(next.body, "next");
    assert_eq!(serving.await.unwrap().len(), 2, "on one connection");
}

#[tokio::test]
async fn a_line_that_is_too_long_or_breaks_off_is_an_error() {
    let long = chunked(&["good\n", "123456"]);
    let (mut client, _serving) = server(vec![vec![long]], After::Open).await;
    let mut stream = client.open(Ask::get("/watch")).await.unwrap();
    assert_eq!(stream.line(5).await.unwrap().unwrap(), "good");
    let error = stream.line(5).await.unwrap_err();
    assert!(matches!(error, FetchError::TooLong(5)), "{error}");
    let cut = chunked(&["good\nba"]);
    let (mut client, _serving) = server(vec![vec![cut]], After::Closed).await;
    let mut stream = client.open(Ask::get("/watch")).await.unwrap();
    assert_eq!(stream.line(5).await.unwrap().unwrap(), "good");
    let error = stream.line(5).await.unwrap_err();
    assert!(matches!(error, FetchError::CutShort), "{error}");
    // A wait that is given up loses nothing.
    let slow = chunked(&["sl"]);
    let (mut client, _serving) =
        server(vec![vec![slow, answer("not asked for")]], After::Open).await;
    let mut stream = client.open(Ask::get("/watch")).await.unwrap();
    let wait = tokio::time::timeout(Duration::from_millis(20), stream.line(5)).await;
    assert!(wait.is_err());
    assert_eq!(stream.unread, "sl");
}
