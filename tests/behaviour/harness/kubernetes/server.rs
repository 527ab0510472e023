//! Knowledge of the double of an API server, and its answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::harness::message::{Seen, parse_head};
use crate::harness::wire::Wire;

/// Knowledge of a server, and its faults.
#[derive(Default)]
pub(super) struct State {
    pub(super) slices: BTreeMap<String, Value>,
    pub(super) services: BTreeSet<String>,
    pub(super) revision: u64,
    /// Lines for watches, with the revision after each.
    pub(super) told: Vec<(u64, Told)>,
    /// Revisions before it are forgotten: a watch of them is answered with 410.
    pub(super) forgotten: u64,
    pub(super) tokens: BTreeSet<String>,
    /// Verbs that nobody may use.
    pub(super) forbidden: BTreeSet<&'static str>,
    /// Parts of paths that are not known.
    pub(super) unknown: Vec<&'static str>,
    /// Slices in one part of a list, whatever is asked for.
    pub(super) page: Option<usize>,
    pub(super) seen: Vec<Seen>,
    /// Watches that are open.
    pub(super) watches: usize,
}

#[derive(Clone)]
pub(super) enum Told {
    /// A change, which a later watch is told, too.
    Change(String),
    /// A line for those who watch now.
    Line(String),
    /// Bytes, and then no end of the line.
    Bytes(Vec<u8>),
    /// The orderly end of the watch.
    End,
    /// The end of the connection.
    Cut,
}

pub(super) async fn serve(
    stream: TcpStream,
    state: Arc<Mutex<State>>,
    mut changed: watch::Receiver<()>,
) {
    let mut wire = Wire::new(stream);
    while let Ok(head) = wire.head().await {
        let Some((method, target, _, fields)) = parse_head(&head) else {
            return;
        };
        let seen = Seen {
            method,
            target,
            fields,
            ..Seen::default()
        };
        let (answer, from) = lock(&state).answer(seen);
        if wire.send(&answer).await.is_err() {
            return;
        }
        let Some(from) = from else {
            continue;
        };
        let went_on = follow(&mut wire, &state, &mut changed, from).await;
        let mut state = lock(&state);
        state.watches = state.watches.saturating_sub(1);
        if !went_on {
            return;
        }
    }
}

/// Writes what is told after `from`; returns true if the connection goes on.
async fn follow(
    wire: &mut Wire,
    state: &Mutex<State>,
    changed: &mut watch::Receiver<()>,
    mut from: usize,
) -> bool {
    loop {
        changed.borrow_and_update();
        let told: Vec<Told> = {
            let state = lock(state);
            let new = state.told.get(from..).unwrap_or_default();
            new.iter().map(|(_, told)| told.clone()).collect()
        };
        from += told.len();
        for told in told {
            let (bytes, is_last) = match told {
                Told::Change(line) | Told::Line(line) => {
                    (chunk(format!("{line}\n").as_bytes()), false)
                }
                Told::Bytes(bytes) => (chunk(&bytes), false),
                Told::End => (b"0\r\n\r\n".to_vec(), true),
                Told::Cut => return false,
            };
            if wire.send(&bytes).await.is_err() {
                return false;
            }
            if is_last {
                return true;
            }
        }
        tokio::select! {
            changed = changed.changed() => if changed.is_err() { return false },
            _ = wire.until_end() => return false,
        }
    }
}

impl State {
    /// Returns the answer, and where a watch begins.
    fn answer(&mut self, seen: Seen) -> (Vec<u8>, Option<usize>) {
        let target = seen.target.clone();
        let token = seen
            .field("authorization")
            .trim_start_matches("Bearer ")
            .to_owned();
        self.seen.push(seen);
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let query: BTreeMap<&str, &str> = query
            .split('&')
            .filter_map(|it| it.split_once('='))
            .collect();
        if self.unknown.iter().any(|part| path.contains(part)) {
            return (
                status(404, "the server could not find the requested resource"),
                None,
            );
        }
        if !self.tokens.contains(&token) {
            return (status(401, "Unauthorized"), None);
        }
        let name = path.strip_prefix("/api/v1/namespaces/shop/services/");
        let verb = match (name, query.contains_key("watch")) {
            (Some(_), _) => "get",
            (None, true) => "watch",
            (None, false) => "list",
        };
        if self.forbidden.contains(verb) {
            let why = format!(
                "endpointslices.discovery.k8s.io is forbidden: User \"system:serviceaccount:shop:gate\" cannot {verb} resource \"endpointslices\" in API group \"discovery.k8s.io\" in the namespace \"shop\""
            );
            return (status(403, &why), None);
        }
        if let Some(name) = name {
            return match self.services.contains(name) {
                true => (answer(200, &json!({ "kind": "Service" })), None),
                false => (status(404, &format!("services \"{name}\" not found")), None),
            };
        }
        assert!(path.ends_with("/namespaces/shop/endpointslices"), "{path}");
        assert!(
            query["labelSelector"].starts_with("kubernetes.io%2Fservice-name"),
            "{target}"
        );
        match verb {
            "watch" => self.watch(&query),
            _ => (self.list(&query), None),
        }
    }

    fn list(&self, query: &BTreeMap<&str, &str>) -> Vec<u8> {
        let from: usize = query
            .get("continue")
            .map_or(0, |it| it.parse().expect("a number"));
        let limit: usize = query["limit"].parse().expect("a number");
        let limit = self.page.unwrap_or(limit);
        let selector = query["labelSelector"];
        let wanted = self.slices.values().filter(|slice| {
            let service = slice["metadata"]["labels"]["kubernetes.io/service-name"].as_str();
            selector.contains(service.expect("a label"))
        });
        let all: Vec<&Value> = wanted.collect();
        let items = all.iter().skip(from).take(limit);
        let items: Vec<&&Value> = items.collect();
        let end = from + items.len();
        let more = if end < all.len() {
            end.to_string()
        } else {
            String::new()
        };
        answer(
            200,
            &json!({ "kind": "EndpointSliceList", "items": items,
            "metadata": { "resourceVersion": self.revision.to_string(), "continue": more } }),
        )
    }

    fn watch(&mut self, query: &BTreeMap<&str, &str>) -> (Vec<u8>, Option<usize>) {
        assert_eq!(query["allowWatchBookmarks"], "true");
        let revision: u64 = query["resourceVersion"].parse().expect("a number");
        if revision < self.forgotten {
            return (status(410, "too old resource version"), None);
        }
        self.watches += 1;
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
        let mut begin = head.as_bytes().to_vec();
        for (of, told) in &self.told {
            match told {
                Told::Change(line) if *of > revision => {
                    begin.extend(chunk(format!("{line}\n").as_bytes()));
                }
                _ => {}
            }
        }
        (begin, Some(self.told.len()))
    }
}

fn status(code: u16, message: &str) -> Vec<u8> {
    answer(
        code,
        &json!({ "kind": "Status", "status": "Failure", "message": message, "code": code }),
    )
}

fn answer(code: u16, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let length = body.len();
    format!("HTTP/1.1 {code} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}").into()
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
    chunk.extend_from_slice(bytes);
    chunk.extend_from_slice(b"\r\n");
    chunk
}

pub(super) fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
