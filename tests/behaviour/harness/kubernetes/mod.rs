//! A double of the API server of Kubernetes over TLS, as far as EndpointSlices go: lists in parts,
//! watches with their history, tokens and rights; and everything that goes wrong with them.
//!
//! `tests/campaign kubernetes` makes the same promises to a real kube-apiserver.

mod server;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use rustls::version::TLS13;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use self::server::{State, Told, lock, serve};
use crate::harness::backend::Backend;
use crate::harness::certificate::Authority;
use crate::harness::message::Seen;
use crate::harness::port::Port;
use crate::harness::tunnel::Tunnel;

/// A running server. Killed on drop.
pub(crate) struct Kubernetes {
    authority: Authority,
    port: Port,
    state: Arc<Mutex<State>>,
    changed: watch::Sender<()>,
    running: Option<(JoinHandle<()>, Tunnel)>,
    /// True if it asks for a certificate instead of a token.
    asks_for_certificates: bool,
}

impl Kubernetes {
    /// Starts one with the Service `orders` and no endpoint; the token `first` may read.
    pub(crate) async fn start() -> Self {
        Self::started(false).await
    }

    /// Starts one that knows its clients by certificates; `client.pem` and `client.key` in this folder
    /// are one.
    pub(crate) async fn start_with_certificates(folder: &Path) -> Self {
        let server = Self::started(true).await;
        server.authority.issue("gate", &[]).write(folder, "client");
        server.accept_token("");
        server
    }

    async fn started(asks_for_certificates: bool) -> Self {
        let state = State {
            revision: 100,
            services: BTreeSet::from(["orders".to_owned()]),
            tokens: BTreeSet::from(["first".to_owned()]),
            ..State::default()
        };
        let mut server = Self {
            authority: Authority::new("kubernetes"),
            port: Port::take(),
            state: Arc::new(Mutex::new(state)),
            changed: watch::channel(()).0,
            running: None,
            asks_for_certificates,
        };
        server.up().await;
        server
    }

    /// Starts to listen, again on the same port after [`Self::kill`].
    pub(crate) async fn up(&mut self) {
        let plain = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let to = plain.local_addr().expect("bound");
        let (state, changed) = (Arc::clone(&self.state), self.changed.clone());
        let task = tokio::spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = plain.accept().await {
                open.spawn(serve(stream, Arc::clone(&state), changed.subscribe()));
            }
        });
        let issued = self.authority.issue("kubernetes", &["127.0.0.1"]);
        let server = match self.asks_for_certificates {
            true => issued.demanding(&self.authority, &TLS13, &["http/1.1"]),
            false => issued.server(&["http/1.1"]),
        };
        let front = Tunnel::from_tls_at(self.port.address(), to, server).await;
        self.running = Some((task, front));
    }

    /// Ends the server and all connections.
    pub(crate) async fn kill(&mut self) {
        if let Some((task, front)) = self.running.take() {
            task.abort();
            drop(front);
            let _ = task.await;
        }
        self.lock().watches = 0;
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Writes the files of a service account, as the kubelet does, into `account` of this folder.
    pub(crate) fn write_account(&self, folder: &Path, token: &str) -> PathBuf {
        let account = folder.join("account");
        std::fs::create_dir_all(&account).expect("a folder");
        self.authority.write(&account, "ca.crt");
        std::fs::write(account.join("namespace"), "shop").expect("a file");
        std::fs::write(account.join("token.new"), token).expect("a file");
        std::fs::rename(account.join("token.new"), account.join("token")).expect("replaced");
        account
    }

    /// Puts a slice of `orders` with these endpoints, each with its conditions.
    pub(crate) fn put(&self, name: &str, endpoints: &[(&Backend, Value)]) {
        self.put_of("orders", name, endpoints, &json!({}));
    }

    /// Puts a slice of a Service; `more` adds to its labels.
    pub(crate) fn put_of(
        &self,
        service: &str,
        name: &str,
        endpoints: &[(&Backend, Value)],
        more: &Value,
    ) {
        let mut ports = endpoints
            .iter()
            .map(|(backend, _)| backend.address().port());
        let port = ports.next().unwrap_or(80);
        let endpoints = endpoints.iter().map(|(backend, conditions)| {
            let address = backend.address();
            assert_eq!(address.port(), port, "a slice has one port");
            json!({ "addresses": [address.ip().to_string()], "conditions": conditions,
                "nodeName": "n1", "zone": "a", "targetRef": { "kind": "Pod", "name": format!("pod-{address}") } })
        });
        let endpoints: Vec<Value> = endpoints.collect();
        let mut labels = json!({ "kubernetes.io/service-name": service });
        let known = labels.as_object_mut().expect("an object");
        known.extend(more.as_object().expect("an object").clone());
        let slice = json!({
            "kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1",
            "metadata": { "name": name, "namespace": "shop", "labels": labels },
            "addressType": "IPv4", "endpoints": endpoints,
            "ports": [{ "name": "http", "protocol": "TCP", "port": port }],
        });
        self.put_whole(slice);
    }

    /// Puts a slice as it is, with its revision.
    pub(crate) fn put_whole(&self, mut slice: Value) {
        let mut state = self.lock();
        state.revision += 1;
        let revision = state.revision;
        slice["metadata"]["resourceVersion"] = revision.to_string().into();
        let name = slice["metadata"]["name"]
            .as_str()
            .expect("a name")
            .to_owned();
        let kind = match state.slices.insert(name, slice.clone()) {
            Some(_) => "MODIFIED",
            None => "ADDED",
        };
        let line = json!({ "type": kind, "object": slice }).to_string();
        state.told.push((revision, Told::Change(line)));
        drop(state);
        self.changed.send_replace(());
    }

    /// Removes a slice.
    pub(crate) fn remove(&self, name: &str) {
        let mut state = self.lock();
        state.revision += 1;
        let revision = state.revision;
        let mut slice = state.slices.remove(name).expect("it is there");
        slice["metadata"]["resourceVersion"] = revision.to_string().into();
        let line = json!({ "type": "DELETED", "object": slice }).to_string();
        state.told.push((revision, Told::Change(line)));
        drop(state);
        self.changed.send_replace(());
    }

    /// Adds or removes a Service; its slices are not touched.
    pub(crate) fn has_service(&self, name: &str, is_there: bool) {
        let services = &mut self.lock().services;
        if is_there {
            services.insert(name.to_owned());
        } else {
            services.remove(name);
        }
    }

    /// Tells open watches that nothing has changed until a later revision.
    pub(crate) fn bookmark(&self) {
        let mut state = self.lock();
        state.revision += 10;
        let revision = state.revision.to_string();
        drop(state);
        self.say(
            &json!({ "type": "BOOKMARK", "object": { "kind": "EndpointSlice",
            "apiVersion": "discovery.k8s.io/v1", "metadata": { "resourceVersion": revision } } })
            .to_string(),
        );
    }

    /// Tells open watches that the history is not there any more, and forgets it.
    pub(crate) fn expire(&self) {
        self.forget_history();
        self.say(
            &json!({ "type": "ERROR", "object": { "kind": "Status", "code": 410,
            "reason": "Expired", "message": "too old resource version" } })
            .to_string(),
        );
    }

    /// Forgets what was before now: whoever watches from an older revision gets 410.
    pub(crate) fn forget_history(&self) {
        let mut state = self.lock();
        state.revision += 1;
        state.forgotten = state.revision;
    }

    /// Writes a line into open watches.
    pub(crate) fn say(&self, line: &str) {
        self.tell(Told::Line(line.to_owned()));
    }

    /// Writes bytes into open watches.
    pub(crate) fn say_bytes(&self, bytes: Vec<u8>) {
        self.tell(Told::Bytes(bytes));
    }

    /// Ends open watches as a server does when their time is over.
    pub(crate) fn end_watches(&self) {
        self.tell(Told::End);
    }

    /// Ends the connections of open watches.
    pub(crate) fn cut(&self) {
        self.tell(Told::Cut);
    }

    fn tell(&self, what: Told) {
        let mut state = self.lock();
        let revision = state.revision;
        state.told.push((revision, what));
        drop(state);
        self.changed.send_replace(());
    }

    /// Takes another token from now on, and the old one no more.
    pub(crate) fn accept_token(&self, token: &str) {
        self.lock().tokens = BTreeSet::from([token.to_owned()]);
    }

    /// Refuses a verb with 403, or allows it again.
    pub(crate) fn forbid(&self, verb: &'static str, is_forbidden: bool) {
        let forbidden = &mut self.lock().forbidden;
        if is_forbidden {
            forbidden.insert(verb);
        } else {
            forbidden.remove(verb);
        }
    }

    /// Does not know paths with this part.
    pub(crate) fn lacks(&self, part: &'static str) {
        self.lock().unknown.push(part);
    }

    /// Gives lists in parts of so many slices.
    pub(crate) fn pages_of(&self, slices: usize) {
        self.lock().page = Some(slices);
    }

    /// Every request so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.lock().seen.clone()
    }

    /// Number of requests so far whose target has this part.
    pub(crate) fn count(&self, part: &str) -> usize {
        let state = self.lock();
        let seen = state.seen.iter();
        seen.filter(|seen| seen.target.contains(part)).count()
    }

    /// Number of watches that are open.
    pub(crate) fn watches(&self) -> usize {
        self.lock().watches
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}
