//! A filter may ask a pool before it lets a request go on, as for an authorization elsewhere: the
//! subrequest has the retries, health, limits and time limits of any request.

use std::time::Duration;

use http::{HeaderValue, StatusCode, uri::PathAndQuery};
use sluicegate::{
    exchange::{Body, Exchange, Failure, Request, Response, Subrequest},
    filter::{Filter, LocalBoxFuture, Verdict},
};

use crate::harness::{
    Act, Backend, Client, Inside, Port, answer, answer_bytes, eventually, identity,
};

/// Asks the pool `auth` for leave; says in the request whose leave it is, and which endpoints were
/// asked.
struct Ask;

impl Filter for Ask {
    fn on_request<'a>(
        &'a self,
        exchange: &'a mut Exchange,
        request: &'a mut Request,
    ) -> LocalBoxFuture<'a, Result<Verdict, Failure>> {
        Box::pin(async move {
            let mut question = Subrequest::get(PathAndQuery::from_static("/leave"));
            question.timeout = match exchange.target() {
                "/1" => Duration::from_secs(60),
                _ => Duration::from_millis(800),
            };
            let target = HeaderValue::try_from(exchange.target()).unwrap();
            question.headers.insert("x-original", &target);
            let mut leave = exchange.subrequest("auth", question).await?;
            let said = leave.read(1024).await?;
            if leave.status != StatusCode::OK {
                let mut refusal = Response::new(Body::full(said));
                refusal.status = leave.status;
                return Ok(Verdict::Reply(refusal));
            }
            let asked: Vec<String> = leave.attempts().map(|(_, outcome)| outcome).collect();
            let asked = HeaderValue::try_from(asked.join(",")).unwrap();
            request.headers.insert("x-asked", &asked);
            let user = HeaderValue::from_maybe_shared(said).unwrap();
            request.headers.insert("x-user", &user);
            Ok(Verdict::Continue)
        })
    }

    fn on_response<'a>(
        &'a self,
        _exchange: &'a mut Exchange,
        _response: &'a mut Response,
    ) -> LocalBoxFuture<'a, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }
}

/// Starts the proxy before `app`, with these lines for the pool `auth`.
async fn before(app: &Backend, auth: &str) -> Inside {
    let app = app.address();
    let tables = format!(
        "[routes.all]\npool = \"app\"\n[pools.app]\nendpoints = [\"{app}\"]\n[pools.auth]\n{auth}"
    );
    Inside::start(&tables, Ask).await
}

async fn get(proxy: &Inside, target: &str) -> (u16, String) {
    let mut client = Client::connect(proxy.address()).await;
    let request = format!("GET {target} HTTP/1.1\r\nhost: shop.example\r\n\r\n");
    client.send(request).await;
    let answer = client.answer_to("GET").await;
    (answer.status, answer.text())
}

#[tokio::test]
async fn a_filter_asks_a_pool_before_the_request_goes_on() {
    let app = Backend::start(identity("app")).await;
    let auth = Backend::start(|seen| match seen.fields.get("x-original") {
        Some("/secret") => answer_bytes("HTTP/1.1 403 No\r\ncontent-length: 2\r\n\r\nno"),
        _ => answer("jo"),
    })
    .await;
    let proxy = before(&app, &format!("endpoints = [\"{}\"]", auth.address())).await;
    assert_eq!(get(&proxy, "/open").await, (200, "app".into()));
    let seen = app.only();
    assert_eq!(seen.fields.get("x-user"), Some("jo"));
    assert_eq!(seen.fields.get("x-asked"), Some("200"));
    let question = auth.only();
    assert_eq!(question.target, "/leave");
    assert_eq!(
        question.fields.get("host"),
        Some(auth.address().to_string().as_str())
    );
    let id = seen.fields.get("x-request-id");
    assert!(id.is_some() && question.fields.get("x-request-id") == id);
    assert_eq!(get(&proxy, "/secret").await, (403, "no".into()));
    assert_eq!(app.count(), 1, "what was refused did not go on");
    proxy.finish().await;
}

#[tokio::test]
async fn a_subrequest_is_retried_elsewhere_and_passes_over_what_is_ejected() {
    let app = Backend::start(identity("app")).await;
    let dead = Port::take();
    let bad = Backend::start(|_| vec![Act::Read, Act::Reset]).await;
    let good = Backend::start(identity("jo")).await;
    let (bad_at, good_at) = (bad.address(), good.address());
    let auth = format!(
        "endpoints = [\"{}\", \"{bad_at}\", \"{good_at}\"]\n\
         ejection = {{ consecutive = 2, base = \"60s\", share_max = \"100%\" }}\n\
         retry_budget = {{ ratio = \"100%\", minimum = 100 }}",
        dead.address()
    );
    let proxy = before(&app, &auth).await;
    for _ in 0..12 {
        assert_eq!(get(&proxy, "/").await, (200, "app".into()));
    }
    assert_eq!(good.count(), 12);
    assert_eq!(bad.count(), 2, "ejected after two failures");
    let seen = app.seen();
    let asked = |seen: &crate::harness::Seen| seen.fields.get("x-asked").unwrap().to_owned();
    let retried = seen.iter().filter(|seen| asked(seen) != "200").count();
    assert!((2..=4).contains(&retried), "{retried}");
    assert_eq!(asked(seen.last().unwrap()), "200");
    proxy.finish().await;
}

#[tokio::test]
async fn a_subrequest_respects_the_limits_of_its_pool_and_gives_its_place_back() {
    let app = Backend::start(identity("app")).await;
    let auth = Backend::start(|seen| match seen.fields.get("x-original") {
        Some("/1") => vec![Act::Read, Act::Stall],
        _ => answer("jo"),
    })
    .await;
    let lines = format!(
        "endpoints = [\"{}\"]\nlimits = {{ requests = 1, queue = 0 }}",
        auth.address()
    );
    let proxy = before(&app, &lines).await;
    let mut first = Client::connect(proxy.address()).await;
    first.send("GET /1 HTTP/1.1\r\nhost: a\r\n\r\n").await;
    auth.has_seen(1).await;
    assert_eq!(get(&proxy, "/2").await.0, 503, "there is no place left");
    // The first client leaves, long before the subrequest has had its time.
    first.abort();
    eventually("the place is free", async || {
        (get(&proxy, "/3").await.0 == 200).then_some(())
    })
    .await;
    assert!(app.seen().iter().all(|seen| seen.target == "/3"));
    proxy.finish().await;
}

#[tokio::test]
async fn a_subrequest_ends_at_its_deadline() {
    let app = Backend::start(identity("app")).await;
    let auth = Backend::start(|_| vec![Act::Read, Act::Stall]).await;
    let proxy = before(&app, &format!("endpoints = [\"{}\"]", auth.address())).await;
    assert_eq!(get(&proxy, "/").await.0, 504);
    let slow = Backend::start(|_| {
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf";
        vec![Act::Read, Act::Send(head.into()), Act::Stall]
    })
    .await;
    let other = before(&app, &format!("endpoints = [\"{}\"]", slow.address())).await;
    assert_eq!(get(&other, "/").await.0, 504, "the body counts, too");
    assert_eq!(app.count(), 0);
    proxy.finish().await;
    other.finish().await;
}

#[tokio::test]
async fn the_record_of_a_request_has_the_attempts_of_its_subrequests() {
    let app = Backend::start(identity("app")).await;
    let bad = Backend::start(|_| vec![Act::Read, Act::Reset]).await;
    let auth = format!(
        "endpoints = [\"{}\"]\nejection = false\nretry_budget = {{ ratio = \"100%\", minimum = 9 }}",
        bad.address()
    );
    let proxy = before(&app, &auth).await;
    assert_eq!(get(&proxy, "/").await.0, 502);
    let endpoint = bad.address().to_string();
    let attempts = eventually("the record", async || {
        let all = proxy.requests().await;
        Some(all.first()?["attempts"].as_array()?.clone())
    })
    .await;
    assert_eq!(attempts.len(), 3, "{attempts:?}");
    for attempt in &attempts {
        assert_eq!(attempt["subrequest"], true, "{attempt}");
        assert_eq!(attempt["endpoint"], *endpoint);
        assert_eq!(attempt["outcome"], "connection_terminated");
    }
    assert_eq!(app.count(), 0);
    proxy.finish().await;
}
