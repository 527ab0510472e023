//! An answer that has broken off before any of it was passed on costs no request that may be
//! repeated.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::harness::{Act, Backend, H2Act, H2Backend, Settings, answer};

const ALL: &str = r#"
    [proxy]
    workers = 1
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "app"
    [pools.app]
    endpoints = ["$cut", "$well"]
    picker = "round_robin"
    ejection = false
"#;

#[tokio::test]
async fn an_answer_that_has_broken_off_with_its_head_is_tried_again() {
    let cut = Backend::start(|seen| {
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        let bytes = match seen.target.as_str() {
            "/length" => "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".to_owned(),
            "/error" => "HTTP/1.1 404 Not Found\r\ncontent-length: 10\r\n\r\n".to_owned(),
            "/chunk" => format!("{chunked}8\r\nhalf"),
            "/chunks" => format!("{chunked}4\r\nhalf\r\n"),
            "/end" => format!("{chunked}4\r\nhalf\r\n0\r\n"),
            "/whole" => format!("{chunked}3\r\ncut\r\n0\r\nx-a: b\r\n\r\n"),
            "/close" => "HTTP/1.1 200 OK\r\n\r\ncut".to_owned(),
            other => panic!("{other}"),
        };
        vec![Act::Read, Act::SendLast(bytes.into_bytes())]
    })
    .await;
    let well = Backend::start(|_| answer("well")).await;
    let settings = Settings::new(ALL).backend("cut", &cut);
    let proxy = settings.backend("well", &well).start().await;
    let targets = ["/length", "/error", "/chunk", "/chunks", "/end"];
    for target in targets {
        let before = cut.count();
        for _ in 0..2 {
            let answer = proxy.get(target).await;
            let got = (answer.status, answer.text());
            assert_eq!(got, (200, "well".to_owned()), "{target}: {answer:?}");
        }
        assert_eq!(cut.count(), before + 1, "{target}: each is asked in turn");
        let line = proxy
            .logged("of the repeated request", |line| {
                line["path"] == target && line["attempts"][1].is_object()
            })
            .await;
        assert_eq!(
            line["attempts"][0]["outcome"], "http_response_incomplete",
            "{line}"
        );
    }
    // What is whole is not asked for again, however it ends.
    for target in ["/whole", "/close"] {
        let [one, two] = [proxy.get(target).await, proxy.get(target).await];
        let mut texts = [one.text(), two.text()];
        texts.sort_unstable();
        assert_eq!(texts, ["cut", "well"], "{target}");
    }
    // A POST may have had its effect.
    let before = (cut.count(), well.count());
    let [one, two] = [
        proxy.request("POST", "/length", "", b"x").await,
        proxy.request("POST", "/length", "", b"x").await,
    ];
    assert_eq!((cut.count(), well.count()), (before.0 + 1, before.1 + 1));
    let refused = if one.status == 200 { two } else { one };
    refused.assert_failure(502, "http_response_incomplete");
    proxy.finish().await;
}

#[tokio::test]
async fn an_http2_answer_that_has_broken_off_with_its_head_is_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let cutting = tokio::spawn(async move {
        let mut asked = 0;
        while let Ok((mut stream, _)) = listener.accept().await {
            while answer_in_part(&mut stream).await.is_some() {
                asked += 1;
                if asked == ASKED {
                    return;
                }
            }
        }
    });
    let well = H2Backend::start(|_| {
        vec![
            H2Act::Head(200, vec![]),
            H2Act::Data(b"well".to_vec()),
            H2Act::End,
        ]
    })
    .await;
    let text = format!("{ALL}    protocol = \"h2\"\n");
    let settings = Settings::new(&text).address("cut", address);
    let proxy = settings.address("well", well.address()).start().await;
    for _ in 0..2 * ASKED {
        let answer = proxy.get("/").await;
        let got = (answer.status, answer.text());
        assert_eq!(got, (200, "well".to_owned()), "{answer:?}");
    }
    cutting.await.unwrap();
    let labels = [("pool", "app"), ("reason", "http_response_incomplete")];
    let cut = proxy.metric("sluicegate_attempts_total", &labels).await;
    assert!((cut - f64::from(ASKED)).abs() < 0.1, "{cut}");
    proxy.finish().await;
}

/// Number of requests that the endpoint in the test above is sent.
const ASKED: u32 = 3;

/// Answers the next request of an HTTP/2 connection with a head, some data and a reset, in one
/// segment.
async fn answer_in_part(stream: &mut TcpStream) -> Option<()> {
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const RST_STREAM: u8 = 3;
    const SETTINGS: u8 = 4;
    let frame = |kind: u8, flags: u8, id: [u8; 4], content: &[u8]| {
        let length = u8::try_from(content.len()).unwrap();
        let mut frame = vec![0, 0, length, kind, flags];
        frame.extend_from_slice(&id);
        frame.extend_from_slice(content);
        frame
    };
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.ok()?;
        if head == *b"PRI * HTT" {
            let mut rest = [0; 24 - 9];
            stream.read_exact(&mut rest).await.ok()?;
            let settings = frame(SETTINGS, 0, [0; 4], &[]);
            stream.write_all(&settings).await.ok()?;
            continue;
        }
        let length = (usize::from(head[1]) << 8) | usize::from(head[2]);
        let mut content = vec![0; length];
        stream.read_exact(&mut content).await.ok()?;
        let (kind, flags, id) = (head[3], head[4], [head[5], head[6], head[7], head[8]]);
        if kind == SETTINGS && flags & 1 == 0 {
            let acknowledged = frame(SETTINGS, 1, [0; 4], &[]);
            stream.write_all(&acknowledged).await.ok()?;
        }
        if kind == HEADERS {
            // Status 200, from the static table.
            let mut answer = frame(HEADERS, 4, id, &[0x88]);
            answer.extend(frame(DATA, 0, id, b"half"));
            answer.extend(frame(RST_STREAM, 0, id, &[0, 0, 0, 2]));
            stream.write_all(&answer).await.ok()?;
            return Some(());
        }
    }
}
