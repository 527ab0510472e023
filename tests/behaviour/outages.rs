//! Failures beside the traffic are told first by `status`, with reason and time, until they are over.

use std::fs;

use crate::harness::{Backend, Port, Settings, answer, command, eventually};

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
