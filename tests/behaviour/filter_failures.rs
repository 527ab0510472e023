//! A request that a filter refuses, or that fails behind it, is answered by way of the filters that
//! saw it.

use http::StatusCode;
use sluicegate::{
    exchange::{Body, Exchange, Failure, Reason, Refusal, Response},
    filter::Verdict,
    semantics::{Known, Value},
    server::Server,
};

use crate::filters::{Step, both, route, step, tell};
use crate::harness::{Act, Backend, Client, Inside, Port, identity};

/// Address at which nobody listens.
fn dead() -> Port {
    Port::take()
}

const QUOTA: Reason = Reason::new("quota_used");

fn refuse(exchange: &mut Exchange) -> Failure {
    let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, QUOTA)
        .sentence("the quota of this month is used")
        .header(Known::RetryAfter, Value::from_static("77"))
        .header("x-quota", Value::from_static("0"))
        .detail("tenant 17, \"gold\"");
    exchange.refuse(refusal)
}

#[tokio::test]
async fn a_refusal_says_the_same_everywhere_and_its_detail_to_the_log_alone() {
    let app = Backend::start(identity("app")).await;
    let log = "[access_log]\npath = \"access.log\"\n";
    let tables = log.to_owned() + &route("a", "\"refuse\"", app.address());
    let proxy = Inside::embed(1, &tables, |server| {
        let refusing = step("refuse").on_request(|exchange, _| Err(refuse(exchange)));
        server.with_route_filter("refuse", refusing)
    })
    .await;
    for answer in both(&proxy, "/a").await {
        answer.assert_failure(429, "quota_used");
        assert!(answer.text().contains("the quota of this month is used"));
        assert_eq!(
            (answer.field("retry-after"), answer.field("x-quota")),
            ("77", "0")
        );
        assert!(!format!("{answer:?}{}", answer.text()).contains("tenant 17"));
        let line = proxy.logged(answer.field("x-request-id")).await;
        assert_eq!(
            (&line["status"], &line["reason"]),
            (&429.into(), &"quota_used".into())
        );
        assert_eq!(line["reason_detail"], "tenant 17, \"gold\"");
    }
    let labels = [
        ("route", "a"),
        ("reason", "quota_used"),
        ("status_class", "4xx"),
    ];
    let count = proxy
        .metrics()
        .await
        .sum("sluicegate_requests_total", &labels);
    assert_eq!(count, Some(2.0));
    // A call of gRPC hears of it in its own way.
    let mut client = Client::connect(proxy.address()).await;
    let kind = "content-type: application/grpc\r\n";
    let answer = client.request("POST", "/a", kind, b"").await;
    assert_eq!((answer.status, answer.field("grpc-status")), (200, "14"));
    assert_eq!(answer.field("retry-after"), "77");
    assert!(answer.field("proxy-status").contains("error=quota_used"));
    assert_eq!(app.count(), 0);
    proxy.finish().await;
}

/// A chain of three, of which the third one is given; all sign the answers that they see.
fn three(server: Server, third: Step) -> Server {
    let server = server.with_filter("first", step("first"));
    let server = server.with_filter("second", step("second"));
    server.with_filter("third", third)
}

/// A first chunk that is none: the body fails before any of it can have left.
const BAD_BODY: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnothing\r\n";

#[tokio::test]
async fn failures_of_the_proxy_pass_the_filters_that_saw_the_request() {
    let broken = Backend::start(|_| vec![Act::Send(BAD_BODY.into())]).await;
    let nobody = dead();
    let mut tables =
        route("refused", "", nobody.address()) + &route("broken", "", broken.address());
    tables.push_str("[routes.no]\npath = \"/no\"\nbody_max = \"0B\"\npool = \"broken\"\n");
    let proxy = Inside::embed(1, &tables, |server| {
        let third = step("third").on_response(|exchange, response| {
            let failure = exchange.failure().map(Failure::word);
            assert_eq!(failure, exchange.reason());
            tell(
                &mut response.headers,
                "x-failure",
                failure.unwrap_or("none"),
            );
            Ok(())
        });
        three(server, third)
    })
    .await;
    let passed = ["third", "second", "first"];
    for answer in both(&proxy, "/refused").await {
        answer.assert_failure(502, "connection_refused");
        assert_eq!(answer.fields.all("x-passed"), passed);
        assert_eq!(answer.field("x-failure"), "connection_refused");
    }
    for answer in both(&proxy, "/broken").await {
        answer.assert_failure(502, "http_protocol_error");
        assert_eq!(answer.fields.all("x-passed"), passed, "{answer:?}");
        assert_eq!(answer.field("x-failure"), "http_protocol_error");
    }
    // Nobody has seen a request that no route is for.
    for answer in both(&proxy, "/elsewhere").await {
        answer.assert_failure(404, "destination_not_found");
        assert!(!answer.fields.has("x-passed"));
    }
    proxy.finish().await;
}

#[tokio::test]
async fn an_answer_passes_only_the_filters_before_the_one_that_made_it() {
    let app = Backend::start(identity("app")).await;
    let tables = route("a", "", app.address());
    let third = step("third").on_request(|exchange, request| match request.uri.query() {
        Some("refuse") => Err(refuse(exchange)),
        Some("fail") => Err(Failure::LimitReached),
        Some("panic") => panic!("the filter is broken"),
        _ => Ok(Verdict::Reply(Response::new(Body::from("made here")))),
    });
    let proxy = Inside::embed(1, &tables, |server| three(server, third)).await;
    for (query, status) in [
        ("refuse", 429),
        ("fail", 503),
        ("panic", 500),
        ("reply", 200),
    ] {
        for answer in both(&proxy, &format!("/a?{query}")).await {
            assert_eq!(answer.status, status, "{query}");
            assert_eq!(
                answer.fields.all("x-passed"),
                ["second", "first"],
                "{query}"
            );
        }
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a_filter_that_fails_on_the_way_back_gives_a_plain_failure() {
    let app = Backend::start(identity("app")).await;
    let nobody = dead();
    let tables = route("good", "", app.address()) + &route("dead", "", nobody.address());
    let fails = |name: &'static str| {
        step(name).on_response(|exchange, _| match exchange.target() {
            target if target.ends_with("?fail") => Err(refuse(exchange)),
            _ => panic!("the filter is broken"),
        })
    };
    let proxy = Inside::embed(1, &tables, |server| {
        let server = server.with_filter("first", step("first"));
        let server = server.with_filter("second", fails("second"));
        server.with_filter("third", fails("third"))
    })
    .await;
    for target in ["/good", "/dead"] {
        for answer in both(&proxy, &format!("{target}?panic")).await {
            answer.assert_failure(500, "proxy_internal_error");
            assert_eq!(answer.fields.all("x-passed"), ["first"]);
        }
        for answer in both(&proxy, &format!("{target}?fail")).await {
            answer.assert_failure(429, "quota_used");
            assert_eq!(answer.fields.all("retry-after"), ["77"]);
            assert_eq!(answer.fields.all("x-passed"), ["first"]);
        }
    }
    proxy.finish().await;
}
