//! The promises of the public trait `Filter`, from outside: filters of an embedding program see
//! real requests, over HTTP/1.1 and HTTP/2.

use std::cell::Cell;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use bytes::Bytes;
use sluicegate::{
    exchange::{Exchange, Failure, Request, Response},
    filter::{Filter, LocalBoxFuture, Verdict},
    semantics::{Headers, Transform, Value},
};

use crate::harness::{
    Act, Answer, Backend, Client, H2Client, Inside, answer, eventually, identity,
};

type OnRequest = dyn Fn(&mut Exchange, &mut Request) -> Result<Verdict, Failure> + Send + Sync;
type OnResponse = dyn Fn(&mut Exchange, &mut Response) -> Result<(), Failure> + Send + Sync;

/// A filter that does what a test says, and signs every answer that it sees in `x-passed`.
pub(super) struct Step {
    name: &'static str,
    request: Box<OnRequest>,
    response: Box<OnResponse>,
}

/// A filter that only signs.
pub(super) fn step(name: &'static str) -> Step {
    Step {
        name,
        request: Box::new(|_, _| Ok(Verdict::Continue)),
        response: Box::new(|_, _| Ok(())),
    }
}

impl Step {
    pub(super) fn on_request(
        self,
        request: impl Fn(&mut Exchange, &mut Request) -> Result<Verdict, Failure>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        let request = Box::new(request);
        Self { request, ..self }
    }

    pub(super) fn on_response(
        self,
        response: impl Fn(&mut Exchange, &mut Response) -> Result<(), Failure> + Send + Sync + 'static,
    ) -> Self {
        let response = Box::new(response);
        Self { response, ..self }
    }
}

impl Filter for Step {
    fn on_request<'a>(
        &'a self,
        exchange: &'a mut Exchange,
        request: &'a mut Request,
    ) -> LocalBoxFuture<'a, Result<Verdict, Failure>> {
        Box::pin(async move { (self.request)(exchange, request) })
    }

    fn on_response<'a>(
        &'a self,
        exchange: &'a mut Exchange,
        response: &'a mut Response,
    ) -> LocalBoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            response
                .headers
                .append("x-passed", Value::from_static(self.name));
            (self.response)(exchange, response)
        })
    }
}

/// Appends a header line.
pub(super) fn tell(headers: &mut Headers, name: &'static str, value: impl AsRef<str>) {
    let value = http::HeaderValue::from_str(value.as_ref()).unwrap();
    headers.append(name, &value);
}

/// The same request over both protocols.
pub(super) async fn both(proxy: &Inside, target: &str) -> [Answer; 2] {
    let mut one = Client::connect(proxy.address()).await;
    let mut two = H2Client::connect(proxy.address()).await;
    [one.get(target).await, two.get(target).await.unwrap()]
}

/// A route of one pool, and that pool.
pub(super) fn route(name: &str, uses: &str, endpoint: SocketAddr) -> String {
    format!(
        "[routes.{name}]\npath_prefix = \"/{name}\"\npool = \"{name}\"\nuse = [{uses}]\n\
         [pools.{name}]\nendpoints = [\"{}\"]\nejection = false\n",
        endpoint
    )
}

/// Keeps the path of a request for its answer.
fn keeper(name: &'static str) -> Step {
    step(name)
        .on_request(move |exchange, request| {
            assert!(exchange.kept::<String>().is_none());
            exchange.keep(format!("{name}{}", request.uri.path()));
            exchange.keep(1_u32);
            exchange.keep(2_u32);
            request.uri = "/changed".parse().unwrap();
            Ok(Verdict::Continue)
        })
        .on_response(|exchange, response| {
            exchange.kept_mut::<String>().unwrap().push('!');
            let kept = exchange.take_kept::<String>().unwrap();
            assert!(exchange.kept::<String>().is_none() && exchange.kept() == Some(&2_u32));
            tell(&mut response.headers, "x-kept", kept);
            Ok(())
        })
}

#[tokio::test]
async fn what_a_filter_keeps_of_a_request_is_there_for_its_answer() {
    let app = Backend::start(identity("app")).await;
    let tables = route("a", "\"one\", \"two\"", app.address());
    let proxy = Inside::embed(1, &tables, |server| {
        let server = server.with_route_filter("one", keeper("one"));
        server.with_route_filter("two", keeper("two"))
    })
    .await;
    for answer in both(&proxy, "/a").await {
        assert_eq!(answer.fields.all("x-kept"), ["two/changed!", "one/a!"]);
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a_filter_has_state_of_its_own_on_each_worker() {
    let app = Backend::start(identity("app")).await;
    let tables = route("a", "\"one\", \"two\"", app.address());
    let counting = |name| {
        step(name).on_response(|exchange, response| {
            let count = exchange.per_worker(|| Cell::new(0_u32));
            count.set(count.get() + 1);
            let worker = thread::current().id();
            tell(
                &mut response.headers,
                "x-count",
                format!("{worker:?} {}", count.get()),
            );
            Ok(())
        })
    };
    let proxy = Inside::embed(2, &tables, |server| {
        let server = server.with_route_filter("one", counting("one"));
        server.with_route_filter("two", counting("two"))
    })
    .await;
    let mut counts = std::collections::BTreeMap::<String, u32>::new();
    let mut clients = Vec::new();
    while counts.len() < 2 || clients.len() < 8 {
        assert!(clients.len() < 200, "one worker has all connections");
        let mut client = Client::connect(proxy.address()).await;
        let answer = client.get("/a").await;
        let told = answer.fields.all("x-count");
        // Each has counted the same, since neither counts for the other.
        assert_eq!(told[0], told[1]);
        let (worker, count) = told[0].rsplit_once(' ').unwrap();
        let before = counts.entry(worker.to_owned()).or_default();
        *before += 1;
        assert_eq!(count, before.to_string(), "{worker}");
        clients.push(client);
    }
    proxy.finish().await;
}

#[tokio::test]
async fn what_a_filter_remembers_on_a_route_outlives_edits_of_other_things() {
    let app = Backend::start(identity("app")).await;
    let counting = step("count").on_response(|exchange, response| {
        let count = exchange.per_route(|| AtomicU32::new(0));
        let count = count.fetch_add(1, Ordering::Relaxed) + 1;
        tell(&mut response.headers, "x-count", count.to_string());
        Ok(())
    });
    let uses = |route_b: &str| {
        let a = route("a", "\"count\"", app.address());
        a + &route("b", route_b, app.address())
    };
    let proxy = Inside::embed(2, &uses("\"count\""), |server| {
        server.with_route_filter("count", counting)
    })
    .await;
    let count = async |target: &str| {
        let mut client = Client::connect(proxy.address()).await;
        client.get(target).await.field("x-count").to_owned()
    };
    for expected in ["1", "2", "3"] {
        assert_eq!(count("/a").await, expected);
    }
    assert_eq!(count("/b").await, "1", "routes have their own");
    // The route itself changes, and so does all else, but not that it has the filter.
    let edited = uses("").replace("ejection = false", "timeouts = { connect = \"2s\" }");
    proxy.reload(&edited).await;
    assert_eq!(count("/a").await, "4");
    assert_eq!(count("/b").await, "", "it has no filter now");
    proxy.reload(&uses("\"count\"")).await;
    assert_eq!(count("/a").await, "5");
    // What nothing uses is forgotten once the old generation has gone, at a later reload.
    proxy.reload(&uses("")).await;
    proxy
        .reload(&(uses("") + "\n[routes.c]\npath = \"/c\"\nrespond = {}\n"))
        .await;
    proxy.reload(&uses("\"count\"")).await;
    assert_eq!(count("/a").await, "6");
    assert_eq!(count("/b").await, "1");
    proxy.finish().await;
}

#[tokio::test]
async fn routes_choose_their_filters_and_the_order() {
    let app = Backend::start(answer_of_request).await;
    let sign = |name: &'static str| {
        step(name).on_request(move |_, request| {
            tell(&mut request.headers, "x-seen", name);
            Ok(Verdict::Continue)
        })
    };
    let mut tables = String::new();
    for (name, uses) in [("a", "\"x\", \"y\""), ("b", "\"y\", \"x\""), ("c", "")] {
        let _ = write!(tables, "{}", route(name, uses, app.address()));
    }
    let proxy = Inside::embed(1, &tables, |server| {
        let server = server.with_route_filter("x", sign("x"));
        let server = server.with_route_filter("y", sign("y"));
        let server = server.with_filter("on_all_2", sign("on_all_2"));
        server.with_filter("on_all_1", sign("on_all_1"))
    })
    .await;
    for (target, expected) in [
        ("/a", &["on_all_2", "on_all_1", "x", "y"][..]),
        ("/b", &["on_all_2", "on_all_1", "y", "x"]),
        ("/c", &["on_all_2", "on_all_1"]),
    ] {
        for answer in both(&proxy, target).await {
            assert_eq!(answer.text(), expected.join(","), "{target}");
            let back: Vec<&str> = expected.iter().rev().copied().collect();
            assert_eq!(answer.fields.all("x-passed"), back, "{target}");
        }
    }
    proxy.finish().await;
}

fn answer_of_request(seen: &crate::harness::Seen) -> Vec<Act> {
    answer(&seen.fields.all("x-seen").join(","))
}

/// Tells that it was dropped.
struct Held(Arc<AtomicU32>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_client_that_leaves_ends_what_filters_keep_and_nothing_comes_back() {
    let app = Backend::start(|_| vec![Act::Stall]).await;
    let (dropped, answers) = (Arc::new(AtomicU32::new(0)), Arc::new(Mutex::new(0)));
    let holding = {
        let (dropped, answers) = (Arc::clone(&dropped), Arc::clone(&answers));
        step("hold")
            .on_request(move |exchange, _| {
                exchange.keep(Held(Arc::clone(&dropped)));
                Ok(Verdict::Continue)
            })
            .on_response(move |_, _| {
                *answers.lock().unwrap() += 1;
                Ok(())
            })
    };
    let tables = route("a", "\"hold\"", app.address());
    let proxy = Inside::embed(1, &tables, |it| it.with_route_filter("hold", holding)).await;
    let mut one = Client::connect(proxy.address()).await;
    one.send("GET /a HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let mut two = H2Client::connect(proxy.address()).await;
    let (response, mut body) = two.open("POST", "/a", &[], false).await.unwrap();
    app.has_seen(2).await;
    assert_eq!(dropped.load(Ordering::SeqCst), 0);
    one.abort();
    body.send_reset(h2::Reason::CANCEL);
    drop(response);
    eventually("what was kept is dropped", async || {
        (dropped.load(Ordering::SeqCst) == 2).then_some(())
    })
    .await;
    assert_eq!(*answers.lock().unwrap(), 0);
    proxy.finish().await;
}

/// Passes everything, and holds something for as long as the body lasts.
#[derive(Debug)]
struct Through;

impl Transform for Through {
    fn data(&mut self, input: &mut Bytes) -> Result<Bytes, Failure> {
        Ok(std::mem::take(input))
    }
}

#[tokio::test]
async fn what_a_filter_keeps_lasts_to_the_end_of_the_body() {
    let gate = crate::harness::Gate::new();
    let waits = gate.clone();
    let app = Backend::start(move |_| {
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab".to_owned();
        vec![
            Act::Send(head.into_bytes()),
            Act::Wait(waits.clone()),
            Act::Send(b"cd".to_vec()),
        ]
    })
    .await;
    let dropped = Arc::new(AtomicU32::new(0));
    let held = Arc::clone(&dropped);
    let holding = step("hold").on_response(move |exchange, response| {
        exchange.keep(Held(Arc::clone(&held)));
        response.transform(Through);
        Ok(())
    });
    let tables = route("a", "\"hold\"", app.address());
    let proxy = Inside::embed(1, &tables, |it| it.with_route_filter("hold", holding)).await;
    let mut client = Client::connect(proxy.address()).await;
    client.send("GET /a HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(client.head().await.0, 200);
    assert_eq!(dropped.load(Ordering::SeqCst), 0);
    gate.open();
    eventually("what was kept is dropped", async || {
        (dropped.load(Ordering::SeqCst) == 1).then_some(())
    })
    .await;
    proxy.finish().await;
}
