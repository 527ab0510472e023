//! Questions about requests: by which listener they would come in.

use crate::{Outcome, run};

/// A site that sends plain HTTP to HTTPS, and one listener for this machine.
fn site(more: &str) -> String {
    let folder = env!("CARGO_MANIFEST_DIR");
    format!(
        r#"
        [listeners.a_plain]
        address = "127.0.0.1:80"
        [listeners.b_inner]
        address = "127.0.0.1:8080"
        [listeners.c_secure]
        address = "127.0.0.1:443"
        tls = {{ certificates = [
            {{ chain = "{folder}/tests/config/tls/shop.pem", key = "{folder}/tests/config/tls/shop.key" }},
        ] }}
        [routes.to_https]
        listeners = ["a_plain"]
        redirect = {{ to = "https://{{host}}{{path}}{{query}}" }}
        [routes.shop]
        listeners = ["c_secure"]
        pool = "shop"
        [routes.inner]
        listeners = ["b_inner"]
        source = ["10.0.0.0/8"]
        pool = "inner"
        [pools.shop]
        endpoints = ["127.0.0.1:9001"]
        [pools.inner]
        endpoints = ["127.0.0.1:9002"]
        {more}
        "#
    )
}

fn explained(arguments: &[&str]) -> Outcome {
    let all = [&["explain", "GET"], arguments].concat();
    run(&site(""), &all)
}

#[test]
fn scheme_and_port_say_by_which_listener_a_request_comes_in() {
    for (url, listener, route) in [
        ("http://shop.example/x", "a_plain", "to_https"),
        ("https://shop.example/x", "c_secure", "shop"),
        ("https://shop.example:443/x", "c_secure", "shop"),
        ("http://shop.example:80/x", "a_plain", "to_https"),
        // Something in front may have mapped the port.
        ("https://shop.example:8443/x", "c_secure", "shop"),
    ] {
        let outcome = explained(&[url, "--format", "json"]);
        let told: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
        assert_eq!(told["listener"], listener, "{url}");
        assert_eq!(told["route"], route, "{url}");
    }
    let outcome = explained(&["https://shop.example:8443/x"]);
    assert!(
        outcome.stdout.contains("none has the port"),
        "{}",
        outcome.stdout
    );
}

#[test]
fn a_listener_can_be_named() {
    let url = "http://shop.example/x";
    let named = &["--listener", "b_inner", "--source", "10.1.2.3", url];
    let outcome = explained(named);
    assert!(
        outcome.stdout.contains("route \"inner\""),
        "{}",
        outcome.all()
    );
    let outcome = explained(&["--listener", "b_iner", url]);
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.stderr.contains("no listener \"b_iner\""),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_test_says_where_its_request_comes_in_and_from_where() {
    let right = r#"
        [tests.plain_goes_to_https]
        request = { url = "http://shop.example/a?b=c" }
        expect = { redirect = "https://shop.example/a?b=c", status = 308 }
        [routes.moved]
        path_prefix = "/old"
        rewrite = { path_regex = { match = "^/old/(.*)$", to = "/new/$1" } }
        redirect = { to = "https://{host}{path}{query}", status = 301 }
        [tests.what_moved_is_found]
        request = { url = "https://shop.example/old/a?b=c" }
        expect = { redirect = "https://shop.example/new/a?b=c" }
        [tests.https_goes_to_the_shop]
        request = { url = "https://shop.example/a" }
        expect = { route = "shop" }
        [tests.inner]
        request = { url = "http://shop.example:8080/", source = "10.0.0.7" }
        expect = { route = "inner" }
        [tests.named]
        request = { url = "http://shop.example/", listener = "b_inner", source = "10.0.0.7" }
        expect = { route = "inner" }
        [tests.nobody_else_gets_in]
        request = { url = "http://shop.example:8080/", source = "203.0.113.9" }
        expect = { status = 404 }
    "#;
    let outcome = run(&site(right), &["check"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.all());
    let wrong = r#"
        [tests.t]
        request = { url = "http://shop.example/", listener = "b_iner", source = "10.0.0" }
        expect = { route = "inner" }
    "#;
    let outcome = run(&site(wrong), &["check"]);
    assert_eq!(outcome.code, Some(3));
    let text = outcome.all();
    assert!(text.contains("did you mean \"b_inner\"?"), "{text}");
    assert!(text.contains("\"10.0.0\" is not an IP address"), "{text}");
}

#[test]
fn nobody_has_asked_the_endpoints_of_a_file() {
    let outcome = explained(&["https://shop.example/"]);
    assert!(
        outcome.stdout.contains("health not asked"),
        "{}",
        outcome.stdout
    );
    assert!(!outcome.stdout.contains("healthy"), "{}", outcome.stdout);
    let checked = site(
        r#"
        [routes.checked]
        hosts = ["checked.example"]
        pool = "checked"
        [pools.checked]
        endpoints = ["127.0.0.1:9001"]
        health = { tcp = {} }
        "#,
    );
    let outcome = run(&checked, &["explain", "GET", "http://checked.example/"]);
    for word in ["may serve", "from config"] {
        assert!(outcome.stdout.contains(word), "{word}: {}", outcome.all());
    }
    assert!(!outcome.stdout.contains("skipped"), "{}", outcome.stdout);
}
