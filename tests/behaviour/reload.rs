//! Editing the file changes what is served, and nothing else: no request is
//! lost, nothing is forgotten, and a broken file changes nothing at all.

use std::{fs, time::Duration};

use rustix::process::Signal;

use crate::harness::{Act, Backend, End, Gate, Settings, answer, eventually, identity};

pub(super) fn pool(endpoints: &str) -> String {
    format!(
        r#"
        [proxy]
        workers = 1
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        [pools.app]
        endpoints = [{endpoints}]
        "#
    )
}

pub(super) fn respond(body: &str) -> String {
    format!(
        r#"
        [listeners.web]
        address = "$web"
        [routes.all]
        respond = {{ status = 200, body = "{body}" }}
        "#
    )
}

#[tokio::test]
async fn a_file_that_is_replaced_or_written_in_place_is_taken() {
    let mut proxy = Settings::new(&respond("one")).start().await;
    let mut client = proxy.client().await;
    assert_eq!(client.get("/").await.text(), "one");
    let generation = proxy.generation().await;
    proxy.replace(&respond("two"));
    proxy.generation_passes(generation).await;
    assert_eq!(
        client.get("/").await.text(),
        "two",
        "on the same connection"
    );
    let generation = proxy.generation().await;
    proxy.overwrite(&respond("three"));
    proxy.generation_passes(generation).await;
    assert_eq!(client.get("/").await.text(), "three");
    proxy.finish().await;
}

#[tokio::test]
async fn a_mounted_config_map_that_is_swapped_is_taken() {
    use std::os::unix::fs::symlink;
    let proxy = Settings::new(&respond("one")).start().await;
    let (folder, file) = (proxy.folder(), proxy.folder().join("proxy.toml"));
    let text = fs::read_to_string(&file).unwrap();
    // As the kubelet lays it out: file -> ..data/file, ..data -> a folder by time.
    for (version, body) in [("..1", "one"), ("..2", "two"), ("..3", "three")] {
        fs::create_dir(folder.join(version)).unwrap();
        let new = text.replace("\"one\"", &format!("\"{body}\""));
        fs::write(folder.join(version).join("proxy.toml"), new).unwrap();
    }
    symlink("..1", folder.join("..data")).unwrap();
    symlink("..data/proxy.toml", folder.join("link")).unwrap();
    fs::rename(folder.join("link"), &file).unwrap();
    for (version, body) in [("..2", "two"), ("..3", "three")] {
        symlink(version, folder.join("..data_tmp")).unwrap();
        fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
        eventually(format!("{body} is served"), || async {
            (proxy.get("/").await.text() == body).then_some(())
        })
        .await;
    }
    proxy.finish().await;
}

#[tokio::test]
async fn sighup_reloads() {
    let mut proxy = Settings::new(&respond("one")).start().await;
    let generation = proxy.generation().await;
    proxy.replace(&respond("two"));
    proxy.signal(Signal::HUP);
    proxy.generation_passes(generation).await;
    assert_eq!(proxy.get("/").await.text(), "two");
    proxy.finish().await;
}

#[tokio::test]
async fn a_broken_file_changes_nothing_and_is_told_everywhere() {
    let mut proxy = Settings::new(&respond("one")).start().await;
    let mut client = proxy.client().await;
    let generation = proxy.generation().await;
    for broken in [
        "this is not toml",
        &respond("two").replace("respond", "respnd"),
        &(respond("two").replace("respond", "respnd")
            + "[proxy]\ntrusted_proxies = [\"0.0.0.0/0\"]\n"),
        &pool("\"$nowhere\"").replace("pool = \"app\"", "pool = \"ap\""),
        &respond("two").replace("address = \"$web\"", "address = \"192.0.2.1:80\""),
    ] {
        proxy.replace(broken);
        proxy.reload_fails().await;
        assert_eq!(client.get("/").await.text(), "one", "{broken}");
        assert!((proxy.generation().await - generation).abs() < 0.5);
        let ready = proxy
            .admin("GET", "/ready", "")
            .await
            .expect("an answer")
            .text();
        assert!(
            ready.contains("reload") || ready.contains("config"),
            "{ready}"
        );
        // Back to a good one, so that the next failure is a new one.
        proxy.replace(&respond("one"));
        let gauge = "sluicegate_config_last_reload_success";
        proxy.metric_becomes(gauge, &[], 1.0).await;
    }
    // File and line, and the word that is wrong.
    proxy.log_says("proxy.toml:").await;
    proxy.log_says("respnd").await;
    // What refuses nothing is no error.
    let log = proxy.log();
    let warning = log.lines().find(|it| it.contains("trusts every peer"));
    assert!(warning.is_some_and(|it| it.contains("WARN")), "{log}");
    proxy.finish().await;
}

#[tokio::test]
async fn a_file_that_is_away_for_a_moment_changes_nothing() {
    let mut proxy = Settings::new(&respond("one")).start().await;
    fs::remove_file(proxy.folder().join("proxy.toml")).unwrap();
    assert_eq!(proxy.get("/").await.text(), "one");
    let generation = proxy.generation().await;
    proxy.replace(&respond("two"));
    proxy.generation_passes(generation).await;
    assert_eq!(proxy.get("/").await.text(), "two");
    proxy.finish().await;
}

#[tokio::test]
async fn endpoints_come_and_go_without_losing_what_is_under_way() {
    let gate = Gate::new();
    let held = gate.clone();
    let old = Backend::start(move |seen| match seen.target.as_str() {
        "/slow" => [vec![Act::Read, Act::Wait(held.clone())], answer("old")].concat(),
        _ => answer("old"),
    })
    .await;
    let new = Backend::start(identity("new")).await;
    let mut proxy = Settings::new(&pool("\"$old\""))
        .backend("old", &old)
        .start()
        .await;
    proxy.name("new", &new);
    let mut slow = proxy.client().await;
    slow.send("GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await;
    old.has_seen(1).await;
    proxy.reload(&pool("\"$new\"")).await;
    for _ in 0..5 {
        assert_eq!(proxy.get("/").await.text(), "new");
    }
    gate.open();
    assert_eq!(slow.answer().await.text(), "old", "it ends where it began");
    eventually(
        "idle connections to a removed endpoint are closed",
        || async { (old.open() == 0).then_some(()) },
    )
    .await;
    assert_eq!(slow.get("/").await.text(), "new");
    proxy.finish().await;
}

#[tokio::test]
async fn connections_to_endpoints_that_stay_are_kept() {
    let app = Backend::start(identity("app")).await;
    let other = Backend::start(identity("other")).await;
    let mut proxy = Settings::new(&pool("\"$app\""))
        .backend("app", &app)
        .start()
        .await;
    proxy.name("other", &other);
    let mut client = proxy.client().await;
    client.get("/").await;
    for weight in [2, 3] {
        let text = pool(&format!("{{ address = \"$app\", weight = {weight} }}"));
        proxy.reload(&text).await;
        assert_eq!(client.get("/").await.text(), "app");
    }
    assert_eq!(app.connections(), 1);
    proxy.finish().await;
}

#[tokio::test]
async fn an_ejection_outlives_a_reload() {
    let bad = Backend::start(|_| vec![Act::Read, Act::Reset]).await;
    let good = Backend::start(identity("good")).await;
    let text = pool("\"$bad\", \"$good\"");
    let mut proxy = Settings::new(&text)
        .backend("bad", &bad)
        .backend("good", &good)
        .start()
        .await;
    eventually("the endpoint is ejected", || async {
        proxy.get("/").await;
        let count = proxy
            .metric("sluicegate_ejections_total", &[("pool", "app")])
            .await;
        (count > 0.5).then_some(())
    })
    .await;
    let before = bad.count();
    proxy
        .reload(&pool("{ address = \"$bad\", weight = 3 }, \"$good\""))
        .await;
    for _ in 0..10 {
        assert_eq!(proxy.get("/").await.text(), "good");
    }
    assert_eq!(bad.count(), before);
    proxy.finish().await;
}

#[tokio::test]
async fn a_body_under_way_outlives_its_route_its_pool_and_its_endpoint() {
    let gate = Gate::new();
    let held = gate.clone();
    let app = Backend::start(move |_| {
        vec![
            Act::Read,
            Act::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfirst".to_vec()),
            Act::Wait(held.clone()),
            Act::Send(b" last".to_vec()),
        ]
    })
    .await;
    let mut proxy = Settings::new(&pool("\"$app\""))
        .backend("app", &app)
        .start()
        .await;
    let mut client = proxy.client().await;
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(client.head().await.0, 200);
    assert_eq!(client.bytes(5).await.unwrap(), b"first");
    let mut h2 = proxy.h2_client().await;
    let (response, _stream) = h2.open("GET", "/", &[], true).await.unwrap();
    app.has_seen(2).await;
    proxy
        .reload(&format!("[proxy]\nworkers = 1\n{}", respond("new")))
        .await;
    proxy
        .reload(&format!("[proxy]\nworkers = 1\n{}", respond("newer")))
        .await;
    gate.open();
    assert_eq!(client.bytes(5).await.unwrap(), b" last");
    let answer = crate::harness::h2_read(response).await.unwrap();
    assert_eq!(
        (answer.text().as_str(), answer.end),
        ("first last", End::Complete)
    );
    assert_eq!(client.get("/").await.text(), "newer");
    proxy.finish().await;
}

#[tokio::test]
async fn tests_in_the_file_refuse_a_reload_that_breaks_them() {
    let tested = |pool: &str| {
        format!(
            r#"
            [listeners.web]
            address = "$web"
            [routes.orders]
            path_prefix = "/orders"
            pool = "{pool}"
            [pools.orders]
            endpoints = ["127.0.0.1:1"]
            [pools.other]
            endpoints = ["127.0.0.1:2"]
            [tests.orders_go_to_orders]
            request = {{ method = "GET", url = "http://shop.example/orders/1" }}
            expect = {{ route = "orders", pool = "orders" }}
            "#
        )
    };
    let mut proxy = Settings::new(&tested("orders")).start().await;
    let generation = proxy.generation().await;
    proxy.replace(&tested("other"));
    proxy.reload_fails().await;
    assert!((proxy.generation().await - generation).abs() < 0.5);
    proxy.log_says("orders_go_to_orders").await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_start_with_a_broken_file_is_ready_with_the_last_good_one() {
    let kept = |body: &str| format!("[proxy]\nstate_dir = \"state\"\n{}", respond(body));
    let mut proxy = Settings::new(&kept("good")).start().await;
    assert_eq!(proxy.get("/").await.text(), "good");
    proxy.signal(Signal::TERM);
    proxy.exited().await;
    proxy.replace("[listeners");
    proxy.start_again().await;
    assert_eq!(proxy.get("/").await.text(), "good");
    // It serves: a bad edit must not take a fleet out of rotation.
    let ready = proxy.admin("GET", "/ready", "").await.expect("an answer");
    assert_eq!(ready.status, 200);
    assert!(ready.text().contains("last good"), "{}", ready.text());
    let status = proxy.admin("GET", "/status", "").await.expect("an answer");
    assert!(status.text().contains("\"degraded\""), "{}", status.text());
    proxy
        .metric_becomes("sluicegate_config_last_reload_success", &[], 0.0)
        .await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_start_with_a_broken_file_and_nothing_kept_ends_with_3() {
    let mut proxy = Settings::new("[listeners").launch();
    assert_eq!(proxy.exited().await.code(), Some(3));
    proxy.log_says("proxy.toml:1").await;
}

#[tokio::test]
async fn without_watch_only_those_who_ask_reload() {
    let text = |body: &str| format!("[proxy]\nwatch = false\n{}", respond(body));
    let mut proxy = Settings::new(&text("one")).start().await;
    let generation = proxy.generation().await;
    proxy.replace(&text("two"));
    // Longer than any look at the file takes.
    let taken = proxy.generation_passes(generation);
    let taken = tokio::time::timeout(Duration::from_secs(4), taken).await;
    assert!(taken.is_err(), "nobody asked");
    proxy.signal(Signal::HUP);
    proxy.generation_passes(generation).await;
    assert_eq!(proxy.get("/").await.text(), "two");
    // From here on it is followed again.
    proxy.replace(&respond("three"));
    proxy.signal(Signal::HUP);
    proxy.generation_passes(generation + 1.0).await;
    proxy.reload(&respond("four")).await;
    assert_eq!(proxy.get("/").await.text(), "four");
    proxy.finish().await;
}

#[tokio::test]
async fn a_file_that_stays_away_is_told_and_its_return_too() {
    let proxy = Settings::new(&respond("one")).start().await;
    let file = proxy.folder().join("proxy.toml");
    let away = proxy.folder().join("away");
    fs::rename(&file, &away).unwrap();
    proxy.reload_fails().await;
    let ready = proxy.admin("GET", "/ready", "").await.expect("an answer");
    assert_eq!(ready.status, 200, "it serves");
    assert!(ready.text().contains("does not exist"), "{}", ready.text());
    assert_eq!(proxy.get("/").await.text(), "one");
    fs::rename(&away, &file).unwrap();
    let gauge = "sluicegate_config_last_reload_success";
    proxy.metric_becomes(gauge, &[], 1.0).await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_file_that_is_saved_in_two_halves_is_taken_whole() {
    use std::io::Write as _;
    let proxy = Settings::new(&respond("one")).start().await;
    let file = proxy.folder().join("proxy.toml");
    let text = fs::read_to_string(&file).unwrap();
    let text = text.replace("\"one\"", "\"two\"");
    let (first, second) = text.split_at(text.find("[routes").unwrap() + 3);
    let generation = proxy.generation().await;
    // Each half is closed: nobody can know that another one comes.
    fs::write(&file, first).unwrap();
    let taken = proxy.generation_passes(generation);
    assert!(
        tokio::time::timeout(Duration::from_secs(2), taken)
            .await
            .is_err()
    );
    let mut rest = fs::File::options().append(true).open(&file).unwrap();
    rest.write_all(second.as_bytes()).unwrap();
    drop(rest);
    proxy.generation_passes(generation).await;
    assert_eq!(proxy.get("/").await.text(), "two");
    let failed = [("result", "failed")];
    let failed = proxy
        .metric("sluicegate_config_reloads_total", &failed)
        .await;
    assert!(failed < 0.5, "the first half is not told as a fault");
    proxy.finish().await;
}
