//! A proxy that is told to stop loses nothing that it had begun.

use rustix::process::Signal;

use crate::harness::{
    Act, Backend, Client, End, Gate, Proxy, Settings, answer, command, eventually,
};

fn config(drain: &str) -> String {
    format!(
        r#"
        [proxy]
        drain = {{ {drain} }}
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        [pools.app]
        endpoints = ["$app"]
        "#
    )
}

/// A backend whose answers to `/slow` wait at the gate.
async fn gated(gate: &Gate) -> Backend {
    let gate = gate.clone();
    Backend::start(move |seen| match seen.target.as_str() {
        "/slow" => [vec![Act::Read, Act::Wait(gate.clone())], answer("late")].concat(),
        _ => answer("app"),
    })
    .await
}

async fn says_it_is_not_ready(proxy: &Proxy) {
    eventually("/ready says 503", || async {
        let answer = proxy.admin("GET", "/ready", "").await?;
        (answer.status == 503).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_under_way_is_finished_and_then_the_process_ends_with_0() {
    let gate = Gate::new();
    let app = gated(&gate).await;
    let settings = Settings::new(&config("timeout = \"30s\""));
    let mut proxy = settings.backend("app", &app).start().await;
    let mut slow = proxy.client().await;
    slow.send("GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await;
    app.has_seen(1).await;
    let mut idle = proxy.client().await;
    idle.get("/").await;

    proxy.signal(Signal::TERM);
    says_it_is_not_ready(&proxy).await;
    assert_eq!(
        idle.ended().await,
        End::Closed,
        "idle connections are closed"
    );
    let address = proxy.address("web");
    eventually("new connections are refused", || async {
        tokio::net::TcpStream::connect(address)
            .await
            .err()
            .map(drop)
    })
    .await;
    assert!(proxy.is_running());
    gate.open();
    let answer = slow.answer().await;
    assert_eq!(
        (answer.text().as_str(), answer.end),
        ("late", End::Complete)
    );
    assert_eq!(answer.field("connection"), "close");
    assert_eq!(proxy.exited().await.code(), Some(0));
    let line = proxy
        .logged("of the slow request", |l| l["path"] == "/slow")
        .await;
    assert_eq!(line["status"], 200);
}

#[tokio::test]
async fn during_grace_requests_are_served_and_clients_told_to_go() {
    let app = gated(&Gate::new()).await;
    let settings = Settings::new(&config("grace = \"60s\", timeout = \"30s\""));
    let mut proxy = settings.backend("app", &app).start().await;
    let mut kept = proxy.client().await;
    kept.get("/").await;
    proxy.signal(Signal::TERM);
    says_it_is_not_ready(&proxy).await;
    for client in [&mut kept, &mut proxy.client().await] {
        let answer = client.get("/").await;
        assert_eq!((answer.status, answer.field("connection")), (200, "close"));
        assert_eq!(client.ended().await, End::Closed);
    }
    // A second signal does not wait for the grace to pass.
    proxy.signal(Signal::TERM);
    proxy.exited().await;
}

#[tokio::test]
async fn what_does_not_end_is_cut_after_the_timeout() {
    let app = gated(&Gate::new()).await;
    let settings = Settings::new(&config("timeout = \"500ms\""));
    let mut proxy = settings.backend("app", &app).start().await;
    let mut slow = proxy.client().await;
    slow.send("GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await;
    app.has_seen(1).await;
    proxy.signal(Signal::TERM);
    assert!(cut(&mut slow).await, "no clean answer");
    proxy.exited().await;
    let line = proxy
        .logged("of what was cut", |l| l["path"] == "/slow")
        .await;
    assert_eq!(line["reason"], "proxy_shutdown", "{line}");
}

#[tokio::test]
async fn a_request_whose_head_has_begun_is_told_why_it_is_not_taken() {
    let app = gated(&Gate::new()).await;
    let settings = Settings::new(&config("timeout = \"3s\""));
    let mut proxy = settings.backend("app", &app).start().await;
    let [mut silent, mut begun, mut later] = [
        proxy.client().await,
        proxy.client().await,
        proxy.client().await,
    ];
    let head = "GET / HTTP/1.1\r\nhost: a\r\n";
    begun.send(head).await;
    assert_eq!(later.get("/").await.text(), "app");
    later.send(head).await;
    // Its bytes are with the proxy when the answer to another request is.
    proxy.get("/").await;
    proxy.signal(Signal::TERM);
    assert_eq!(silent.ended().await, End::Closed);
    for mut client in [begun, later] {
        let answer = client.answer().await;
        answer.assert_failure(503, "proxy_shutdown");
        assert_eq!(answer.field("connection"), "close");
        client.ended().await;
    }
    assert_eq!(proxy.exited().await.code(), Some(0));
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let app = gated(&Gate::new()).await;
    let settings = Settings::new(&config("timeout = \"1h\""));
    let mut proxy = settings.backend("app", &app).start().await;
    let mut slow = proxy.client().await;
    slow.send("GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await;
    app.has_seen(1).await;
    proxy.signal(Signal::INT);
    says_it_is_not_ready(&proxy).await;
    assert!(proxy.is_running());
    proxy.signal(Signal::INT);
    proxy.exited().await;
    assert!(cut(&mut slow).await);
}

#[tokio::test]
async fn streams_of_http2_are_finished_after_goaway() {
    let gate = Gate::new();
    let app = gated(&gate).await;
    let settings = Settings::new(&config("timeout = \"30s\""));
    let mut proxy = settings.backend("app", &app).start().await;
    let mut client = proxy.h2_client().await;
    assert_eq!(client.get("/").await.unwrap().text(), "app");
    let (response, _stream) = client.open("GET", "/slow", &[], true).await.unwrap();
    app.has_seen(2).await;
    proxy.signal(Signal::TERM);
    says_it_is_not_ready(&proxy).await;
    gate.open();
    let answer = crate::harness::h2_read(response).await.unwrap();
    assert_eq!(
        (answer.text().as_str(), answer.end),
        ("late", End::Complete)
    );
    client.ended().await.unwrap();
    assert_eq!(proxy.exited().await.code(), Some(0));
}

/// Returns true if the exchange ended without a complete answer, or with one that says why.
async fn cut(client: &mut Client) -> bool {
    match client.try_answer_to("GET").await {
        Ok(answer) => answer.status == 503 || answer.end != End::Complete,
        Err(_) => true,
    }
}

const WITH_TOKEN: &str = r#"
[admin]
address = "$admin"
token = "a-token-of-the-tests"
[listeners.web]
address = "$web"
[routes.all]
pool = "app"
[pools.app]
endpoints = ["$app"]
"#;

/// Runs `sluicegate` in the folder of the proxy.
async fn ask(proxy: &Proxy, arguments: &[&str]) -> (Option<i32>, String) {
    let folder = proxy.folder().to_owned();
    let own = ["--config", "proxy.toml"].iter();
    let all: Vec<String> = own.chain(arguments).map(|&it| it.to_owned()).collect();
    let run = move || {
        let all: Vec<&str> = all.iter().map(|it| &**it).collect();
        command(&folder, &all)
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// A request that is under way until the gate opens.
struct Held {
    gate: Gate,
    app: Backend,
    proxy: Proxy,
    client: Client,
}

impl Held {
    async fn start() -> Self {
        let gate = Gate::new();
        let held = gate.clone();
        let app = Backend::start(move |_| {
            let mut acts = vec![Act::Wait(held.clone())];
            acts.extend(answer("late"));
            acts
        })
        .await;
        let proxy = Settings::new(WITH_TOKEN).backend("app", &app).start().await;
        let mut client = proxy.client().await;
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        eventually("the request is there", || async {
            (app.count() == 1).then_some(())
        })
        .await;
        Self {
            gate,
            app,
            proxy,
            client,
        }
    }
}

#[tokio::test]
async fn a_command_that_waits_for_a_drain_tells_who_holds_it_up() {
    let Held {
        gate,
        app,
        proxy,
        mut client,
    } = Held::start().await;
    let said = proxy.folder().join("said");
    let mut waiting = std::process::Command::new(crate::harness::binary())
        .args(["drain", "--wait", "--config", "proxy.toml"])
        .current_dir(proxy.folder())
        .stderr(std::fs::File::create(&said).unwrap())
        .spawn()
        .unwrap();
    eventually("the command tells of the request", || async {
        let said = std::fs::read_to_string(&said).unwrap();
        let connection = said.contains("on web, HTTP/1.1: 1 request in flight, open for");
        let request = format!("    route all at app/{}, for ", app.address());
        (connection && said.contains(&request)).then_some(())
    })
    .await;
    gate.open();
    assert_eq!(client.answer().await.text(), "late");
    let ended = tokio::task::spawn_blocking(move || waiting.wait().unwrap());
    assert!(ended.await.unwrap().success());
}

#[tokio::test]
async fn the_drain_of_an_endpoint_is_over_when_its_last_request_is() {
    let Held {
        gate,
        app,
        proxy,
        mut client,
    } = Held::start().await;
    let name = format!("app/{}", app.address());
    let short = ["endpoint", "drain", &name, "--wait", "--timeout", "300ms"];
    let (code, said) = ask(&proxy, &short).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("1 request left"), "{said}");
    let held = format!("    route all at {name}, for ");
    assert!(said.contains(&held), "{said}");
    assert!(said.contains("is not empty after 0.3 s"), "{said}");
    let arguments = ["endpoint", "drain", &name, "--wait"];
    let waiting = ask(&proxy, &arguments);
    let ending = async {
        gate.open();
        client.answer().await.text()
    };
    let ((code, said), text) = tokio::join!(waiting, ending);
    assert_eq!(text, "late");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("is drained"), "{said}");
    let (code, _) = ask(&proxy, &["endpoint", "enable", &name, "--wait"]).await;
    assert_eq!(code, Some(2), "nothing to wait for");
    proxy.finish().await;
}
