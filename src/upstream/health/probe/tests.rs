//! Probes against small real servers.

use std::{convert::Infallible, net::SocketAddr};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UnixListener},
};

use super::*;
use crate::{config::value::StatusSet, upstream::health::settings::CheckKind};

fn target(address: SocketAddr) -> ProbeTarget {
    let host = address.to_string();
    ProbeTarget {
        identity: host.as_str().into(),
        address: EndpointAddress::Socket(address),
        host,
        server_name: address.ip().to_string(),
        learns: None,
    }
}

async fn ask_within(
    kind: CheckKind,
    version: HttpVersion,
    target: ProbeTarget,
    timeout: Duration,
) -> Result<(), ProbeFailure> {
    let probe = build(&kind, version, Arc::new(PlainDial)).unwrap();
    probe.probe(&target, Instant::now() + timeout).await
}

async fn ask(kind: CheckKind, address: SocketAddr) -> Result<(), ProbeFailure> {
    ask_within(
        kind,
        HttpVersion::Http1,
        target(address),
        Duration::from_secs(5),
    )
    .await
}

/// Accepts one connection, reads a request head, writes `answer` and closes. Returns what it read.
async fn answering(answer: &'static [u8]) -> (SocketAddr, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let head = read_head(&mut socket).await;
        socket.write_all(answer).await.unwrap();
        head
    });
    (address, served)
}

async fn read_head(socket: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// An address where nobody listens.
async fn closed() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
}

/// Accepts and says nothing.
async fn silent() -> (SocketAddr, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (listener.local_addr().unwrap(), listener)
}

/// An HTTP/2 server that gives every request the same answer, made from its body.
async fn http2(answer: fn(Bytes) -> Response<Answer>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let service = service_fn(move |request: Request<Incoming>| async move {
            assert_eq!(request.headers()["user-agent"], "sluicegate-health");
            let body = request.into_body().collect().await.unwrap().to_bytes();
            Ok::<_, Infallible>(answer(body))
        });
        let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let _ = server.serve_connection(TokioIo::new(socket), service).await;
    });
    address
}

type Answer = http_body_util::Either<
    Full<Bytes>,
    http_body_util::combinators::WithTrailers<Full<Bytes>, Trailers>,
>;
type Trailers = std::future::Ready<Option<Result<HeaderMap, Infallible>>>;

fn grpc(message: &'static [u8], status: &'static str) -> Response<Answer> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(status));
    let body = Full::new(Bytes::from_static(message));
    let body = body.with_trailers(std::future::ready(Some(Ok(trailers))));
    Response::new(http_body_util::Either::Right(body))
}

async fn ask_grpc(service: &str, address: SocketAddr) -> Result<(), ProbeFailure> {
    let kind = CheckKind::Grpc {
        service: service.to_owned(),
    };
    ask(kind, address).await
}

#[tokio::test]
async fn a_status_in_the_set_passes_and_the_request_is_what_it_should_be() {
    let (address, served) = answering(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(
        ask(CheckKind::http("/healthz?deep=1"), address).await,
        Ok(())
    );
    let head = served.await.unwrap().to_ascii_lowercase();
    assert!(
        head.starts_with("get /healthz?deep=1 http/1.1\r\n"),
        "{head}"
    );
    assert!(head.contains(&format!("host: {address}\r\n")), "{head}");
    assert!(head.contains("user-agent: sluicegate-health\r\n"), "{head}");
}

#[tokio::test]
async fn a_written_host_is_sent_instead_of_the_address() {
    let (address, served) = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let status = StatusSet::success();
    let kind = CheckKind::Http {
        path: "/".into(),
        status,
        host: Some("shop.example".into()),
    };
    assert_eq!(ask(kind, address).await, Ok(()));
    assert!(served.await.unwrap().contains("shop.example\r\n"));
}

#[tokio::test]
async fn every_way_to_fail_has_its_words() {
    let (address, _) =
        answering(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n").await;
    let failure = ask(CheckKind::http("/"), address).await.unwrap_err();
    assert_eq!(failure.to_string(), "status 503");

    let (address, _) = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort").await;
    let failure = ask(CheckKind::http("/"), address).await.unwrap_err();
    assert_eq!(failure.to_string(), "answer cut short");

    let (address, _) = answering(b"").await;
    let failure = ask(CheckKind::http("/"), address).await.unwrap_err();
    assert_eq!(failure.to_string(), "answer cut short");

    let (address, _) = answering(b"SSH-2.0-OpenSSH_9.6\r\n\r\n").await;
    let failure = ask(CheckKind::http("/"), address).await.unwrap_err();
    assert_eq!(failure.to_string(), "malformed answer");

    for kind in [
        CheckKind::http("/"),
        CheckKind::Tcp,
        CheckKind::Grpc {
            service: String::new(),
        },
    ] {
        let failure = ask(kind, closed().await).await.unwrap_err();
        assert_eq!(failure.to_string(), "connection refused");
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_times_out() {
    let short = Duration::from_millis(50);
    for kind in [
        CheckKind::http("/"),
        CheckKind::Grpc {
            service: String::new(),
        },
    ] {
        let (address, _listener) = silent().await;
        let failure = ask_within(kind, HttpVersion::Http1, target(address), short)
            .await
            .unwrap_err();
        // What was left of the deadline when the probe began; the schedule names the setting.
        assert!(matches!(failure, ProbeFailure::Timeout(left) if left <= short));
    }
}

#[tokio::test]
async fn a_long_body_is_not_read_to_its_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        read_head(&mut socket).await;
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n";
        socket.write_all(head).await.unwrap();
        while socket.write_all(&[b'x'; 8192]).await.is_ok() {}
    });
    assert_eq!(ask(CheckKind::http("/"), address).await, Ok(()));
}

#[tokio::test]
async fn a_connection_that_opens_passes_a_tcp_check() {
    let (address, _listener) = silent().await;
    assert_eq!(ask(CheckKind::Tcp, address).await, Ok(()));
}

#[tokio::test]
async fn names_and_unix_sockets_are_reached() {
    let (address, _listener) = silent().await;
    let mut named = target(address);
    named.address = EndpointAddress::Name("localhost".into(), address.port());
    let patience = Duration::from_secs(5);
    assert_eq!(
        ask_within(CheckKind::Tcp, HttpVersion::Http1, named.clone(), patience).await,
        Ok(())
    );
    named.address = EndpointAddress::Name("nobody.invalid".into(), 80);
    let failure = ask_within(CheckKind::Tcp, HttpVersion::Http1, named, patience)
        .await
        .unwrap_err();
    assert_eq!(failure.to_string(), "name not found");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        read_head(&mut socket).await;
        socket
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            .await
            .unwrap();
    });
    let unix = ProbeTarget {
        identity: "unix:app.sock".into(),
        host: path.display().to_string(),
        address: EndpointAddress::Unix(path),
        server_name: String::new(),
        learns: None,
    };
    assert_eq!(
        ask_within(CheckKind::http("/"), HttpVersion::Http1, unix, patience).await,
        Ok(())
    );
}

#[tokio::test]
async fn an_http2_pool_is_asked_in_http2() {
    let address =
        http2(|_| Response::new(http_body_util::Either::Left(Full::new("ok".into())))).await;
    let patience = Duration::from_secs(5);
    let answer = ask_within(
        CheckKind::http("/"),
        HttpVersion::Http2,
        target(address),
        patience,
    )
    .await;
    assert_eq!(answer, Ok(()));
}

#[tokio::test]
async fn only_a_serving_grpc_service_passes() {
    let serving = http2(|body| {
        assert_eq!(body[..], *b"\0\0\0\0\x08\x0a\x06orders");
        grpc(&[0, 0, 0, 0, 2, 8, 1], "0")
    });
    assert_eq!(ask_grpc("orders", serving.await).await, Ok(()));

    let not_serving = http2(|_| grpc(&[0, 0, 0, 0, 2, 8, 2], "0")).await;
    assert_eq!(
        ask_grpc("", not_serving).await,
        Err(ProbeFailure::NotServing)
    );
    let unknown = http2(|_| grpc(&[0, 0, 0, 0, 0], "0")).await;
    assert_eq!(
        ask_grpc("", unknown).await,
        Err(ProbeFailure::ServingUnknown)
    );
    let no_such_service = http2(|_| grpc(&[], "5")).await;
    assert_eq!(
        ask_grpc("orders", no_such_service).await,
        Err(ProbeFailure::ServiceUnknown)
    );
    let unimplemented = http2(|_| {
        let mut response = Response::new(http_body_util::Either::Left(Full::default()));
        response
            .headers_mut()
            .insert("grpc-status", HeaderValue::from_static("12"));
        response
    });
    assert_eq!(
        ask_grpc("", unimplemented.await).await,
        Err(ProbeFailure::Unimplemented)
    );
    let garbage = http2(|_| grpc(b"<html>", "0")).await;
    assert_eq!(ask_grpc("", garbage).await, Err(ProbeFailure::Malformed));
}

#[test]
fn a_check_that_cannot_be_sent_is_refused() {
    let refuse = |path: &str, host: Option<&str>| {
        let status = StatusSet::success();
        let kind = CheckKind::Http {
            path: path.to_owned(),
            status,
            host: host.map(str::to_owned),
        };
        build(&kind, HttpVersion::Http1, Arc::new(PlainDial))
            .err()
            .map(|error| error.to_string())
    };
    assert_eq!(refuse("/healthz", Some("")), None);
    assert_eq!(
        refuse("healthz", None).unwrap(),
        "health check path \"healthz\" is not an absolute path"
    );
    assert!(refuse("/a b", None).is_some());
    assert!(refuse("/a\r\nx: y", None).is_some());
    assert!(refuse("/", Some("a b")).is_some());
    assert!(refuse("/", Some("a\r\nx: y")).is_some());
}
