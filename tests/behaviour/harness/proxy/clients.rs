//! Connections to the proxy: clients of its listeners, and questions to its admin listener.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Proxy;
use crate::harness::client::{Answer, Client, request_bytes};
use crate::harness::eventually::eventually;
use crate::harness::exposition::Exposition;
use crate::harness::h2_client::H2Client;

impl Proxy {
    /// A new connection to the listener `$web`.
    pub(crate) async fn client(&self) -> Client {
        self.client_of("web").await
    }

    /// A new connection to the listener whose address is `$name`.
    pub(crate) async fn client_of(&self, name: &str) -> Client {
        let client = Client::connect(self.address(name)).await;
        client.noted_in(Arc::clone(&self.ledger))
    }

    /// A new connection to `$web` whose answers are not checked: for garbage.
    pub(crate) async fn raw_client(&self) -> Client {
        Client::connect(self.address("web")).await
    }

    /// A new HTTP/2 connection to `$web`.
    pub(crate) async fn h2_client(&self) -> H2Client {
        H2Client::connect(self.address("web")).await
    }

    /// One GET on a connection of its own.
    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.client().await.get(target).await
    }

    /// One request on a connection of its own.
    pub(crate) async fn request(
        &self,
        method: &str,
        target: &str,
        lines: &str,
        body: &[u8],
    ) -> Answer {
        let mut client = self.client().await;
        client.request(method, target, lines, body).await
    }

    /// Sends one request to the admin listener; the answer is `None` if the proxy has ended.
    pub(crate) async fn admin(&self, method: &str, target: &str, lines: &str) -> Option<Answer> {
        ask(self.address("admin"), method, target, lines).await
    }

    /// One scrape.
    pub(crate) async fn metrics(&self) -> Exposition {
        let answer = self.admin("GET", "/metrics", "").await;
        Exposition::parse(&answer.expect("metrics").text())
    }

    /// Returns one value of a scrape; a missing series counts as 0.
    pub(crate) async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.metrics().await.sum(name, labels).unwrap_or_default()
    }

    /// Waits until a metric has this value.
    pub(crate) async fn metric_becomes(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        let last = Cell::new(f64::NAN);
        let what = fmt::from_fn(|f| write!(f, "{name}{labels:?} is {value}, not {}", last.get()));
        eventually(what, || async {
            last.set(self.metric(name, labels).await);
            ((last.get() - value).abs() < f64::EPSILON).then_some(())
        })
        .await;
    }

    /// Returns a gauge once it has moved by no more than 1 % for a while, as after a start.
    pub(crate) async fn settled_metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let (last, since) = (Cell::new(f64::INFINITY), Cell::new(Instant::now()));
        eventually(format!("{name}{labels:?} settles"), || async {
            let now = self.metric(name, labels).await;
            let moved = (now - last.get()).abs() / now.abs().max(1.0);
            if moved > 0.01 {
                last.set(now);
                since.set(Instant::now());
            }
            (since.get().elapsed() > SETTLED).then_some(now)
        })
        .await
    }

    /// Waits until the admin listener answers 200, as long as the process lives.
    pub(super) async fn admin_says(&mut self, target: &str) {
        let address = self.address("admin");
        let child = RefCell::new(&mut self.child);
        eventually(format!("the proxy answers 200 to {target}"), || async {
            let ended = child.borrow_mut().try_wait().expect("a child");
            assert!(ended.is_none(), "the proxy ended at once: {ended:?}");
            let answer = ask(address, "GET", target, "").await?;
            (answer.status == 200).then_some(())
        })
        .await;
    }
}

/// One request to an admin listener on a connection of its own.
pub(crate) async fn ask(
    address: SocketAddr,
    method: &str,
    target: &str,
    lines: &str,
) -> Option<Answer> {
    let mut client = Client::try_connect(address).await.ok()?;
    let lines = format!("host: {address}\nconnection: close\n{lines}");
    client
        .send(request_bytes(method, target, &lines, b""))
        .await;
    client.try_answer_to(method).await.ok()
}

/// Time without a change after which a gauge is at rest.
const SETTLED: Duration = Duration::from_secs(1);
