//! Commands about a proxy that runs.

use crate::running::{Running, eventually};

const SHOP: &str = r#"
[proxy]
workers = 1

[admin]
address = "$admin"
token = "sesame-sesame"

[access_log]
path = "access.log"

[listeners.web]
address = "$web"

[routes.all]
pool = "app"

[routes.orders]
path_prefix = "/orders"
headers = { "x-tenant" = "acme" }
pool = "orders"

[routes.old]
path_prefix = "/old"
respond = { status = 410, body = "gone" }

[pools.app]
endpoints = ["$app"]

[pools.orders]
endpoints = ["$orders"]
"#;

fn shop() -> Running {
    shop_with(SHOP)
}

fn shop_with(config: &str) -> Running {
    Running::start(config, &["app", "orders"])
}

#[test]
fn status_shows_the_process_and_every_endpoint() {
    let proxy = shop();
    proxy.get("/", "");
    let text = proxy.answer(&["status"]);
    for part in ["running", "generation 1", "web", "pool app", "pool orders"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.contains(&proxy.address("orders")), "{text}");
    let json = proxy.json(&["status"]);
    assert_eq!(json["status"]["state"], "running");
    assert_eq!(json["pools"][0]["name"], "app");
    assert_eq!(json["listeners"][0]["address"], proxy.address("web"));
}

#[test]
fn explain_says_what_the_proxy_then_does() {
    let proxy = shop();
    let tenant = "x-tenant: acme";
    for (path, header, route, body) in [
        ("/", None, "all", "app"),
        ("/orders/1?a=b", Some(tenant), "orders", "orders"),
        ("/orders/1", None, "all", "app"),
        ("/orders/../orders", Some(tenant), "orders", "orders"),
        ("/ordersx", Some(tenant), "all", "app"),
        ("/old/shoe", None, "old", "gone"),
    ] {
        let url = format!("http://shop.example{path}");
        let mut arguments = vec!["explain", "GET", &url];
        arguments.extend(header.iter().flat_map(|header| ["-H", header]));
        let file = proxy.json(&arguments);
        arguments.push("--live");
        let live = proxy.json(&arguments);
        assert_eq!(file["route"], route, "{path}");
        assert_eq!(live["route"], route, "{path}");
        assert_eq!(file["routes"], live["routes"], "{path}");
        let lines = header.map_or_else(String::new, |header| format!("{header}\r\n"));
        let answer = proxy.get(path, &lines);
        assert!(
            answer.ends_with(&format!("\r\n\r\n{body}")),
            "{path}: {answer}"
        );
    }
}

#[test]
fn explain_takes_the_host_of_a_path_from_the_header() {
    let config = SHOP.replace("[routes.all]", "[routes.all]\nhosts = [\"shop.example\"]");
    let proxy = shop_with(&config);
    let route = |header: &str| proxy.json(&["explain", "GET", "/", "-H", header])["route"].clone();
    assert_eq!(route("host: shop.example:80"), "all");
    assert_eq!(route("host: other.example"), serde_json::Value::Null);
    let text = proxy.answer(&["explain", "GET", "http://other.example/"]);
    assert!(text.contains("no route takes it"), "{text}");
    assert!(text.contains("404"), "{text}");
}

#[test]
fn an_endpoint_is_drained_and_enabled_by_name() {
    let proxy = shop();
    let name = format!("app/{}", proxy.address("app"));
    let text = proxy.answer(&["endpoint", "drain", &name]);
    assert!(text.contains(&name), "{text}");
    eventually("the drained endpoint gets nothing", || {
        proxy.get("/", "").starts_with("HTTP/1.1 503")
    });
    let text = proxy.answer(&["explain", "--live", "GET", "http://shop.example/"]);
    assert!(text.contains("skipped: draining"), "{text}");
    let text = proxy.answer(&["status"]);
    assert!(text.contains("draining"), "{text}");
    proxy.answer(&["endpoint", "enable", &name]);
    eventually("the enabled endpoint is back", || {
        proxy.get("/", "").ends_with("app")
    });
    proxy.answer(&["endpoint", "eject", &name]);
    eventually("the ejected endpoint gets nothing", || {
        proxy.get("/", "").starts_with("HTTP/1.1 503")
    });
}

#[test]
fn what_there_is_not_is_1_and_named() {
    let proxy = shop();
    let app = proxy.address("app");
    for (arguments, named) in [
        (
            &["endpoint", "drain", "ap/127.0.0.1:1"][..],
            "did you mean \"app\"?",
        ),
        (&["endpoint", "drain", "app/127.0.0.1:1"], &*app),
        (&["why", "no-such-id"], "\"no-such-id\""),
    ] {
        let outcome = proxy.run(arguments);
        assert_eq!(outcome.code, Some(1), "{arguments:?}: {}", outcome.all());
        assert!(outcome.stderr.contains(named), "{}", outcome.all());
        // Programs get the same sentence as JSON.
        let outcome = proxy.run(&[arguments, &["--format", "json"]].concat());
        assert_eq!(outcome.code, Some(1), "{arguments:?}: {}", outcome.all());
        let told: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
        let sentence = told["error"].as_str().unwrap_or_default();
        assert!(sentence.contains(named), "{told}");
        assert_eq!(outcome.stderr, "");
    }
}

#[test]
fn diff_tells_what_a_reload_would_change_and_changes_nothing() {
    let proxy = shop();
    proxy.write(
        "new.toml",
        &SHOP.replace("$orders", "127.0.0.1:9").replace("410", "404"),
    );
    let text = proxy.answer(&["diff", "new.toml"]);
    assert!(text.contains("+ endpoint orders/127.0.0.1:9"), "{text}");
    let gone = format!("- endpoint orders/{}", proxy.address("orders"));
    assert!(text.contains(&gone), "{text}");
    assert!(
        text.contains("route old: respond.status 410 -> 404"),
        "{text}"
    );
    let json = proxy.json(&["diff", "new.toml"]);
    assert_eq!(json["added"][0]["name"], "orders/127.0.0.1:9");
    let same = proxy.answer(&["diff", "proxy.toml"]);
    assert!(same.contains("no change"), "{same}");
    assert_eq!(proxy.json(&["status"])["status"]["generation"], 1);
    proxy.write(
        "bad.toml",
        &SHOP.replace("pool = \"orders\"", "pool = \"order\""),
    );
    let outcome = proxy.run(&["diff", "bad.toml"]);
    assert_eq!(outcome.code, Some(3), "{}", outcome.all());
    assert!(
        outcome.stderr.contains("bad.toml:21:8"),
        "{}",
        outcome.all()
    );
    let outcome = proxy.run(&["diff", "none.toml"]);
    assert_eq!(outcome.code, Some(3), "{}", outcome.all());
    assert!(outcome.stderr.contains("none.toml"), "{}", outcome.all());
}

#[test]
fn reload_takes_up_a_good_file_and_refuses_a_bad_one_with_3() {
    let proxy = shop_with(SHOP);
    let text = proxy.answer(&["reload"]);
    assert!(text.contains("unchanged: generation 1"), "{text}");
    let next = SHOP.replace("gone", "away");
    proxy.write("proxy.toml", &next);
    proxy.answer(&["reload"]);
    assert!(proxy.get("/old", "").ends_with("away"));
    let bad = next.replace("pool = \"orders\"", "pool = \"order\"");
    proxy.write("proxy.toml", &bad);
    let outcome = proxy.run(&["reload"]);
    assert_eq!(outcome.code, Some(3), "{}", outcome.all());
    assert!(
        outcome.stderr.contains("proxy.toml:21:8"),
        "{}",
        outcome.all()
    );
    assert!(
        outcome
            .stderr
            .contains("configuration unchanged, generation 2"),
        "{}",
        outcome.all()
    );
    // The file is broken now, and the proxy can be asked nevertheless.
    let text = proxy.answer(&["status"]);
    assert!(text.contains("last reload failed"), "{text}");
}

#[test]
fn why_tells_each_attempt_of_a_request() {
    let proxy = shop();
    let answer = proxy.get("/orders/7", "x-tenant: acme\r\n");
    let id = answer
        .lines()
        .find_map(|line| line.strip_prefix("x-request-id: "));
    let id = id.unwrap().to_owned();
    eventually("the exchange is kept", || {
        proxy.run(&["why", &id]).code == Some(0)
    });
    let text = proxy.answer(&["why", &id]);
    for part in [
        "/orders/7 -> 200",
        "orders",
        "attempts",
        &proxy.address("orders"),
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let json = proxy.json(&["why", &id]);
    assert_eq!(json["route"], "orders");
    assert_eq!(json["attempts"][0]["outcome"], "200");
}

#[test]
fn drain_waits_for_the_end_of_the_process() {
    let mut proxy = shop();
    let text = proxy.answer(&["drain", "--wait"]);
    assert_eq!(text, "drained\n");
    eventually("the process ends", || proxy.ended().is_some());
    assert!(proxy.ended().unwrap().success());
    assert_eq!(proxy.run(&["status"]).code, Some(1));
}

#[test]
fn the_token_comes_from_the_environment_or_the_file() {
    let proxy = shop();
    let outcome = proxy.run_with_token(Some("wrong"), &["reload"]);
    assert_eq!(outcome.code, Some(1), "{}", outcome.all());
    assert!(
        outcome.stderr.contains("SLUICEGATE_TOKEN"),
        "{}",
        outcome.all()
    );
    let outcome = proxy.run_with_token(Some("two\nlines"), &["reload"]);
    assert_eq!(outcome.code, Some(1), "{}", outcome.all());
    assert!(outcome.stderr.contains("the token"), "{}", outcome.all());
    // An address that the file does not name gets no token out of the file unasked.
    let admin = proxy.address("admin");
    let arguments = ["reload", "--admin", &admin];
    assert_eq!(proxy.run(&arguments).code, Some(1));
    assert_eq!(
        proxy.run_with_token(Some("sesame-sesame"), &arguments).code,
        Some(0)
    );
    let named = ["reload", "--admin", &admin, "--config", "proxy.toml"];
    assert_eq!(proxy.run(&named).code, Some(0));
}

#[test]
fn without_a_token_it_can_be_asked_but_not_changed() {
    let proxy = shop_with(&SHOP.replace("token = \"sesame-sesame\"", ""));
    let outcome = proxy.run(&["drain"]);
    assert_eq!(outcome.code, Some(1), "{}", outcome.all());
    assert!(outcome.stderr.contains("admin.token"), "{}", outcome.all());
}

#[test]
fn the_admin_api_may_be_a_unix_socket() {
    let proxy = shop_with(&SHOP.replace("$admin", "unix:admin.sock"));
    assert!(proxy.answer(&["status"]).contains("running"));
    assert!(
        proxy
            .answer(&["status", "--admin", "unix:admin.sock"])
            .contains("running")
    );
    let outcome = proxy.run(&["status", "--admin", "unix:none.sock"]);
    assert_eq!(outcome.code, Some(1), "{}", outcome.all());
    let missing = "no proxy answers at unix:none.sock: there is no such socket";
    assert!(outcome.stderr.contains(missing), "{}", outcome.all());
    let added = "A table [admin] that is added later needs a restart";
    assert!(outcome.stderr.contains(added), "{}", outcome.all());
}

#[test]
fn the_log_is_as_the_file_says_and_its_level_follows_reloads() {
    let logging = |level| format!("{SHOP}\n[log]\nformat = \"json\"\nlevel = \"{level}\"\n");
    let proxy = shop_with(&logging("error"));
    assert_eq!(proxy.log(), "", "nothing went wrong yet");
    proxy.write("proxy.toml", &logging("info"));
    proxy.answer(&["reload"]);
    eventually("the log speaks", || {
        proxy.log().contains("configuration reloaded")
    });
    for line in proxy.log().lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["level"].is_string(), "{line}");
    }
}

#[test]
fn explain_refuses_what_the_proxy_refuses() {
    let proxy = shop();
    // With its slash decoded, the path would go elsewhere.
    let arguments = ["explain", "GET", "http://shop.example/old%2Fshoe"];
    let live = [&arguments[..], &["--live"]].concat();
    for arguments in [&arguments[..], &live] {
        let text = proxy.answer(arguments);
        assert!(text.starts_with("refused with 400"), "{text}");
    }
    assert!(proxy.get("/old%2Fshoe", "").starts_with("HTTP/1.1 400"));
    let arguments = ["explain", "GET", "http://shop.example/%00"];
    let live = [&arguments[..], &["--live"]].concat();
    for arguments in [&arguments[..], &live] {
        let outcome = proxy.run(arguments);
        assert_eq!(outcome.code, Some(1), "{}", outcome.all());
        assert!(outcome.stderr.starts_with("error: "), "{}", outcome.all());
    }
    assert!(proxy.get("/%00", "").starts_with("HTTP/1.1 400"));
}

#[test]
fn a_proxy_with_its_last_good_configuration_is_found_though_its_file_is_empty() {
    let proxy = shop_with(&SHOP.replace("[proxy]", "[proxy]\nstate_dir = \"state\""));
    eventually("the configuration is kept", || {
        proxy.path("state").exists() && proxy.answer(&["status"]).contains("running")
    });
    proxy.write("proxy.toml", "");
    assert!(proxy.answer(&["status"]).contains("running"));
}
