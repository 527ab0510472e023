//! Tests over real sockets, with a fake proxy.

mod changing;
mod connections;
mod reading;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use super::model::{
    CertificateExpiry, Checked, Compared, Connection, Draining, EndpointChange, Explained,
    Listener, Pool, ProcessState, Ready, RecentExchange, ReloadRefusal, ReloadReport, ReloadResult,
    Rollout, Route, Status, UpgradeRefusal, UpgradeReport, UpgradeRequest,
};
use super::*;
use crate::config::{Secrets, value::BindAddress};
use crate::state::{
    HolderFilter,
    heads::{GateUse, TrafficUse},
};
use crate::telemetry::{events::Events, metrics::Exposition};

/// Tokens of an API with this token for changes.
fn tokens(change: Option<&str>) -> Tokens {
    let change = change.map(str::to_owned);
    Tokens { change, read: None }
}

/// A fake that echoes the query; `/drain` waits until it is allowed to end.
#[derive(Default)]
struct Fake {
    may_drain: Notify,
    figures_read: AtomicU64,
}

impl Operations for Fake {
    fn live(&self) -> bool {
        true
    }
    fn ready(&self) -> Ready {
        Ready {
            ready: false,
            reasons: Some(vec!["draining".to_owned()]),
            failing: None,
        }
    }
    fn metrics(&self, _: Exposition) -> String {
        "a_total 1\n".to_owned()
    }
    fn status(&self) -> Status {
        Status {
            state: ProcessState::Running,
            version: "1".to_owned(),
            pid: 1,
            uptime_seconds: 2,
            generation: 7,
            generations_held: 1,
            config: "proxy.toml".to_owned(),
            workers: 1,
            connections: 0,
            requests_total: 0,
            process_generation: 1,
            parent: None,
            predecessor: None,
            maintenance: Vec::new(),
            degraded: None,
            last_reload: None,
        }
    }
    fn config(&self) -> Map<String, Value> {
        Map::from_iter([("proxy".to_owned(), json!({}))])
    }
    fn origins(&self, within: &str, only_written: bool) -> model::Origins {
        model::Origins {
            origins: Vec::new(),
            left_off: within.len() + usize::from(only_written),
        }
    }
    fn listeners(&self) -> Vec<Listener> {
        vec![Listener {
            rate_limits: Vec::new(),
            name: "web".to_owned(),
            address: "127.0.0.1:80".to_owned(),
            http1: true,
            http2: false,
            http3: false,
            http3_state: None,
            tls: false,
            connections: 3,
            registration: None,
            acme: None,
        }]
    }
    fn routes(&self) -> Vec<Route> {
        Vec::new()
    }
    fn pools(&self) -> Vec<Pool> {
        vec![pool("app")]
    }
    fn pool(&self, name: &str) -> Option<Pool> {
        (name == "app").then(|| pool(name))
    }
    fn loaded_pools(&self, _: usize) -> Vec<Pool> {
        self.pools()
    }
    fn figures(&self) -> Figures {
        let asked = self.figures_read.fetch_add(1, Ordering::Relaxed) + 1;
        let all = RequestCounts {
            total: asked * 100,
            ..RequestCounts::default()
        };
        Figures {
            taken: tokio::time::Instant::now(),
            routes: BTreeMap::from([("all".to_owned(), all)]),
            attempts: BTreeMap::new(),
            attempts_failed: BTreeMap::new(),
        }
    }
    fn certificates(&self) -> Vec<CertificateExpiry> {
        Vec::new()
    }
    fn rollouts(&self) -> Vec<Rollout> {
        Vec::new()
    }
    fn rollout(&self, _: &str) -> Option<Rollout> {
        None
    }
    fn change_rollout<'a>(
        &'a self,
        name: &'a str,
        action: RolloutAction,
    ) -> BoxFuture<'a, Result<Rollout, OperationError>> {
        let message = format!("{action} {name}");
        Box::pin(std::future::ready(Err(OperationError::Conflict(message))))
    }
    fn caches(&self) -> Vec<model::RouteCache> {
        Vec::new()
    }
    fn purge_cache(&self, what: &model::Purge) -> Result<model::Purged, OperationError> {
        Err(OperationError::Conflict(format!("{what:?}")))
    }
    fn connections(&self, _: HolderFilter) -> Vec<Connection> {
        // Stands for a bug in the proxy.
        panic!("connections")
    }
    fn requests(&self, last: usize) -> Vec<RecentExchange> {
        let exchange = RecentExchange {
            generation: last as u64,
            ..RecentExchange::default()
        };
        vec![exchange]
    }
    fn request(&self, id: &str) -> Option<RecentExchange> {
        (id == "1").then(|| RecentExchange {
            request_id: id.to_owned(),
            ..RecentExchange::default()
        })
    }
    fn explain(&self, request: ExplainRequest) -> Result<Explained, String> {
        // Says no to all, and shows what it was asked.
        Err(serde_json::to_string(&request).unwrap())
    }
    fn check(&self, text: String, secrets: Secrets, _traffic: TrafficUse) -> Checked {
        Checked {
            ok: true,
            faults: Vec::new(),
            error: Some(format!("{} bytes, {secrets:?}", text.len())),
            traffic: None,
        }
    }
    fn diff(&self, text: String, secrets: Secrets, traffic: TrafficUse) -> Compared {
        Compared::Faulty(self.check(text, secrets, traffic))
    }
    fn reload(&self, _gate: GateUse) -> BoxFuture<'_, Result<ReloadReport, ReloadRefusal>> {
        Box::pin(async {
            Err(ReloadRefusal::Refused(Box::new(ReloadReport {
                traffic: None,
                result: ReloadResult::Failed,
                generation: 7,
                time: "2026-01-01T00:00:00Z".to_owned(),
                changes: None,
                connections_closed: 0,
                error: Some("proxy.toml:1:1".to_owned()),
                faults: None,
            })))
        })
    }
    fn upgrade(
        &self,
        request: UpgradeRequest,
    ) -> BoxFuture<'_, Result<UpgradeReport, UpgradeRefusal>> {
        let binary = request.binary.unwrap_or_default().display().to_string();
        let report = UpgradeReport::failed(binary, "no".to_owned(), &["line".to_owned()]);
        Box::pin(async { Err(UpgradeRefusal::Failed(Box::new(report))) })
    }
    fn maintenance(
        &self,
        request: model::MaintenanceRequest,
    ) -> BoxFuture<'_, Result<model::MaintenanceReport, OperationError>> {
        Box::pin(std::future::ready(Ok(model::MaintenanceReport {
            lasting: true,
            closed: request.route.into_iter().collect(),
            generation: 2,
        })))
    }

    fn drain(&self) -> BoxFuture<'_, Result<Draining, String>> {
        Box::pin(async {
            self.may_drain.notified().await;
            Ok(Draining {
                state: ProcessState::Draining,
            })
        })
    }
    fn endpoint(
        &self,
        pool: &str,
        address: &str,
        action: EndpointAction,
    ) -> Result<EndpointChange, OperationError> {
        match address {
            "unknown" => Err(OperationError::NotFound(format!("no endpoint {address}"))),
            "last" => Err(OperationError::Conflict("the last one".to_owned())),
            _ => Ok(EndpointChange {
                pool: pool.to_owned(),
                endpoint: address.to_owned(),
                action: action.to_string(),
                lasting: true,
                warning: None,
            }),
        }
    }
}

fn pool(name: &str) -> Pool {
    Pool {
        name: name.to_owned(),
        picker: json!("random"),
        panic: false,
        connections: 0,
        breaker: None,
        retries_in_flight: 0,
        discovery: None,
        endpoints: Vec::new(),
    }
}

/// A free port of this address.
fn tcp(ip: [u8; 4]) -> BindAddress {
    BindAddress::Tcp((ip, 0).into())
}

/// A running admin server; stopped when dropped.
struct Admin {
    address: BindAddress,
    events: Arc<Events>,
    fake: Arc<Fake>,
    stop: Option<oneshot::Sender<()>>,
    task: tokio::task::JoinHandle<()>,
}

struct Answer {
    status: u16,
    headers: HashMap<String, String>,
    body: String,
}

impl Admin {
    fn start(token: Option<&str>) -> Self {
        Self::start_at(&tcp([127, 0, 0, 1]), token, 16)
    }

    fn start_at(address: &BindAddress, token: Option<&str>, connections_max: usize) -> Self {
        let listener = AdminListener::bind(address, None).unwrap();
        let address = listener.address().clone();
        let settings = AdminSettings {
            tokens: tokens(token),
            scope: Scope::Whole,
            connections_max,
        };
        let (fake, events) = (Arc::<Fake>::default(), Arc::new(Events::new()));
        let server = AdminServer::new(
            listener,
            settings,
            Arc::clone(&fake) as Arc<dyn Operations>,
            Arc::clone(&events),
        );
        let (stop, stopped) = oneshot::channel();
        let mut server = server.unwrap();
        let task = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            server.run(stopped).await;
        });
        Self {
            address,
            events,
            fake,
            stop: Some(stop),
            task,
        }
    }

    async fn connect(&self) -> TcpStream {
        let BindAddress::Tcp(address) = &self.address else {
            panic!("not TCP")
        };
        TcpStream::connect(address).await.unwrap()
    }

    /// Sends a request with some headers on a connection of its own.
    async fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        exchange(self.connect().await, method, path, headers, body).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "", "").await
    }

    async fn post(&self, path: &str, body: &str) -> Answer {
        self.ask("POST", path, "authorization: Bearer secret\r\n", body)
            .await
    }
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> Answer {
    let host = if headers.contains("host:") {
        ""
    } else {
        "host: localhost\r\n"
    };
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\n{host}{headers}connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    // A body that is refused may not be read to its end.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap();
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_ascii_lowercase(), value.to_owned())
    });
    Answer {
        status: status.parse().unwrap(),
        headers: headers.collect(),
        body: body.to_owned(),
    }
}

async fn first_line(stream: &mut TcpStream) -> String {
    let mut line = String::new();
    let mut reader = BufReader::with_capacity(1, stream);
    timeout(Duration::from_secs(20), reader.read_line(&mut line))
        .await
        .unwrap()
        .unwrap();
    line
}

/// Reads up to the next `data:` line, through chunk sizes, head and comments.
async fn next_event(stream: &mut BufReader<TcpStream>) -> Value {
    loop {
        let mut line = String::new();
        let read = timeout(Duration::from_secs(20), stream.read_line(&mut line));
        assert_ne!(read.await.unwrap().unwrap(), 0, "the stream ended");
        assert!(!line.starts_with("id: 9"), "a field was smuggled in");
        if let Some(data) = line.strip_prefix("data: ") {
            return serde_json::from_str(data).unwrap();
        }
    }
}
