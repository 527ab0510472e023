//! A double of Eureka: no server of it can be had here. It speaks its wire protocol, in JSON and in
//! XML, and two real clients agree with it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

use super::backend::{Act, Backend};
use super::message::Seen;

/// A server with a registry, which others may share.
pub(crate) struct Eureka {
    server: Backend,
    registry: Arc<Mutex<Registry>>,
}

/// All instances, and what deltas tell.
#[derive(Default)]
struct Registry {
    instances: BTreeMap<(String, String), Value>,
    deltas: Vec<Value>,
}

impl Eureka {
    /// Starts one without instances.
    pub(crate) async fn start() -> Self {
        let registry = Arc::default();
        Self {
            server: Backend::start(script(&registry)).await,
            registry,
        }
    }

    /// Another server with the registry of this one, which is down.
    pub(crate) fn twin_down(&self) -> Self {
        Self {
            server: Backend::down(script(&self.registry)),
            registry: Arc::clone(&self.registry),
        }
    }

    pub(crate) async fn up(&mut self) {
        self.server.up().await;
    }

    pub(crate) async fn kill(&mut self) {
        self.server.kill().await;
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Number of times that all was fetched.
    pub(crate) fn fetches(&self) -> usize {
        self.server.count_of("GET", "/eureka/apps")
    }

    /// The instance with this id.
    pub(crate) fn find(&self, id: &str) -> Option<Value> {
        let registry = self.lock();
        let mut all = registry.instances.iter();
        all.find_map(|((_, known), it)| (known == id).then(|| it.clone()))
    }

    /// Enters or changes an instance, as a client does.
    pub(crate) fn put(&self, instance: Value) {
        self.lock().put(instance, true);
    }

    /// Enters or changes an instance, and tells it in no delta.
    pub(crate) fn put_silently(&self, instance: Value) {
        self.lock().put(instance, false);
    }

    /// Forgets an instance, and tells it in no delta.
    pub(crate) fn forget(&self, id: &str) {
        self.lock().instances.retain(|(_, known), _| known != id);
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().expect("no panic")
    }
}

impl Registry {
    fn put(&mut self, mut instance: Value, is_told: bool) {
        let text = |key: &str| instance[key].as_str().unwrap_or_default().to_owned();
        let id = match &*text("instanceId") {
            "" => text("hostName"),
            id => id.to_owned(),
        };
        let key = (text("app").to_uppercase(), id);
        let is_new = !self.instances.contains_key(&key);
        instance["actionType"] = if is_new { "ADDED" } else { "MODIFIED" }.into();
        self.instances.insert(key, instance.clone());
        if is_told {
            self.deltas.push(instance);
            // A server tells those of the last minutes.
            if self.deltas.len() > DELTAS_MAX {
                self.deltas.remove(0);
            }
        }
    }

    /// Counts of the states of all instances.
    fn hash(&self) -> String {
        let mut counts = BTreeMap::<&str, usize>::new();
        for instance in self.instances.values() {
            *counts
                .entry(instance["status"].as_str().unwrap_or_default())
                .or_default() += 1;
        }
        let mut hash = String::new();
        for (status, count) in counts {
            let _ = write!(hash, "{status}_{count}_");
        }
        hash
    }

    fn change(&mut self, method: &str, path: &[String], query: &str, body: &[u8]) -> u16 {
        let key = |app: &str, id: &str| (app.to_uppercase(), id.to_owned());
        match (method, path) {
            ("POST", [_]) => {
                let told: Value = serde_json::from_slice(body).expect("JSON");
                self.put(told["instance"].clone(), true);
                204
            }
            ("PUT", [app, id]) => match self.instances.contains_key(&key(app, id)) {
                true => 200,
                false => 404,
            },
            ("PUT", [app, id, what]) if what == "status" => {
                let Some(instance) = self.instances.get(&key(app, id)) else {
                    return 404;
                };
                let mut instance = instance.clone();
                let value = query.split('&').find_map(|it| it.strip_prefix("value="));
                instance["status"] = value.unwrap_or_default().into();
                self.put(instance, true);
                200
            }
            ("DELETE", [app, id]) => match self.instances.remove(&key(app, id)) {
                Some(mut instance) => {
                    instance["actionType"] = "DELETED".into();
                    self.deltas.push(instance);
                    200
                }
                None => 404,
            },
            _ => 405,
        }
    }
}

/// Answers as Eureka does.
fn script(registry: &Arc<Mutex<Registry>>) -> impl Fn(&Seen) -> Vec<Act> + Send + Sync + use<> {
    let registry = Arc::clone(registry);
    let reply = Arc::new(move |seen: &Seen| reply(&registry, seen));
    move |_| vec![Act::Read, Act::Reply(reply.clone())]
}

fn reply(registry: &Mutex<Registry>, seen: &Seen) -> Vec<u8> {
    let mut registry = registry.lock().expect("no panic");
    let (path, query) = seen.target.split_once('?').unwrap_or((&seen.target, ""));
    let Some(path) = path.strip_prefix("/eureka/apps") else {
        return answer(404, "text/plain", "");
    };
    let path: Vec<String> = path
        .split('/')
        .filter(|it| !it.is_empty())
        .map(decoded)
        .collect();
    if seen.method != "GET" {
        let status = registry.change(&seen.method, &path, query, &seen.body);
        return answer(status, "text/plain", "");
    }
    let all = || registry.instances.values().cloned().collect();
    let instances: Vec<Value> = match path.iter().map(|it| &**it).collect::<Vec<_>>()[..] {
        [] => all(),
        ["delta"] => registry.deltas.clone(),
        _ => return answer(404, "text/plain", ""),
    };
    let mut apps = BTreeMap::<String, Vec<Value>>::new();
    for instance in instances {
        let app = instance["app"].as_str().unwrap_or_default().to_uppercase();
        apps.entry(app).or_default().push(instance);
    }
    if seen.field("accept").contains("json") {
        let apps: Vec<Value> = apps
            .into_iter()
            .map(|(name, instance)| json!({ "name": name, "instance": instance }))
            .collect();
        let body = json!({ "applications": {
                "versions__delta": "1", "apps__hashcode": registry.hash(), "application": apps,
            } });
        return answer(200, "application/json", &body.to_string());
    }
    let mut body = format!(
        "<applications><versions__delta>1</versions__delta><apps__hashcode>{}</apps__hashcode>",
        registry.hash()
    );
    for (name, instances) in &apps {
        let _ = write!(body, "<application><name>{name}</name>");
        for instance in instances {
            xml(&mut body, instance);
        }
        body.push_str("</application>");
    }
    body.push_str("</applications>");
    answer(200, "application/xml", &body)
}

/// Writes an instance in XML.
fn xml(body: &mut String, instance: &Value) {
    body.push_str("<instance>");
    for (key, value) in instance.as_object().expect("an object") {
        match (&**key, value) {
            ("port" | "securePort", port) => {
                let enabled = port["@enabled"].to_string().replace('"', "");
                let number = port["$"].to_string().replace('"', "");
                let _ = write!(body, "<{key} enabled=\"{enabled}\">{number}</{key}>");
            }
            ("dataCenterInfo", center) => {
                let class = center["@class"].as_str().unwrap_or_default();
                let _ = write!(
                    body,
                    "<dataCenterInfo class=\"{class}\"><name>MyOwn</name></dataCenterInfo>"
                );
            }
            (_, Value::Object(map)) => {
                let _ = write!(body, "<{key}>");
                for (key, value) in map.iter().filter(|(key, _)| !key.starts_with('@')) {
                    let _ = write!(body, "<{key}>{}</{key}>", plain(value));
                }
                let _ = write!(body, "</{key}>");
            }
            (_, Value::Null) => {}
            (_, value) => {
                let _ = write!(body, "<{key}>{}</{key}>", plain(value));
            }
        }
    }
    body.push_str("</instance>");
}

fn plain(value: &Value) -> String {
    let text = value.as_str().map(str::to_owned);
    let text = text.unwrap_or_else(|| value.to_string());
    text.replace('&', "&amp;").replace('<', "&lt;")
}

fn answer(status: u16, kind: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let length = match status {
        204 => String::new(),
        _ => format!("Content-Length: {length}\r\n"),
    };
    let head = format!("HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\n{length}\r\n");
    (head + body).into_bytes()
}

/// Undoes percent-encoding.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let digits = [
                    rest.next().expect("two digits"),
                    rest.next().expect("two digits"),
                ];
                let digits = std::str::from_utf8(&digits).expect("digits");
                bytes.push(u8::from_str_radix(digits, 16).expect("hexadecimal"));
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).expect("UTF-8")
}

/// Changes that a delta tells.
const DELTAS_MAX: usize = 100;
