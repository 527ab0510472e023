//! The upgrade of the binary: another process takes over, and nobody notices.

pub(crate) mod traffic;

use std::{sync::Arc, time::Duration};

use rustix::process::Signal;
use rustls::{HandshakeKind, client::Resumption};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixDatagram, UnixStream},
    time::{Instant, timeout},
};

use crate::harness::{
    Act, Authority, Backend, Client, H2Backend, Proxy, Settings, Traffic, command, eventually,
    identity, shake, websocket,
};

/// Two workers in front of `$app`, and a drain of 2 s.
pub(super) const ALL: &str = r#"
[proxy]
drain = { timeout = "2s" }
workers = 2
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

const TOKEN: &str = "authorization: Bearer a-token-of-the-tests\n";

async fn status(proxy: &Proxy) -> Value {
    let answer = proxy.admin("GET", "/status", "").await.unwrap();
    serde_json::from_slice(&answer.body).unwrap()
}

/// `sluicegate upgrade` with these arguments: its exit code and what it says.
pub(super) async fn upgrade(proxy: &Proxy, arguments: &[&str]) -> (Option<i32>, String) {
    let folder = proxy.folder().to_owned();
    let arguments: Vec<String> = arguments.iter().map(|&it| it.to_owned()).collect();
    let run = move || {
        let own = ["upgrade", "--config", "proxy.toml"];
        let all: Vec<&str> = own
            .into_iter()
            .chain(arguments.iter().map(|it| &**it))
            .collect();
        command(&folder, &all)
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_take_over_under_load_lose_nothing() {
    let count = std::env::var("UPGRADES").ok();
    upgrades_under_load(count.map_or(2, |count| count.parse().unwrap())).await;
}

async fn upgrades_under_load(count: u64) {
    let app = Backend::start(|seen| crate::harness::answer(&seen.target)).await;
    let sockets = Backend::start(traffic::socket_script).await;
    let calls = H2Backend::start(traffic::call_script).await;
    let text = format!("{ALL}{}", traffic::MORE);
    let proxy = Settings::new(&text)
        .backend("app", &app)
        .backend("sockets", &sockets)
        .address("calls", calls.address())
        .start()
        .await;
    let mut flow = Traffic::default();
    traffic::start(&mut flow, proxy.address("web"));
    flow.goes_on().await;
    for n in 1..=count {
        proxy.upgrade().await;
        flow.goes_on().await;
        let now = status(&proxy).await;
        assert_eq!(now["process_generation"], n + 1);
        let ready = proxy.admin("GET", "/ready", "").await.unwrap();
        assert_eq!(ready.status, 200, "{}", ready.text());
        // The next one begins when the last has drained.
        eventually("the process before ends", || async {
            status(&proxy).await["predecessor"].is_null().then_some(())
        })
        .await;
    }
    eprintln!("{}", flow.stop().await);
    assert_eq!(
        proxy.metric("sluicegate_panics_total", &[]).await,
        0.0,
        "no panic"
    );
    proxy.all_end().await;
}

#[tokio::test]
async fn a_tunnel_lives_in_the_old_process_until_the_end_of_its_drain() {
    let app = Backend::start(|_| {
        let proof = websocket::PROOF;
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-accept: {proof}\r\n\r\n"
        );
        vec![Act::Send(head.into()), Act::Echo]
    })
    .await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut client = Client::connect(proxy.address("web")).await;
    client.send(websocket::ASK).await;
    assert_eq!(client.head().await.0, 101);
    let old = proxy.pid().await;
    let began = Instant::now();
    proxy.upgrade().await;
    let frame = [&[0x81, 0x80 | 4, 0, 0, 0, 0][..], b"echo"].concat();
    client.send(&frame).await;
    assert_eq!(client.bytes(frame.len()).await.unwrap(), frame);
    let predecessor = status(&proxy).await["predecessor"].clone();
    assert_eq!(
        (&predecessor["pid"], &predecessor["connections"]),
        (&json!(old), &json!(1))
    );
    assert_eq!(client.bytes(4).await.unwrap(), websocket::GOING_AWAY);
    assert!(began.elapsed() >= Duration::from_secs(2));
    proxy.all_end().await;
}

#[tokio::test]
async fn the_new_process_serves_what_the_file_says_by_then() {
    let app = Backend::start(identity("app")).await;
    let text = ALL.replace("[proxy]", "[proxy]\nwatch = false");
    let text = format!("{text}\n[listeners.leaves]\naddress = \"$leaves\"\n");
    let mut proxy = Settings::new(&text).backend("app", &app).start().await;
    assert_eq!(proxy.client_of("leaves").await.get("/").await.text(), "app");
    for (workers, more) in [(3, "joins"), (1, "again")] {
        let edited = text
            .replace("workers = 2", &format!("workers = {workers}"))
            .replace("leaves", more);
        proxy.replace(&edited);
        let (code, said) = upgrade(&proxy, &["--wait"]).await;
        assert_eq!(code, Some(0), "{said}");
        assert!(said.starts_with("upgraded\n"), "{said}");
        for _ in 0..20 {
            assert_eq!(proxy.get("/").await.text(), "app");
        }
        assert_eq!(proxy.client_of(more).await.get("/").await.text(), "app");
        assert_eq!(status(&proxy).await["workers"], workers);
        let left = Client::try_connect(proxy.address("leaves")).await;
        assert!(left.is_err(), "nobody listens there any more");
    }
    proxy.all_end().await;
}

#[tokio::test]
async fn unix_sockets_go_over_with_their_files() {
    let app = Backend::start(identity("app")).await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let text = ALL.replace("$web", &format!("unix:{}", path("web").display()));
    let text = text.replace("$admin", &format!("unix:{}", path("admin").display()));
    let mut proxy = Settings::new(&text).backend("app", &app).launch();
    let ask = async |name: &str, target: &str| {
        let mut stream = UnixStream::connect(path(name)).await.ok()?;
        let head = format!("GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        Some(body.to_owned())
    };
    let served = || async { (ask("web", "/").await? == "app").then_some(()) };
    eventually("the first answers", served).await;
    for generation in [2, 3] {
        let (code, said) = upgrade(&proxy, &["--wait"]).await;
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(ask("web", "/").await.as_deref(), Some("app"));
        let status = ask("admin", "/status").await.unwrap();
        let status: Value = serde_json::from_str(&status).unwrap();
        assert_eq!(status["process_generation"], generation);
    }
    assert!(proxy.exited().await.success());
    proxy.all_end().await;
    assert!(
        !path("web").exists() && !path("admin").exists(),
        "the last one removes them"
    );
}

#[tokio::test]
async fn sockets_that_the_manager_gave_go_over_and_the_manager_is_told() {
    let app = Backend::start(identity("app")).await;
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let manager = UnixDatagram::bind(folder.path().join("notify")).unwrap();
    let told = async || {
        let mut buffer = [0; 1024];
        let receiving = timeout(Duration::from_secs(10), manager.recv(&mut buffer));
        let length = receiving.await.expect("a message").unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    let mut proxy = Settings::new(ALL)
        .backend("app", &app)
        .address("web", socket.local_addr().unwrap())
        .socket(socket.try_clone().unwrap())
        .variable(
            "NOTIFY_SOCKET",
            folder.path().join("notify").to_str().unwrap(),
        )
        .variable("WATCHDOG_USEC", "1000000")
        .start()
        .await;
    assert_eq!(told().await, "READY=1\nSTATUS=serving");
    assert_eq!(told().await, "WATCHDOG=1");
    for _ in 0..2 {
        proxy.upgrade().await;
        assert_eq!(proxy.get("/").await.text(), "app");
        let pid = proxy.pid().await;
        let mut said = told().await;
        while said == "WATCHDOG=1" {
            said = told().await;
        }
        assert_eq!(said, format!("MAINPID={pid}"), "the old one says it first");
        assert_eq!(told().await, "READY=1\nSTATUS=serving");
        assert_eq!(told().await, "WATCHDOG=1");
    }
    assert!(proxy.exited().await.success());
    proxy.signal_newest(Signal::TERM).await;
    while !told().await.starts_with("STOPPING=1") {}
    proxy.all_end().await;
}

#[tokio::test]
async fn counters_health_and_what_operators_said_go_over() {
    let app = Backend::start(identity("app")).await;
    let other = Backend::start(identity("other")).await;
    let text = ALL.replace(
        "endpoints = [\"$app\"]",
        "endpoints = [\"$app\", \"$other\", \"127.0.0.1:1\", \"127.0.0.1:2\"]\n\
         health = { tcp = {}, interval = \"1m\", interval_down = \"1m\" }",
    );
    let proxy = Settings::new(&text)
        .backend("app", &app)
        .backend("other", &other)
        .start()
        .await;
    let drain = format!("/pools/app/endpoints/{}/drain", other.address());
    let drained = proxy.admin("POST", &drain, TOKEN).await.unwrap();
    assert_eq!(drained.status, 200);
    for _ in 0..10 {
        assert_eq!(proxy.get("/").await.text(), "app");
    }
    let states = async || {
        let answer = proxy.admin("GET", "/pools/app", "").await.unwrap();
        let pool: Value = serde_json::from_slice(&answer.body).unwrap();
        let all = pool["endpoints"].as_array().unwrap().clone();
        let state = |it: &Value| (it["state"].to_string(), it["cause"].to_string());
        all.iter().map(state).collect::<Vec<_>>()
    };
    let before = states().await;
    assert!(
        before.iter().any(|(state, _)| state == "\"unhealthy\""),
        "{before:?}"
    );
    let requests = [("route", "all"), ("status_class", "2xx")];
    for round in 1..=2 {
        proxy.upgrade().await;
        assert_eq!(states().await, before);
        let served = status(&proxy).await["requests_total"].as_u64().unwrap();
        assert!(served >= 10 * round, "{served}");
        for _ in 0..10 {
            assert_eq!(proxy.get("/").await.text(), "app");
        }
        let expected = 10.0 * (round + 1) as f64;
        proxy
            .metric_becomes("sluicegate_requests_total", &requests, expected)
            .await;
    }
    let succeeded = [("result", "succeeded")];
    proxy
        .metric_becomes("sluicegate_upgrades_total", &succeeded, 2.0)
        .await;
    let refused = [("pool", "app"), ("endpoint", "127.0.0.1:1")];
    assert_eq!(proxy.metric("sluicegate_picks_total", &refused).await, 0.0);
    proxy.all_end().await;
}

#[tokio::test]
async fn tls_sessions_are_resumed_by_the_next_process() {
    let authority = Authority::new("test authority");
    let app = Backend::start(identity("app")).await;
    let text = format!(
        "{ALL}\n[listeners.web.tls]\ncertificates = [{{ chain = \"a.pem\", key = \"a.key\" }}]\n"
    );
    let settings = Settings::new(&text).backend("app", &app);
    let issued = authority.issue("shop", &["shop.example"]);
    issued.write(settings.folder(), "a");
    let proxy = settings.start().await;
    let mut config = authority.client(None, &[]);
    config.resumption = Resumption::in_memory_sessions(8);
    let config = Arc::new(config);
    let session = async || {
        let to = proxy.address("web");
        let mut session = shake(to, Arc::clone(&config), "shop.example")
            .await
            .unwrap();
        let head = b"GET / HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n";
        session.write_all(head).await.unwrap();
        session.read_to_end(&mut Vec::new()).await.unwrap();
        session.get_ref().1.handshake_kind().unwrap()
    };
    assert_ne!(session().await, HandshakeKind::Resumed);
    for _ in 0..2 {
        proxy.upgrade().await;
        assert_eq!(session().await, HandshakeKind::Resumed);
    }
    proxy.all_end().await;
}
