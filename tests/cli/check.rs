//! `sluicegate check`: faults, their places, and the tests in a file.

use crate::{GOOD, run};

#[test]
fn check_passes_a_good_file() {
    for arguments in [&["check"][..], &["check", "proxy.toml"]] {
        let outcome = run(GOOD, arguments);
        assert_eq!(outcome.code, Some(0), "{}", outcome.all());
    }
}

#[test]
fn check_tells_every_fault_with_its_place_and_the_nearest_name() {
    let bad = GOOD
        .replace("pool = \"orders\"", "pool = \"order\"")
        .replace("path_prefix", "path_prefx");
    let outcome = run(&bad, &["check"]);
    assert_eq!(outcome.code, Some(3), "{}", outcome.all());
    let text = outcome.all();
    assert!(text.contains("proxy.toml:11:8"), "{text}");
    assert!(text.contains("did you mean \"orders\"?"), "{text}");
    assert!(text.contains("proxy.toml:9:1"), "{text}");
    assert!(text.contains("path_prefix"), "{text}");
}

#[test]
fn check_speaks_json_to_programs() {
    let bad = GOOD.replace("pool = \"orders\"", "pool = \"order\"");
    let outcome = run(&bad, &["check", "--format", "json"]);
    assert_eq!(outcome.code, Some(3), "{}", outcome.all());
    let parsed: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    let text = parsed.to_string();
    assert!(text.contains("\"line\":11"), "{text}");
    assert!(text.contains("\"column\":8"), "{text}");
    let outcome = run(GOOD, &["check", "--format", "json"]);
    assert_eq!(outcome.code, Some(0));
    assert!(serde_json::from_str::<serde_json::Value>(&outcome.stdout).is_ok());
}

#[test]
fn check_runs_the_tests_in_the_file() {
    let expecting = |pool: &str| {
        format!(
            "{GOOD}\n[tests.acme]\nrequest = {{ url = \"http://a/orders/1\", \
             headers = {{ \"x-tenant\" = \"acme\" }} }}\nexpect = {{ pool = \"{pool}\" }}\n"
        )
    };
    let outcome = run(&expecting("orders"), &["check"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.all());
    let outcome = run(&expecting("app"), &["check"]);
    assert_eq!(outcome.code, Some(3), "{}", outcome.all());
    let text = outcome.all();
    assert!(text.contains("the test \"acme\" fails"), "{text}");
    assert!(text.contains("proxy.toml:21:10"), "{text}");
    assert!(
        text.contains("expected pool \"app\", found \"orders\""),
        "{text}"
    );
}
