//! HTTP/3 towards clients, as aioquic speaks it: requests and answers of all kinds, certificates,
//! what it leaves in logs and figures.

use std::{ffi::OsString, time::Duration};

use crate::harness::{
    Act, Authority, Backend, Gate, Peer, Proxy, Seen, Settings, answer, answer_bytes, packages,
    run_peer,
};

/// A listener with HTTP/3 and these lines, in front of `$app`.
pub(super) fn offered(lines: &str) -> String {
    format!(
        r#"
        [listeners.web]
        address = "$web"
        protocols = ["http/1.1", "h2", "h3"]
        tls = {{ certificates = [{{ chain = "a.pem", key = "a.key" }}] }}
        {lines}
        [routes.all]
        pool = "app"
        [pools.app]
        endpoints = ["$app"]
        "#
    )
}

/// A proxy that speaks HTTP/3, and the file of its authority.
pub(super) struct Offer {
    pub(super) proxy: Proxy,
    pub(super) packages: OsString,
    ca: String,
    pub(super) authority: Authority,
}

impl Offer {
    /// Starts one with this text; none if the packages are not installed.
    pub(super) async fn start(text: &str, app: &Backend) -> Option<Self> {
        let packages = packages()?;
        let settings = Settings::new(text).backend("app", app);
        let authority = Authority::new("test authority");
        let issued = authority.issue("shop", &["shop.example"]);
        issued.write(settings.folder(), "a");
        authority.write(settings.folder(), "ca.pem");
        let ca = settings.folder().join("ca.pem").display().to_string();
        let proxy = settings.start().await;
        Some(Self {
            proxy,
            packages,
            ca,
            authority,
        })
    }

    /// The arguments of a scenario.
    pub(super) fn arguments(&self, scenario: &str, more: &[&str]) -> Vec<String> {
        let address = self.proxy.address("web").to_string();
        let first = [scenario.to_owned(), address, self.ca.clone()];
        let more = more.iter().map(|&argument| argument.to_owned());
        first.into_iter().chain(more).collect()
    }

    /// Runs a scenario of a program to its end.
    pub(super) async fn run(&self, program: &str, scenario: &str, more: &[&str]) {
        run_peer(&self.packages, program, &self.arguments(scenario, more)).await;
    }

    /// Starts a client that goes on until it is told to end.
    pub(super) async fn hold(&self, scenario: &str) -> Peer {
        let arguments = self.arguments(scenario, &[]);
        Peer::start(&self.packages, "http3_client.py", &arguments).await
    }
}

/// An endpoint that answers with the target of the request.
pub(super) async fn echo() -> Backend {
    Backend::start(|seen: &Seen| match seen.method.as_str() {
        "HEAD" => answer_bytes("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"),
        _ => answer(&seen.target),
    })
    .await
}

const CLIENT: &str = "http3_client.py";

#[tokio::test]
async fn requests_are_served_and_told_as_http_3() {
    let app = echo().await;
    let Some(offer) = Offer::start(&offered(""), &app).await else {
        return;
    };
    offer.run(CLIENT, "get", &[]).await;
    let proxy = offer.proxy;
    let seen = app.seen();
    assert_eq!(seen.len(), 104);
    for seen in &seen {
        assert_eq!(seen.field("x-forwarded-proto"), "https");
        assert_eq!(seen.field("host"), "shop.example");
        assert!(seen.field("via").starts_with("3 "), "{}", seen.field("via"));
    }
    let line = proxy
        .logged("of the first", |line| line["path"] == "/h3/0?a=b%20c")
        .await;
    assert_eq!(line["protocol"], "HTTP/3.0");
    assert_eq!(line["status"], 200);
    assert_eq!(line["tls"], "TLSv1.3/AES_256_GCM_SHA384");
    let done = proxy.metric(
        "sluicegate_tls_handshakes_total",
        &[("listener", "web"), ("result", "full")],
    );
    assert!((done.await - 1.0).abs() < 0.1);
    proxy.finish().await;
}

#[tokio::test]
async fn answers_without_a_body_interim_ones_and_trailers_pass() {
    let app = Backend::start(|seen: &Seen| match seen.target.as_str() {
        "/status/204" => answer_bytes("HTTP/1.1 204 No Content\r\n\r\n"),
        "/status/304" => answer_bytes("HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n"),
        "/hints" => answer_bytes(
            "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n\
             HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        ),
        _ => answer_bytes(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n\
             d\r\nwith trailers\r\n0\r\nx-sum: 7\r\n\r\n",
        ),
    })
    .await;
    let Some(offer) = Offer::start(&offered(""), &app).await else {
        return;
    };
    offer.run(CLIENT, "statuses", &[]).await;
    offer.proxy.finish().await;
}

#[tokio::test]
async fn bodies_stream_in_both_directions() {
    let app = Backend::start(|seen: &Seen| {
        let reply = |seen: &Seen| {
            let body = if seen.target == "/back" {
                seen.body.clone()
            } else {
                let sum = match seen.trailers.get("x-sum") {
                    Some(sum) => format!(" x-sum={sum}"),
                    None => String::new(),
                };
                let text = String::from_utf8_lossy(&seen.body);
                format!("{} {text}{sum}", seen.body.len()).into_bytes()
            };
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            [head.into_bytes(), body].concat()
        };
        let _ = seen;
        vec![Act::Read, Act::Reply(std::sync::Arc::new(reply))]
    })
    .await;
    let Some(offer) = Offer::start(&offered(""), &app).await else {
        return;
    };
    offer.run(CLIENT, "bodies", &[]).await;
    offer.proxy.finish().await;
}

#[tokio::test]
async fn a_body_over_10_mib_is_refused_by_default() {
    let app = Backend::start(|_| answer("app")).await;
    let Some(offer) = Offer::start(&offered(""), &app).await else {
        return;
    };
    let bytes_max = (10 << 20).to_string();
    offer.run(CLIENT, "bound", &[&bytes_max]).await;
    let whole = app.seen().into_iter().filter(|seen| seen.complete);
    assert_eq!(whole.count(), 1);
    offer.proxy.finish().await;
}

#[tokio::test]
async fn an_early_answer_stops_the_request_in_order() {
    let app = Backend::start(|seen: &Seen| match seen.target.as_str() {
        // Without reading the body.
        "/early" => vec![
            Act::Send(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno".to_vec()),
            Act::Stall,
        ],
        target => answer(target),
    })
    .await;
    let Some(offer) = Offer::start(&offered(""), &app).await else {
        return;
    };
    offer.run(CLIENT, "early", &[]).await;
    offer.proxy.finish().await;
}

#[tokio::test]
async fn a_body_that_breaks_off_does_not_end_in_order() {
    let app = Backend::start(|seen: &Seen| {
        let head = if seen.target == "/cut" {
            "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"
        } else {
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"
        };
        // Broken off with its head, the request would be tried again.
        let later = Act::Pause(Duration::from_millis(500));
        [answer_bytes(head), vec![later, Act::Close]].concat()
    })
    .await;
    let Some(offer) = Offer::start(&offered(""), &app).await else {
        return;
    };
    offer.run(CLIENT, "cut", &[]).await;
    let line = offer
        .proxy
        .logged("of the cut one", |line| line["path"] == "/cut");
    assert_eq!(line.await["reason"], "http_response_incomplete");
    offer.proxy.finish().await;
}

#[tokio::test]
async fn a_client_that_cancels_is_told_as_gone_and_its_endpoint_is_let_go() {
    let arrived = Gate::new();
    let app = Backend::start({
        let arrived = arrived.clone();
        move |seen: &Seen| match seen.target.as_str() {
            "/slow" => {
                arrived.open();
                vec![Act::Stall]
            }
            target => answer(target),
        }
    })
    .await;
    let Some(offer) = Offer::start(&offered(""), &app).await else {
        return;
    };
    let client = offer.hold("cancel").await;
    arrived.wait().await;
    client.ended().await.expect("the client is content");
    let line = offer
        .proxy
        .logged("of the slow one", |line| line["path"] == "/slow");
    let line = line.await;
    assert_eq!(line["status"], 499, "{line}");
    offer.proxy.finish().await;
}

#[tokio::test]
async fn client_certificates_are_asked_for_and_their_host_is_held_to() {
    let Some(packages) = packages() else { return };
    let app = echo().await;
    let text = offered("").replace(
        "key = \"a.key\" }]",
        "key = \"a.key\" }], client_ca = \"ca.pem\"",
    );
    let settings = Settings::new(&text).backend("app", &app);
    let authority = Authority::new("test authority");
    let folder = settings.folder().to_owned();
    let names = ["shop.example", "other.example"];
    authority.issue("shop", &names).write(&folder, "a");
    authority
        .issue("robot", &["robot.example"])
        .write(&folder, "c");
    authority.write(&folder, "ca.pem");
    let proxy = settings.start().await;
    let path = |name: &str| folder.join(name).display().to_string();
    let arguments = [
        "identity".to_owned(),
        proxy.address("web").to_string(),
        path("ca.pem"),
        path("c.pem"),
        path("c.key"),
    ];
    run_peer(&packages, CLIENT, &arguments).await;
    let line = proxy
        .logged("of the certified one", |line| line["path"] == "/certified")
        .await;
    assert!(
        line["tls_subject"]
            .as_str()
            .is_some_and(|it| it.contains("robot")),
        "{line}"
    );
    proxy.finish().await;
}

#[tokio::test]
async fn many_connections_at_once_are_served() {
    let app = echo().await;
    let lines = r#"timeouts = { handshake = "60s" }"#;
    let Some(offer) = Offer::start(&offered(lines), &app).await else {
        return;
    };
    offer.run(CLIENT, "crowd", &["100"]).await;
    offer.proxy.finish().await;
}

#[tokio::test]
async fn connections_over_the_limit_are_refused() {
    let app = echo().await;
    let text = offered("limits = { connections = 1 }");
    let Some(offer) = Offer::start(&text, &app).await else {
        return;
    };
    let held = offer.hold("keep").await;
    offer.run(CLIENT, "refused", &[]).await;
    drop(held);
    offer.proxy.finish().await;
}

#[tokio::test]
async fn a_client_whose_address_changes_keeps_its_connection() {
    let app = echo().await;
    let text = format!("[proxy]\nworkers = 4\n{}", offered(""));
    let Some(offer) = Offer::start(&text, &app).await else {
        return;
    };
    offer.run(CLIENT, "moves", &[]).await;
    let name = "sluicegate_connections_accepted_total";
    let accepted = offer.proxy.metric(name, &[("listener", "web")]).await;
    assert!((accepted - 1.0).abs() < 0.1, "{accepted}");
    offer.proxy.finish().await;
}

#[tokio::test]
async fn a_client_at_another_ip_address_ends_what_is_under_way_and_connects_again() {
    let (arrived, go) = (Gate::new(), Gate::new());
    let (told, held) = (arrived.clone(), go.clone());
    let app = Backend::start(move |seen: &Seen| match seen.target.as_str() {
        "/held" => {
            told.open();
            [vec![Act::Wait(held.clone())], answer("held")].concat()
        }
        target => answer(target),
    })
    .await;
    let rules = r#"
        [routes.inner]
        path_prefix = "/inner"
        pool = "app"
        access = { allow = ["127.0.0.1"] }
        [routes.outer]
        path_prefix = "/outer"
        pool = "app"
        access = { allow = ["127.0.0.77"] }
    "#;
    let text = format!("{}{rules}", offered(""));
    let Some(offer) = Offer::start(&text, &app).await else {
        return;
    };
    let mut client = offer.hold("relocates").await;
    arrived.wait().await;
    client.say("move");
    assert_eq!(client.line().await, "refused");
    go.open();
    client.ended().await.expect("all as it should be");
    let seen = app.seen();
    let targets: Vec<&str> = seen.iter().map(|seen| seen.target.as_str()).collect();
    assert_eq!(targets, ["/inner/first", "/held"]);
    offer.proxy.finish().await;
}
