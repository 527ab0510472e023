//! The admin listener shows everything and lets nobody change anything who may not.

use crate::harness::{Act, Backend, Client, Gate, Proxy, Settings, answer, eventually, identity};

const ALL: &str = r#"
    [proxy]
    workers = 1
    [admin]
    address = "$admin"
    token = { env = "ADMIN_TOKEN" }
    [listeners.web]
    address = "$web"
    [routes.shop]
    pool = "app"
    [pools.app]
    endpoints = ["$a", "$b"]
"#;

const TOKEN: &str = "authorization: Bearer correct-horse";

async fn start() -> (Proxy, Backend, Backend) {
    let a = Backend::start(identity("a")).await;
    let b = Backend::start(|_| answer("b")).await;
    let proxy = Settings::new(ALL)
        .variable("ADMIN_TOKEN", "correct-horse")
        .backend("a", &a)
        .backend("b", &b)
        .start()
        .await;
    (proxy, a, b)
}

#[tokio::test]
async fn what_is_running_can_be_read_as_json() {
    let (proxy, _a, b) = start().await;
    proxy.get("/").await;
    for target in [
        "/status",
        "/config",
        "/listeners",
        "/routes",
        "/pools",
        "/pools/app",
        "/connections",
        "/openapi.json",
    ] {
        let answer = proxy.admin("GET", target, TOKEN).await.expect("an answer");
        assert_eq!(answer.status, 200, "{target}: {answer:?}");
        let parsed = serde_json::from_slice::<serde_json::Value>(&answer.body);
        assert!(parsed.is_ok(), "{target}: {}", answer.text());
    }
    let text = |target: &'static str| async {
        let answer = proxy.admin("GET", target, TOKEN).await.expect("an answer");
        answer.text()
    };
    assert!(text("/routes").await.contains("shop"));
    assert!(text("/pools/app").await.contains(&b.address().to_string()));
    assert!(
        !text("/config").await.contains("correct-horse"),
        "secrets are masked"
    );
    let none = proxy
        .admin("GET", "/pools/none", TOKEN)
        .await
        .expect("an answer");
    assert_eq!(none.status, 404);
    let wrong = proxy
        .admin("DELETE", "/pools", TOKEN)
        .await
        .expect("an answer");
    assert_eq!(wrong.status, 405);
    assert!(wrong.field("allow").contains("GET"), "{wrong:?}");
    proxy.finish().await;
}

#[tokio::test]
async fn changes_need_the_token_and_refuse_other_sites() {
    let (proxy, _a, _b) = start().await;
    let cross = format!("{TOKEN}\norigin: https://evil.example\nsec-fetch-site: cross-site");
    for (lines, statuses) in [
        ("", &[401, 403][..]),
        ("authorization: Bearer wrong", &[401, 403]),
        ("authorization: Basic correct-horse", &[401, 403]),
        (cross.as_str(), &[403]),
    ] {
        let answer = proxy
            .admin("POST", "/reload", lines)
            .await
            .expect("an answer");
        assert!(statuses.contains(&answer.status), "{lines}: {answer:?}");
    }
    let allowed = proxy
        .admin("POST", "/reload", TOKEN)
        .await
        .expect("an answer");
    assert_eq!(allowed.status, 200, "{allowed:?}");
    proxy.finish().await;
}

#[tokio::test]
async fn whoever_shows_no_token_learns_nothing_about_files_and_variables() {
    let (proxy, _a, _b) = start().await;
    let ask = async |target: &str, pattern: &str, lines: &str| {
        // A test in the text would say which letters the variable begins with.
        let text = format!(
            "[listeners.web]\naddress = \"127.0.0.1:1\"\n[routes.all]\n\
             respond.headers = {{ x = {{ env = \"ADMIN_TOKEN\" }} }}\n[tests.first]\n\
             request = {{ url = \"http://shop.example:1/\" }}\n\
             expect = {{ header = {{ x = {{ regex = \"{pattern}\" }} }} }}\n"
        );
        let mut client = Client::connect(proxy.address("admin")).await;
        let lines = format!("host: localhost\n{lines}");
        let answer = client
            .request("POST", target, lines.trim_end(), text.as_bytes())
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.text()
    };
    for target in ["/check", "/diff"] {
        let right = ask(target, "^correct", "").await;
        let wrong = ask(target, "^mistake", "").await;
        let differs = wrong.replace("mistake", "correct");
        assert_eq!(right, differs, "{target}");
        assert!(right.contains("only for who shows admin.token"), "{right}");
    }
    let told = ask("/check", "^mistake", TOKEN).await;
    assert!(told.contains("expected header x to match"), "{told}");
    let told = ask("/check", "^correct", TOKEN).await;
    assert!(told.contains("\"ok\": true"), "{told}");
    // Files of TLS say by their faults whether they are there, and what they hold.
    let told = async |file: &str| {
        let text = format!(
            "[listeners.web]\naddress = \"127.0.0.1:1\"\n[listeners.web.tls]\n\
             certificates = [{{ chain = \"{file}\", key = \"{file}\" }}]\n\
             client_ca = \"{file}\"\n[routes.all]\npool = \"app\"\n\
             [pools.app]\nendpoints = [\"127.0.0.1:1\"]\ntls = {{ ca = \"{file}\" }}\n"
        );
        let mut client = Client::connect(proxy.address("admin")).await;
        let answer = client
            .request("POST", "/check", "host: localhost", text.as_bytes())
            .await;
        answer.text().replace(file, "FILE")
    };
    let (there, gone) = (told("/etc/passwd").await, told("/etc/passgo").await);
    assert_eq!(there, gone);
    assert!(there.contains("only for who shows admin.token"), "{there}");
    proxy.finish().await;
}

#[tokio::test]
async fn a_page_that_rebinds_its_name_reads_nothing() {
    let proxy = Settings::new(
        r#"
        [listeners.web]
        address = "$web"
        [routes.all]
        respond = { status = 200, body = "ok" }
        "#,
    )
    .start()
    .await;
    // Without a token everything on this machine may read; the browser says whose page it runs.
    for (host, fine) in [
        ("evil.example", false),
        ("localhost", true),
        ("127.0.0.1", true),
    ] {
        let mut client = Client::connect(proxy.address("admin")).await;
        let answer = client
            .request("GET", "/status", &format!("host: {host}"), b"")
            .await;
        assert_eq!(answer.status == 200, fine, "{host}: {answer:?}");
    }
    let answer = proxy.admin("POST", "/drain", "").await.expect("an answer");
    assert!(
        (400..500).contains(&answer.status),
        "no token, no changes: {answer:?}"
    );
    proxy.finish().await;
}

#[tokio::test]
async fn an_endpoint_that_is_drained_gets_nothing_until_it_is_enabled() {
    let (proxy, _a, b) = start().await;
    let act = |action: &str| format!("/pools/app/endpoints/{}/{action}", b.address());
    let drained = proxy
        .admin("POST", &act("drain"), TOKEN)
        .await
        .expect("an answer");
    assert_eq!(drained.status, 200, "{drained:?}");
    eventually("no more requests at the drained endpoint", || async {
        let before = b.count();
        for _ in 0..4 {
            proxy.get("/").await;
        }
        (b.count() == before).then_some(())
    })
    .await;
    proxy
        .admin("POST", &act("enable"), TOKEN)
        .await
        .expect("an answer");
    let before = b.count();
    eventually("requests at the enabled endpoint", || async {
        proxy.get("/").await;
        (b.count() > before).then_some(())
    })
    .await;
    proxy.finish().await;
}

#[tokio::test]
async fn explain_tells_the_winner_and_what_it_would_do() {
    let (proxy, _a, b) = start().await;
    let body = br#"{"method":"GET","url":"http://shop.example/x","headers":[]}"#;
    let mut client = Client::connect(proxy.address("admin")).await;
    let lines = format!(
        "host: {}\n{TOKEN}\ncontent-type: application/json",
        proxy.address("admin")
    );
    let answer = client.request("POST", "/explain", &lines, body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.text().contains("shop"), "{}", answer.text());
    assert!(
        answer.text().contains(&b.address().to_string()),
        "{}",
        answer.text()
    );
    proxy.finish().await;
}

#[tokio::test]
async fn live_and_ready_are_open_to_probes() {
    let (proxy, _a, _b) = start().await;
    for target in ["/live", "/ready", "/metrics"] {
        let answer = proxy.admin("GET", target, "").await.expect("an answer");
        assert_eq!(answer.status, 200, "{target}");
    }
    let head = proxy.admin("HEAD", "/live", "").await.expect("an answer");
    assert_eq!(head.status, 200);
    proxy.finish().await;
}

#[tokio::test]
async fn routes_are_listed_in_the_order_of_their_precedence() {
    let app = Backend::start(identity("app")).await;
    let text = r#"
        [listeners.web]
        address = "$web"
        [routes.a_rest]
        pool = "app"
        [routes.b_wildcard]
        hosts = ["*.shop.example"]
        pool = "app"
        [routes.c_orders]
        hosts = ["www.shop.example", "*.org"]
        path_prefix = "/orders"
        pool = "app"
        [routes.d_exact]
        hosts = ["www.shop.example"]
        path = "/orders/1"
        pool = "app"
        [routes.e_first]
        priority = 1
        pool = "app"
        [pools.app]
        endpoints = ["$app"]
    "#;
    let proxy = Settings::new(text).backend("app", &app).start().await;
    let answer = proxy.admin("GET", "/routes", "").await.expect("an answer");
    let routes: Vec<serde_json::Value> = serde_json::from_slice(&answer.body).unwrap();
    let names: Vec<&str> = routes.iter().filter_map(|it| it["name"].as_str()).collect();
    let expected = ["e_first", "d_exact", "c_orders", "b_wildcard", "a_rest"];
    assert_eq!(names, expected);
    proxy.finish().await;
}

#[tokio::test]
async fn connections_tell_which_generation_they_hold_on_to() {
    let gate = Gate::new();
    let held = gate.clone();
    let app = Backend::start(move |seen| match seen.target.as_str() {
        "/slow" => [vec![Act::Read, Act::Wait(held.clone())], answer("late")].concat(),
        _ => answer("at once"),
    })
    .await;
    let text = ALL.replace(", \"$b\"", "");
    let mut proxy = Settings::new(&text)
        .variable("ADMIN_TOKEN", "correct-horse")
        .backend("a", &app)
        .start()
        .await;
    let mut slow = proxy.client().await;
    slow.send("GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await;
    app.has_seen(1).await;
    proxy
        .reload(&text.replace("routes.shop", "routes.store"))
        .await;
    let mut quick = proxy.client().await;
    quick.get("/").await;
    let generations = || async {
        let answer = proxy.admin("GET", "/connections", TOKEN).await;
        let all: Vec<serde_json::Value> = serde_json::from_slice(&answer?.body).unwrap();
        let mut all: Vec<u64> = all
            .iter()
            .filter_map(|it| it["generation"].as_u64())
            .collect();
        all.sort_unstable();
        Some(all)
    };
    assert_eq!(generations().await, Some(vec![1, 2]));
    gate.open();
    assert_eq!(slow.answer().await.text(), "late");
    eventually("nothing holds the first generation", || async {
        (generations().await? == [2, 2]).then_some(())
    })
    .await;
    proxy.finish().await;
}
