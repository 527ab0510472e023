//! Clients that send one request after the other on one connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tokio::runtime::Runtime;

use super::endpoint::END;
use super::proxy::Proxy;

/// A connection, and what is sent on it.
pub(crate) enum Client {
    Http1 {
        stream: Box<dyn Stream>,
        request: Vec<u8>,
    },
    Http2 {
        runtime: Runtime,
        sender: SendRequest<Bytes>,
        request: Box<Request<()>>,
    },
}

/// Bytes both ways.
pub(crate) trait Stream: Read + Write {}

impl<S: Read + Write> Stream for S {}

impl Client {
    /// Exchanges this many requests, one after the other.
    pub(crate) fn exchange(&mut self, count: usize) {
        for _ in 0..count {
            match self {
                Self::Http1 { stream, request } => exchange_http1(stream, request),
                Self::Http2 {
                    runtime,
                    sender,
                    request,
                } => runtime.block_on(exchange_http2(sender, Request::clone(request))),
            }
        }
    }
}

/// A plain connection.
pub(crate) fn plain(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let patience = Some(Duration::from_secs(30));
    stream.set_read_timeout(patience).unwrap();
    stream
}

/// A connection with TLS 1.3.
pub(crate) fn tls(proxy: &Proxy) -> impl Stream + 'static {
    let mut roots = RootCertStore::empty();
    roots.add(proxy.certificate.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let session = ClientConnection::new(Arc::new(config), name).unwrap();
    StreamOwned::new(session, plain(proxy.secure))
}

/// HTTP/2 by prior knowledge.
pub(crate) fn http2(address: SocketAddr, request: Request<()>) -> Client {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let sender = runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let (sender, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        sender
    });
    Client::Http2 {
        runtime,
        sender,
        request: Box::new(request),
    }
}

/// Sends a request and reads its answer.
pub(crate) fn exchange_http1(stream: &mut impl Stream, request: &[u8]) {
    stream.write_all(request).unwrap();
    stream.flush().unwrap();
    let mut buffer = [0; 8 * 1024];
    let mut filled = 0;
    while !buffer[..filled].ends_with(END) {
        match stream.read(&mut buffer[filled..]).unwrap() {
            0 => panic!("closed: {}", String::from_utf8_lossy(&buffer[..filled])),
            count => filled += count,
        }
    }
    assert!(buffer.starts_with(b"HTTP/1.1 200 "), "another answer");
}

async fn exchange_http2(sender: &mut SendRequest<Bytes>, request: Request<()>) {
    let (response, _) = sender.send_request(request, true).unwrap();
    let response = response.await.unwrap();
    assert_eq!(response.status(), 200);
    let mut body = response.into_body();
    let mut length = 0;
    while let Some(piece) = body.data().await {
        let piece = piece.unwrap();
        length += piece.len();
        body.flow_control().release_capacity(piece.len()).unwrap();
    }
    assert_eq!(length, 128);
}
