//! Services behind the proxy: small HTTP servers that name themselves.

use std::{cell::RefCell, convert::Infallible, io, net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

use super::port::Port;
use crate::task;

/// Header with the name of the serving endpoint.
pub(super) const SERVED_BY: &str = "x-served-by";

/// One endpoint: a server that can be killed and started again.
#[derive(Debug)]
pub(super) struct Service {
    name: &'static str,
    pool: &'static str,
    version: &'static str,
    port: Port,
    serving: RefCell<Option<JoinHandle<()>>>,
}

impl Service {
    /// Starts it on a port of its own.
    pub(super) fn start(
        name: &'static str,
        pool: &'static str,
        version: &'static str,
    ) -> io::Result<Self> {
        let service = Self {
            name,
            pool,
            version,
            port: Port::take()?,
            serving: RefCell::new(None),
        };
        service.revive()?;
        Ok(service)
    }

    /// Its name, as in the header that it sends.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// The pool that it is an endpoint of.
    pub(super) fn pool(&self) -> &'static str {
        self.pool
    }

    /// The version that it reports.
    pub(super) fn version(&self) -> &'static str {
        self.version
    }

    /// Address that it listens on.
    pub(super) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Ends it as a crash would: requests under way are cut, new connections are refused.
    pub(super) fn kill(&self) {
        if let Some(serving) = self.serving.borrow_mut().take() {
            serving.abort();
        }
    }

    /// Starts it again, at the same address.
    pub(super) fn revive(&self) -> io::Result<()> {
        let listener = std::net::TcpListener::bind(self.address())?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let who = Who {
            name: self.name,
            version: self.version,
        };
        let serving = task::spawn_local("demo service", accept(listener, who));
        if let Some(before) = self.serving.borrow_mut().replace(serving) {
            before.abort();
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
struct Who {
    name: &'static str,
    version: &'static str,
}

/// Accepts connections; they end with this future: a dropped set aborts its tasks.
async fn accept(listener: TcpListener, who: Who) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => { connections.spawn_local(serve(stream, who)); }
                // Out of descriptors, as a rule: some will come back.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, who: Who) {
    let service = service_fn(move |request| answer(request, who));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // A connection that breaks is what the story is about.
    let _ = connection.await;
}

async fn answer(request: Request<Incoming>, who: Who) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    // A body that stops half way has nobody left to be answered.
    let received = body.collect().await.map_or(0, |body| body.to_bytes().len());
    if head.uri.path() != HEALTH {
        tokio::time::sleep(WORK).await;
    }
    let text = format!(
        "{} {} answers {} {} ({received} bytes)\n",
        who.name, who.version, head.method, head.uri
    );
    let mut response = Response::new(Full::new(Bytes::from(text)));
    if who.version.starts_with(BAD) && head.uri.path() != HEALTH && rand::random() {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    let headers = response.headers_mut();
    headers.insert(SERVED_BY, HeaderValue::from_static(who.name));
    headers.insert("x-version", HeaderValue::from_static(who.version));
    Ok(response)
}

/// Beginning of versions that fail half of their requests.
pub(super) const BAD: &str = "2.1.";
/// Path of the health checks.
pub(super) const HEALTH: &str = "/healthz";
/// Time that an answer takes: enough for some to be under way whenever an endpoint dies.
const WORK: Duration = Duration::from_millis(3);
