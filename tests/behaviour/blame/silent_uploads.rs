//! Request bodies of which the rest never comes, whoever speaks what.

use crate::harness::{
    Act, Backend, H2Act, H2Backend, Proxy, Settings, answer, eventually, h2_read,
};

/// Ejects after three failures in a row; `path` is the route of each pool.
fn text(timeouts: &str) -> String {
    let route = |name: &str| {
        format!(
            "[routes.{name}]\npath_prefix = \"/{name}\"\npool = \"{name}\"\n{timeouts}\n\
             [pools.{name}]\nendpoints = [\"${name}\", \"${name}two\"]\nejection = {{ consecutive = 3 }}\n"
        )
    };
    format!(
        "[proxy]\nworkers = 1\n{}{}protocol = \"h2\"\n",
        route("one"),
        route("two")
    )
}

/// Endpoints of both protocols, which read all of a body before they answer; two each, since the
/// last one of a pool is never ejected.
async fn endpoints() -> ([Backend; 2], [H2Backend; 2]) {
    let one = |_: &_| [vec![Act::Read], answer("read")].concat();
    let two = |_: &_| vec![H2Act::Read, H2Act::Head(200, vec![]), H2Act::End];
    (
        [Backend::start(one).await, Backend::start(one).await],
        [H2Backend::start(two).await, H2Backend::start(two).await],
    )
}

async fn start(text: &str, one: &[Backend; 2], two: &[H2Backend; 2]) -> Proxy {
    Settings::new(text)
        .address("one", one[0].address())
        .address("onetwo", one[1].address())
        .address("two", two[0].address())
        .address("twotwo", two[1].address())
        .start()
        .await
}

async fn assert_nobody_is_blamed(proxy: &Proxy) {
    let ejections = proxy.metric("sluicegate_ejections_total", &[]).await;
    assert!(ejections < 0.5, "{ejections} ejections");
}

/// Eight clients of each protocol at each pool begin a body and send no more of it.
async fn each_is_a_408(listener: &str, route: &str) {
    let text = format!(
        "[listeners.web]\naddress = \"$web\"\ntimeouts = {{ {listener} }}\n{}",
        text(&format!("timeouts = {{ {route} }}"))
    );
    let (one, two) = endpoints().await;
    let proxy = start(&text, &one, &two).await;
    for pool in ["one", "two"] {
        let path = format!("/{pool}/stalled");
        let mut clients = Vec::new();
        let mut h2 = proxy.h2_client().await;
        let mut streams = Vec::new();
        for _ in 0..8 {
            let mut client = proxy.client().await;
            let head = format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf");
            client.send(head).await;
            clients.push(client);
            let opened = h2.open("POST", &path, &[("content-length", "10")], false);
            let (response, mut stream) = opened.await.unwrap();
            stream.send_data("half".into(), false).unwrap();
            streams.push((response, stream));
        }
        for mut client in clients {
            let answer = client.answer().await;
            answer.assert_failure(408, "http_request_error");
        }
        for (response, _stream) in streams {
            let answer = h2_read(response).await.unwrap();
            assert_eq!(answer.status, 408, "{pool} over HTTP/2: {answer:?}");
        }
        assert_eq!(h2.get(&format!("/{pool}/next")).await.unwrap().status, 200);
    }
    assert_nobody_is_blamed(&proxy).await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_body_that_never_comes_is_the_clients_fault_in_every_pair_of_protocols() {
    each_is_a_408("body_idle = \"300ms\"", "idle = \"20s\"").await;
}

#[tokio::test]
async fn a_body_that_never_comes_is_the_clients_fault_where_the_route_is_less_patient() {
    each_is_a_408("body_idle = \"20s\"", "idle = \"300ms\"").await;
}

#[tokio::test]
async fn an_upload_that_its_client_resets_is_no_fault_of_the_endpoint() {
    let text = format!("[listeners.web]\naddress = \"$web\"\n{}", text(""));
    let (one, two) = endpoints().await;
    let proxy = start(&text, &one, &two).await;
    let mut aborted = 0;
    for pool in ["one", "two"] {
        for _ in 0..5 {
            let path = format!("/{pool}/{aborted}");
            let mut client = proxy.client().await;
            let head = format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf");
            client.send(head).await;
            let mut h2 = proxy.h2_client().await;
            let opened = h2.open("POST", &path, &[], false).await;
            let (response, mut stream) = opened.unwrap();
            stream.send_data("half".into(), false).unwrap();
            eventually("both requests are at an endpoint", || async {
                let seen = one.iter().map(|backend| backend.seen());
                let seen = seen.chain(two.iter().map(|backend| backend.seen()));
                let here = seen.flatten().filter(|seen| seen.target == path);
                (here.count() == 2).then_some(())
            })
            .await;
            client.abort();
            stream.send_reset(h2::Reason::CANCEL);
            drop(response);
            aborted += 2;
            let ended = || async {
                let lines = proxy.access_log();
                let here = lines.into_iter().filter(|line| line["path"] == path);
                let lines: Vec<_> = here.collect();
                (lines.len() == 2).then_some(lines)
            };
            for line in eventually("both are logged", ended).await {
                assert_eq!(line["status"], 499, "{line}");
                assert_eq!(line["reason"], "client_gone", "{line}");
            }
        }
    }
    assert_nobody_is_blamed(&proxy).await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_grpc_call_may_pause_longer_than_a_body() {
    let (one, two) = endpoints().await;
    let text = format!(
        "[listeners.web]\naddress = \"$web\"\ntimeouts = {{ body_idle = \"200ms\" }}\n{}",
        text("timeouts = { idle = \"20s\" }")
    );
    let proxy = start(&text, &one, &two).await;
    let mut h2 = proxy.h2_client().await;
    let fields = [("content-type", "application/grpc"), ("te", "trailers")];
    let (response, mut stream) = h2.open("POST", "/two/call", &fields, false).await.unwrap();
    stream.send_data("one".into(), false).unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    stream.send_data("two".into(), true).unwrap();
    assert_eq!(h2_read(response).await.unwrap().status, 200);
    let seen = two.iter().flat_map(|backend| backend.seen());
    let bodies: Vec<_> = seen.map(|seen| seen.body).collect();
    assert_eq!(bodies, [b"onetwo"]);
    proxy.finish().await;
}
