//! Failures beside the traffic are told first by `status`, with reason and time, until they are over.

use std::fs;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::harness::{Backend, Port, Proxy, Settings, answer, command, eventually};

#[tokio::test]
async fn status_names_what_fails_beside_the_traffic_until_it_works() {
    let app = Backend::start(|_| answer("fine")).await;
    let mut collector = Backend::down(|_| answer("{}"));
    let (registry, redis) = (Port::take(), Port::take());
    let text = r#"
        [proxy]
        state_dir = "state"
        [listeners.web]
        address = "$web"
        register = { consul = { address = "http://$registry", service = "app" } }
        [admin]
        address = "$admin"
        [tracing]
        otlp = "http://$collector/v1/traces"
        sample = "100%"
        [routes.all]
        pool = "app"
        rate_limit = { key = "client_ip", rate = "1000/s", store = { redis = { url = "redis://$redis" } } }
        [pools.app]
        endpoints = ["$app"]
    "#;
    let settings = Settings::new(text)
        .backend("app", &app)
        .address("collector", collector.address())
        .address("registry", registry.address())
        .address("redis", redis.address());
    let mut proxy = settings.start().await;
    let folder = proxy.folder().to_owned();
    // Folders where the files should be.
    let kept = eventually("what is kept", async || {
        let all = fs::read_dir(folder.join("state")).ok()?;
        let files: Vec<_> = all.map(|it| it.unwrap().path()).collect();
        (!files.is_empty()
            && files
                .iter()
                .all(|it| it.extension().is_some_and(|it| it == "toml")))
        .then_some(files)
    })
    .await;
    for file in &kept {
        fs::remove_file(file).unwrap();
        fs::create_dir(file).unwrap();
    }
    proxy.reload(&text.replace("1000/s", "1500/s")).await;
    let wrong = || {
        let (_, status) = command(&folder, &["status"]);
        let lines = status.lines().take_while(|line| line.starts_with("! "));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let store = format!("redis://{}", redis.address());
    let expected = [
        "spans do not reach their collector since 20".to_owned(),
        "the last good configuration is not kept since 20".to_owned(),
        "listener \"web\" is not registered since 20".to_owned(),
        format!("rate limits: the store {store} fails since 20"),
    ];
    eventually("all four are told", async || {
        assert_eq!(proxy.get("/").await.status, 200);
        let lines = wrong();
        let told = |part: &String| lines.iter().any(|line| line.contains(part));
        expected.iter().all(told).then_some(())
    })
    .await;
    let ready = proxy.admin("GET", "/ready", "").await.unwrap();
    assert_eq!(ready.status, 200, "traffic is served");

    // The file can be written, and a collector takes the spans.
    kept.iter().for_each(|it| fs::remove_dir(it).unwrap());
    proxy.reload(&text.replace("1000/s", "2000/s")).await;
    collector.up().await;
    eventually("two of them are over", async || {
        proxy.get("/").await;
        let lines = wrong();
        let told = |part: &String| lines.iter().any(|line| line.contains(part));
        (!told(&expected[0]) && !told(&expected[1]) && told(&expected[2])).then_some(())
    })
    .await;
    proxy.finish().await;
}

#[tokio::test]
async fn an_access_log_on_a_full_disk_is_told_until_it_can_be_written() {
    let text = r#"
        [listeners.web]
        address = "$web"
        [admin]
        address = "$admin"
        [access_log]
        path = "full.log"
        format = "json"
        [routes.all]
        respond = { status = 200, body = "fine" }
    "#;
    let settings = Settings::new(text);
    let folder = settings.folder().to_owned();
    std::os::unix::fs::symlink("/dev/full", folder.join("full.log")).unwrap();
    let mut proxy = settings.start().await;
    let wrong = || {
        let (_, status) = command(&folder, &["status"]);
        status.lines().any(|line| {
            line.starts_with("! ")
                && line.contains("lines of the access log are lost since 20")
                && line.contains("full.log: No space left on device")
        })
    };
    ask(&proxy).await;
    eventually("it is told", async || wrong().then_some(())).await;
    let ready = proxy.admin("GET", "/ready", "").await.unwrap();
    assert_eq!(ready.status, 200, "traffic is served");
    assert!(ready.text().contains("lines of the access log are lost"));
    assert_eq!(turns(&proxy).await, ["failing"]);
    proxy.reload(&text.replace("full.log", "access.log")).await;
    eventually("it is over", async || (!wrong()).then_some(())).await;
    eventually("its end is an event", async || {
        (turns(&proxy).await == ["failing", "well"]).then_some(())
    })
    .await;
    proxy.finish().await;
}

/// Sends a request that no invariant counts: its line may be lost.
async fn ask(proxy: &Proxy) {
    let mut stream = TcpStream::connect(proxy.address("web")).await.unwrap();
    let request = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("fine"), "{answer}");
}

/// The turns of outages among the events, oldest first.
async fn turns(proxy: &Proxy) -> Vec<String> {
    let json = "accept: application/json\r\n";
    let events = proxy.admin("GET", "/events", json).await.unwrap();
    let all: Vec<serde_json::Value> = serde_json::from_slice(&events.body).unwrap();
    let outages = all.into_iter().filter(|it| it["kind"] == "outage");
    let turns = outages.map(|it| it["what"]["to"].as_str().unwrap().to_owned());
    turns.collect()
}
