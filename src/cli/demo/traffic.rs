//! Clients of the demo, and their counts.
//!
//! A client is a persistent connection, with a request every few milliseconds. It sends only
//! requests that may be repeated (GET, and PUT with a small body), so that an endpoint can die in
//! mid-request without a visible failure. Clients do not retry: a failure stays a failure.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    net::SocketAddr,
    rc::Rc,
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use super::{
    figures::Reading,
    service::{SERVED_BY, Service},
};
use crate::task;

/// The running clients.
#[derive(Debug)]
pub(super) struct Traffic {
    tally: Rc<Tally>,
    stopping: Rc<Cell<bool>>,
    clients: Vec<JoinHandle<()>>,
}

/// Totals of all clients.
#[derive(Debug, Default)]
pub(super) struct Tally {
    answered: Cell<u64>,
    failures: Cell<u64>,
    served: RefCell<BTreeMap<&'static str, u64>>,
    /// Latencies since the last [`Tally::take_latencies`].
    latencies: RefCell<Vec<Duration>>,
    /// The first few failures, in words.
    faults: RefCell<Vec<String>>,
}

impl Traffic {
    /// Starts the clients.
    pub(super) fn start(web: SocketAddr, services: &Rc<[Service]>) -> Self {
        let tally = Rc::new(Tally::default());
        for service in services.iter() {
            tally.served.borrow_mut().insert(service.name(), 0);
        }
        let stopping = Rc::new(Cell::new(false));
        let clients = (0..CLIENTS).map(|number| {
            let client = Client {
                web,
                number,
                tally: Rc::clone(&tally),
                stopping: Rc::clone(&stopping),
                connection: None,
            };
            task::spawn_local("demo client", client.run())
        });
        let clients = clients.collect();
        Self {
            tally,
            stopping,
            clients,
        }
    }

    /// Returns the clients' totals so far.
    pub(super) fn tally(&self) -> Rc<Tally> {
        Rc::clone(&self.tally)
    }

    /// Lets the clients finish what they have sent.
    pub(super) async fn stop(self) -> Rc<Tally> {
        self.stopping.set(true);
        for client in self.clients {
            let _ = client.await;
        }
        self.tally
    }
}

impl Tally {
    /// Number of requests that were answered as expected.
    pub(super) fn answered(&self) -> u64 {
        self.answered.get()
    }

    /// Number of requests that were not.
    pub(super) fn failures(&self) -> u64 {
        self.failures.get()
    }

    /// Number of answers by endpoint.
    pub(super) fn served(&self) -> BTreeMap<&'static str, u64> {
        self.served.borrow().clone()
    }

    /// Takes the latencies since the last call, in ascending order.
    pub(super) fn take_latencies(&self) -> Vec<Duration> {
        let mut latencies = self.latencies.take();
        latencies.sort_unstable();
        latencies
    }

    /// Returns a summary of the demo in a few lines.
    pub(super) fn summary(&self, last: &Reading) -> String {
        let mut text = format!(
            "\n{} requests, {} of them failed for the client; {} further attempts, {} ejections, \
             {} configurations taken.",
            self.answered() + self.failures(),
            self.failures(),
            last.retries(),
            last.ejections(),
            last.generation(),
        );
        for fault in &*self.faults.borrow() {
            text.push_str("\n  failed: ");
            text.push_str(fault);
        }
        text
    }

    fn note_answer(&self, took: Duration, by: &str) {
        self.answered.set(self.answered.get() + 1);
        self.latencies.borrow_mut().push(took);
        if let Some(count) = self.served.borrow_mut().get_mut(by) {
            *count += 1;
        }
    }

    fn note_failure(&self, what: String) {
        self.failures.set(self.failures.get() + 1);
        let mut faults = self.faults.borrow_mut();
        if faults.len() < FAULTS_MAX {
            faults.push(what);
        }
    }
}

struct Client {
    web: SocketAddr,
    number: u32,
    tally: Rc<Tally>,
    stopping: Rc<Cell<bool>>,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    async fn run(mut self) {
        let kinds = kinds();
        let mut turn = interval(PERIOD);
        turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for count in self.number.. {
            turn.tick().await;
            if self.stopping.get() {
                return;
            }
            let asked = Instant::now();
            let (method, target, body) = &kinds[count as usize % kinds.len()];
            match timeout(PATIENCE, self.exchange(method, target, body)).await {
                Ok(Ok(by)) => self.tally.note_answer(asked.elapsed(), &by),
                Ok(Err(fault)) => {
                    self.connection = None;
                    self.tally
                        .note_failure(format!("{method} {target}: {fault}"));
                }
                Err(_) => {
                    self.connection = None;
                    let fault = format!("{method} {target}: no answer in time");
                    self.tally.note_failure(fault);
                }
            }
        }
    }

    /// Sends one request and reads its answer; returns the endpoint that gave it.
    async fn exchange(
        &mut self,
        method: &Method,
        target: &str,
        body: &'static str,
    ) -> Result<String, String> {
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header(header::HOST, self.web.to_string())
            .body(Full::new(Bytes::from_static(body.as_bytes())))
            .map_err(|error| error.to_string())?;
        let sender = self.sender().await?;
        let answer = sender.send_request(request).await;
        let answer = answer.map_err(|error| error.to_string())?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map_err(|error| error.to_string())?;
        let body = body.to_bytes();
        let by = head.headers.get(SERVED_BY);
        match by.and_then(|by| by.to_str().ok()) {
            Some(by) if head.status == StatusCode::OK && body.starts_with(by.as_bytes()) => {
                Ok(by.to_owned())
            }
            _ => {
                let text = String::from_utf8_lossy(&body);
                Err(format!("{} {}", head.status, text.trim()))
            }
        }
    }

    /// Returns the connection, made anew if the proxy closed it between two requests.
    async fn sender(&mut self) -> Result<&mut SendRequest<Full<Bytes>>, String> {
        let usable = match &mut self.connection {
            Some(sender) => sender.ready().await.is_ok(),
            None => false,
        };
        if !usable {
            let stream = TcpStream::connect(self.web).await;
            let stream = stream.map_err(|error| format!("cannot connect: {error}"))?;
            let (sender, connection) = http1::handshake(TokioIo::new(stream))
                .await
                .map_err(|error| error.to_string())?;
            task::spawn_local("demo connection", async {
                let _ = connection.await;
            });
            self.connection = Some(sender);
        }
        let sender = self.connection.as_mut();
        sender.ok_or_else(|| "no connection".to_owned())
    }
}

/// Returns the requests that clients send, in turn: method, target, body.
fn kinds() -> [(Method, &'static str, &'static str); 5] {
    [
        (Method::GET, "/", ""),
        (Method::GET, "/orders/17", ""),
        (Method::GET, "/basket?user=ann", ""),
        (Method::PUT, "/orders/17", "{\"amount\": 2}"),
        (Method::GET, "/search?q=lamp", ""),
    ]
}

const CLIENTS: u32 = 8;
/// Pause between two requests of a client: 400 per second over all of them.
const PERIOD: Duration = Duration::from_millis(20);
/// Maximum wait for an answer: longer than the proxy's own timeouts.
const PATIENCE: Duration = Duration::from_secs(20);
const FAULTS_MAX: usize = 5;
