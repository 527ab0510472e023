//! `config.gate` and `--against-live`: an edit is judged by the requests of the last minutes.

use std::{fs, time::Duration};

use serde_json::Value;

use crate::harness::{Backend, Proxy, Settings, answer, command, eventually};

const TABLES: &str = r#"
        [proxy]
        workers = 1
        [admin]
        address = "$admin"
        token = "correct-horse"
        [access_log]
        path = "access.log"
        [config]
        gate = { routes_changed_max = 0.05 }
        [listeners.web]
        address = "$web"
        [routes.shop]
        path_prefix = "/shop"
        pool = "app"
        [routes.api]
        path_prefix = "/api"
        pool = "app"
        [pools.app]
        endpoints = ["$app"]
"#;

/// Runs a command on the proxy; returns its exit code and what it says.
async fn run(proxy: &Proxy, arguments: &str) -> (Option<i32>, String) {
    let folder = proxy.folder().to_owned();
    let arguments = arguments.to_owned();
    let ran = tokio::task::spawn_blocking(move || {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        command(&folder, &arguments)
    });
    ran.await.unwrap()
}

/// Returns the effect of an edit of the file on recent requests.
async fn effect(proxy: &Proxy, edit: impl Fn(&str) -> String) -> Value {
    let text = fs::read_to_string(proxy.folder().join("proxy.toml")).unwrap();
    fs::write(proxy.folder().join("new.toml"), edit(&text)).unwrap();
    let (_, told) = run(proxy, "check new.toml --against-live --format json").await;
    let told: Value = serde_json::from_str(&told).unwrap_or_else(|_| panic!("{told}"));
    told["traffic"].clone()
}

/// Sends requests, of which `line` gives the target and the fields, until more than enough are kept.
async fn traffic_of(proxy: &Proxy, line: impl Fn(usize) -> (String, String)) {
    let sending = async {
        let mut sent = 0;
        loop {
            for _ in 0..150 {
                let (target, lines) = line(sent);
                proxy.request("GET", &target, &lines, b"").await;
                sent += 1;
            }
            let kept = effect(proxy, str::to_owned).await;
            if kept["requests"].as_u64().unwrap() >= 120 {
                return;
            }
        }
    };
    // A sample is bounded in time: on a quick machine most requests are not in it.
    let patience = Duration::from_secs(60);
    let sent = tokio::time::timeout(patience, sending).await;
    sent.unwrap_or_else(|_| panic!("not enough requests are kept within {patience:?}"));
}

/// Sends requests, each five the same.
async fn traffic(proxy: &Proxy, requests: [(&str, &str); 5]) {
    traffic_of(proxy, |number| {
        let (target, lines) = requests[number % 5];
        (target.to_owned(), lines.to_owned())
    })
    .await;
}

async fn started(app: &Backend) -> Proxy {
    Settings::new(TABLES).backend("app", app).start().await
}

const MIXED: [(&str, &str); 5] = [
    ("/shop/1", ""),
    ("/api/a", ""),
    ("/shop/2?access_token=s3cret", ""),
    ("/api/b", ""),
    ("/shop/3", ""),
];

fn without_api(text: &str) -> String {
    text.replace("/api", "/ipa")
}

#[tokio::test]
async fn an_edit_that_sends_two_fifths_of_the_traffic_nowhere_is_refused() {
    let app = Backend::start(|_| answer("ok")).await;
    let mut proxy = started(&app).await;
    traffic(&proxy, MIXED).await;
    let generation = proxy.generation().await;
    proxy.replace(&without_api(TABLES));
    proxy.reload_fails().await;
    assert_eq!(proxy.get("/api/a").await.status, 200, "the old one stays");
    proxy.log_says("would be routed otherwise").await;
    proxy
        .log_says("route \"api\", pool \"app\" -> refused: no route")
        .await;
    let says = |path: &'static str, what: &'static str| {
        let proxy = &proxy;
        eventually(format!("{path} says {what}"), move || async move {
            let json = "accept: application/json\r\n";
            let answer = proxy.admin("GET", path, json).await?;
            (answer.status == 200 && answer.text().contains(what)).then(|| answer.text())
        })
    };
    says("/ready", "would be routed otherwise").await;
    let events = says("/events", "\"refuses\"").await;
    assert!(!events.contains("s3cret"), "{events}");

    // Nothing but the operator's word takes it.
    let (code, said) = run(&proxy, "reload").await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("--force") && said.contains("/api/"), "{said}");
    let (code, said) = run(&proxy, "reload --force").await;
    assert_eq!(code, Some(0), "{said}");
    assert!(proxy.generation().await > generation);
    assert_eq!(proxy.get("/api/a").await.status, 404);
    proxy.finish().await;
}

#[tokio::test]
async fn the_way_back_from_a_forced_reload_passes_the_gate_once() {
    let app = Backend::start(|_| answer("ok")).await;
    // Each reload is one that is asked for.
    let unwatched = TABLES.replace("workers = 1", "workers = 1\n watch = false");
    let proxy = Settings::new(&unwatched).backend("app", &app).start().await;
    traffic(&proxy, MIXED).await;
    let to = |text: &str| proxy.folder().join(text);
    let good = fs::read_to_string(to("proxy.toml")).unwrap();
    let path = to("proxy.toml");
    fs::write(&path, without_api(&good)).unwrap();
    let (code, said) = run(&proxy, "reload --force").await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(proxy.get("/api/a").await.status, 404);
    // An edit meanwhile that moves nothing leaves the way open.
    let mild = "[routes.shop]\n timeouts = { total = \"7s\" }";
    fs::write(&path, without_api(&good).replace("[routes.shop]", mild)).unwrap();
    let (code, said) = run(&proxy, "reload").await;
    assert_eq!(code, Some(0), "{said}");
    // Elsewhere is no way back.
    fs::write(&path, good.replace("/shop", "/pohs")).unwrap();
    let (code, said) = run(&proxy, "reload").await;
    assert_eq!(code, Some(1), "{said}");
    fs::write(&path, &good).unwrap();
    let (code, said) = run(&proxy, "check proxy.toml --against-live").await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("of them as before the last change"), "{said}");
    let (code, said) = run(&proxy, "reload").await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(proxy.get("/api/a").await.status, 200);
    // The bad one is no way back from the good one.
    fs::write(&path, without_api(&good)).unwrap();
    let (code, said) = run(&proxy, "reload").await;
    assert_eq!(code, Some(1), "{said}");
    proxy.finish().await;
}

#[tokio::test]
async fn a_harmless_edit_passes_the_gate_and_its_effect_is_told() {
    let app = Backend::start(|_| answer("ok")).await;
    let mut proxy = started(&app).await;
    traffic(&proxy, MIXED).await;
    let limited =
        "path_prefix = \"/api\"\n rate_limit = { key = \"client_ip\", rate = \"100000/s\" }";
    let generation = proxy.generation().await;
    proxy.replace(&TABLES.replace("path_prefix = \"/api\"", limited));
    proxy.generation_passes(generation).await;
    let report = eventually("the report is there", || async {
        let status = proxy.admin("GET", "/status", "").await?;
        let status: Value = serde_json::from_slice(&status.body).ok()?;
        let report = status["last_reload"].clone();
        report["traffic"].is_object().then_some(report)
    })
    .await;
    assert_eq!(report["result"], "succeeded", "{report}");
    assert_eq!(report["traffic"]["gate"]["verdict"], "passes", "{report}");
    assert_eq!(report["traffic"]["moved"], 0, "{report}");
    assert_eq!(
        report["traffic"]["policies"][0]["policy"], "rate_limit",
        "{report}"
    );
    assert_eq!(report["traffic"]["policies"][0]["route"], "api", "{report}");
    proxy.finish().await;
}

#[tokio::test]
async fn a_proxy_without_traffic_has_too_few_requests_to_judge_and_refuses_nothing() {
    let app = Backend::start(|_| answer("ok")).await;
    let mut proxy = started(&app).await;
    assert_eq!(proxy.get("/api/a").await.status, 200);
    let generation = proxy.generation().await;
    proxy.replace(&without_api(TABLES));
    proxy.generation_passes(generation).await;
    proxy.log_says("too few to judge").await;
    assert_eq!(proxy.get("/api/a").await.status, 404);
    proxy.finish().await;
}

#[tokio::test]
async fn a_check_against_live_tells_who_would_go_elsewhere_and_ends_as_the_gate_says() {
    let app = Backend::start(|_| answer("ok")).await;
    let proxy = started(&app).await;
    traffic(&proxy, MIXED).await;
    effect(&proxy, without_api).await;
    let (code, said) = run(&proxy, "check new.toml --against-live").await;
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("route \"api\", pool \"app\" -> refused: no route"),
        "{said}"
    );
    assert!(
        said.contains("GET http://") && said.contains("/api/"),
        "{said}"
    );
    let (code, said) = run(&proxy, "diff new.toml --against-live").await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(" would be routed otherwise, "), "{said}");
    let (code, said) = run(&proxy, "check proxy.toml --against-live").await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("0 of "), "{said}");
    proxy.finish().await;
}

#[tokio::test]
async fn secrets_of_requests_are_matched_without_being_kept() {
    let app = Backend::start(|_| answer("ok")).await;
    let mut proxy = started(&app).await;
    let beta = "cookie: sid=s3cret; beta=1\r\nauthorization: Bearer s3cret\r\nx-plain: seen\r\n";
    let requests = [
        ("/shop/1", beta),
        ("/shop/2?key=s3cret", "cookie: beta=0\r\n"),
        ("/shop/3", ""),
        ("/api/1?page=2", "cookie: betas=1\r\n"),
        ("/api/2", "authorization: Bearer t0ken\r\n"),
    ];
    traffic(&proxy, requests).await;
    let with = |route: &'static str| {
        move |text: &str| format!("{text}\n[routes.new]\npool = \"app\"\npriority = 1\n{route}\n")
    };
    // Exact values and their absence are known again; of five requests one is meant each time.
    for route in [
        "cookies = { beta = \"1\" }",
        "headers = { authorization = \"Bearer t0ken\" }",
        "query = { key = \"s3cret\" }",
        "query = { page = { regex = \"^[0-9]$\" } }",
    ] {
        let told = effect(&proxy, with(route)).await;
        let share = told["share"].as_f64().unwrap();
        assert!((0.12..0.28).contains(&share), "{route}: {told}");
        assert_eq!(told["moves"][0]["to"]["route"], "new", "{told}");
        assert!(!told.to_string().contains("s3cret"), "{told}");
    }
    // An expression cannot be asked of a digest: told, and not guessed.
    let told = effect(&proxy, with("cookies = { beta = { regex = \"^1$\" } }")).await;
    assert_eq!(told["moved"], 0, "{told}");
    let why = told["unclear"][0]["why"].as_str().unwrap();
    assert!(why.contains("cookie beta"), "{told}");
    let unclear = told["unclear"][0]["requests"].as_u64().unwrap() as f64;
    let share = unclear / (unclear + told["requests"].as_f64().unwrap());
    assert!((0.3..0.5).contains(&share), "{told}");

    let recent = eventually("the record has its head", || async {
        let recent = proxy.admin("GET", "/requests?last=50", "").await?.text();
        recent.contains("x-plain").then_some(recent)
    })
    .await;
    assert!(recent.contains("sid=***; beta=***"), "{recent}");
    let heads: Value = serde_json::from_str(&recent).unwrap();
    let heads = heads
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["headers"].to_string());
    assert!(
        heads
            .into_iter()
            .all(|it| !it.contains("s3cret") && !it.contains("t0ken"))
    );
    proxy.replace(TABLES);
    proxy.finish().await;
}

#[tokio::test]
async fn another_division_of_users_moves_as_many_as_the_weights_say() {
    let app = Backend::start(|_| answer("ok")).await;
    let split = "split = { app = 100, other = 0 }\npin = { by = \"header:x-user\" }\npath_prefix = \"/shop\"";
    let tables = TABLES.replace("path_prefix = \"/shop\"\n        pool = \"app\"", split);
    let tables = format!("{tables}\n[pools.other]\nendpoints = [\"$app\"]\n");
    let proxy = Settings::new(&tables).backend("app", &app).start().await;
    traffic_of(&proxy, |user| {
        ("/shop".to_owned(), format!("x-user: u{user}\r\n"))
    })
    .await;
    let told = effect(&proxy, |text| {
        text.replace("app = 100, other = 0", "app = 60, other = 40")
    });
    let told = told.await;
    let share = told["share"].as_f64().unwrap();
    assert!((0.2..0.6).contains(&share), "{told}");
    assert_eq!(told["moves"][0]["to"]["to"], "pool \"other\"", "{told}");
    proxy.finish().await;
}
