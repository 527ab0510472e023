//! Policies in whole configurations.

use std::path::Path;

use serde_json::{Value, json};

use crate::config::{Config, check::Rules, load::parse};

const POLICIES: &str = r#"
    [policies.slim]
    compress = { level = 3 }
    headers_response = { set = { x-a = "slim", x-b = "slim" } }
    secure_headers = true
    [policies.office]
    access = { allow = ["10.0.0.0/8"] }
    rate_limit = { key = "client_ip", rate = "9/s" }
    [policies.burst]
    rate_limit = [{ key = "route", rate = "100/s" }]
    headers_response = { set = { x-c = "burst" } }
    secure_headers = true
    [policies.inside]
    access = { allow = ["192.168.0.0/16"] }
    [policies.spare]
    body_max = "1MiB"
    [listeners.web]
    address = "127.0.0.1:0"
"#;

fn config(rest: &str) -> Result<Config, String> {
    let text = format!("{POLICIES}{rest}");
    let loaded = parse(text, Path::new("proxy.toml"), &Rules::default());
    loaded
        .map(|it| it.config)
        .map_err(|faults| faults.to_string())
}

fn route(rest: &str) -> Value {
    let config = config(rest).unwrap_or_else(|faults| panic!("{faults}"));
    serde_json::to_value(&config).unwrap()["routes"]["a"].clone()
}

#[test]
fn a_route_has_the_keys_of_its_policies_unless_it_writes_them() {
    let a = route(
        r#"
        [routes.a]
        respond = {}
        use = ["slim", "office", "burst"]
        compress = { encodings = ["gzip"] }
        headers_response = { set = { x-b = "own" } }
        "#,
    );
    assert_eq!(a["compress"]["level"], 3);
    assert_eq!(a["compress"]["encodings"], json!(["gzip"]));
    let set = &a["headers_response"]["set"];
    assert_eq!(*set, json!({ "x-a": "slim", "x-b": "own", "x-c": "burst" }));
    assert_eq!(a["secure_headers"], true);
    assert_eq!(a["access"]["allow"], json!(["10.0.0.0/8"]));
    let rates = a["rate_limit"].as_array().unwrap();
    let rates: Vec<&Value> = rates.iter().map(|rule| &rule["rate"]).collect();
    assert_eq!(rates, ["9/s", "100/s"]);
    assert_eq!(a["use"], json!([]));
    let off = route(
        r#"
        [routes.a]
        respond = {}
        use = ["slim", "office"]
        compress = false
        rate_limit = []
        "#,
    );
    assert_eq!(off.get("compress"), None);
    assert_eq!(off["rate_limit"], json!([]));
}

#[test]
fn policies_go_before_the_defaults_and_a_route_before_both() {
    let defaults = r#"
        [defaults.routes]
        use = ["slim"]
        secure_headers = false
        compress = { level = 9, min = "2KiB" }
        [routes.a]
        respond = {}
        "#;
    let a = route(defaults);
    assert_eq!(a["secure_headers"], true);
    assert_eq!(a["compress"]["level"], 3);
    assert_eq!(a["compress"]["min"], "2KiB");
    // A list replaces.
    let a = route(&format!("{defaults}use = []\n"));
    let found = (&a["secure_headers"], &a["compress"]["level"]);
    assert_eq!(found, (&json!(false), &json!(9)));
}

#[test]
fn it_is_known_what_comes_from_where() {
    let config = config(
        r#"
        [routes.a]
        respond = {}
        use = ["slim", "burst"]
        compress = false
        [routes.b]
        respond = {}
        path = "/b"
        "#,
    );
    let config = config.unwrap();
    let taken = config.policies.taken_by("a").iter();
    let taken: Vec<(&str, String)> = taken.map(|it| (&*it.key, it.policies.join("+"))).collect();
    let expected = [
        ("headers_response", "slim+burst".to_owned()),
        ("rate_limit", "burst".to_owned()),
        ("secure_headers", "slim+burst".to_owned()),
    ];
    assert_eq!(taken, expected);
    assert!(config.policies.taken_by("b").is_empty());
}

#[test]
fn of_two_policies_none_wins() {
    let both = r#"
        [routes.a]
        respond = {}
        use = ["office", "inside"]
        [routes.b]
        path = "/b"
        respond = {}
        use = ["office", "inside"]
        "#;
    let shown = config(both).unwrap_err();
    let message = r#"policy "inside" and one before it both have "access.allow""#;
    assert_eq!(shown.matches(message).count(), 2, "{shown}");
    let own = both.replace(
        "respond = {}",
        "respond = {}\naccess = { allow = [\"::1\"] }",
    );
    config(&own).unwrap_or_else(|faults| panic!("{faults}"));
}

#[test]
fn an_empty_list_does_not_lift_that_of_a_policy() {
    let text = |access: &str| {
        format!("[routes.a]\nrespond = {{}}\nuse = [\"office\"]\naccess = {access}\n")
    };
    let shown = config(&text("{ allow = [] }")).unwrap_err();
    let message = r#"routes.a.access.allow is empty, and lifts the list of policy "office""#;
    assert!(shown.contains(message), "{shown}");
    let off = route(&text("false"));
    assert_eq!(off.get("access"), None, "on purpose");
    let more = route(&text("{ deny = [\"10.1.0.0/16\"] }"));
    assert_eq!(more["access"]["allow"], json!(["10.0.0.0/8"]));
    let none = route(&text("{ deny = [] }"));
    assert_eq!(none["access"]["allow"], json!(["10.0.0.0/8"]));
}

#[test]
fn it_is_known_what_a_route_has_replaced() {
    let config = config(
        r#"
        [routes.a]
        respond = {}
        use = ["slim", "office"]
        compress = { level = 9 }
        access = false
        "#,
    );
    let replaced = config.unwrap().policies.replaced_in("a");
    let told: Vec<&str> = replaced.keys().map(String::as_str).collect();
    assert_eq!(told, ["access", "compress"]);
    assert_eq!(replaced["compress"], ["slim"]);
}
