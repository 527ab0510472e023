//! The cache tests of the HTTP working group.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::harness::{Peer, Port, Settings, node_packages};

/// Tests that are required by the suite, and that fail; each with the reason.
const EXPECTED: &[(&str, &str)] = &[
    ("age-parse-nonnumeric", AGE),
    ("age-parse-negative", AGE),
    ("age-parse-float", AGE),
    ("age-parse-parameter", AGE),
    ("age-parse-numeric-parameter", AGE),
    ("age-parse-prefix-twoline", AGE),
    ("age-parse-dup-0", AGE),
    ("age-parse-dup-0-twoline", AGE),
    ("age-parse-dup-old", AGE),
    ("stale-close-must-revalidate", CLOSE),
    ("stale-close-proxy-revalidate", CLOSE),
    ("stale-close-no-cache", CLOSE),
    ("stale-close-s-maxage=2", CLOSE),
    ("surrogate-fresh-cc-nostore", TARGET),
    ("headers-store-Transfer-Encoding", FRAMING),
    ("headers-store-Set-Cookie", COOKIE),
    ("304-etag-update-response-Set-Cookie", COOKIE),
];

/// Older than RFC 9111, whose section 5.1 says the opposite: of several ages the first counts, and
/// one that is no number is ignored. Later versions of the suite ask without requiring anything.
const AGE: &str = "RFC 9111 section 5.1";
/// The origin closes without an answer, and the test wants one of the origin. The proxy answers
/// with 502, as RFC 9111 section 4.2.4 has it; no answer of a cache would pass.
const CLOSE: &str = "no answer can pass";
/// `Surrogate-Control` for one surrogate by the name that it sends in `Surrogate-Capability`: the
/// proxy sends none, and obeys what is for all of them.
const TARGET: &str = "no Surrogate-Capability";
/// The origin sends a `Transfer-Encoding` that it has not applied: the proxy refuses the message,
/// and the suite takes that for a failure of its set-up.
const FRAMING: &str = "malformed answer";
/// A cookie is never stored, and by default neither is an answer that sets one.
const COOKIE: &str = "cookies are for one user";

#[tokio::test]
async fn the_cache_tests_of_the_working_group_pass() {
    let Some(packages) = node_packages() else {
        return;
    };
    let suite = Path::new(&packages).join("node_modules/http-cache-tests");
    if !suite.exists() {
        eprintln!("passed over: http-cache-tests is not in NODE_PEERS_PATH");
        return;
    }
    let port = Port::take();
    let program = "cache_tests.mjs";
    let arguments = ["server".to_owned(), port.address().port().to_string()];
    let origin = Peer::start_node(&packages, program, &arguments).await;
    let config = r#"
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        retry = false
        cache = { client_refresh = true }
        [pools.app]
        endpoints = ["$app"]
        ejection = false
    "#;
    let settings = Settings::new(config).address("app", port.address());
    let proxy = settings.start().await;
    let url = format!("http://{}", proxy.address("web"));
    let client = Peer::start_node(&packages, program, &["client".to_owned(), url]).await;
    let told = client.ended().await.unwrap();
    drop(origin);

    let lines = told.lines().map(|line| serde_json::from_str(line).unwrap());
    let mut lines: Vec<Value> = lines.collect();
    let nginx = lines.pop().unwrap()["nginx"].clone();
    let mut passed: BTreeMap<&str, u64> = BTreeMap::new();
    let mut failed = Vec::new();
    let mut better = Vec::new();
    for line in &lines {
        let (id, kind) = (line["id"].as_str().unwrap(), line["kind"].as_str().unwrap());
        let expected = EXPECTED.iter().any(|(known, _)| *known == id);
        if line["passed"] == true {
            *passed.entry(kind).or_default() += 1;
            better.extend(expected.then_some(id));
        } else if kind == "required" && !expected {
            failed.push(format!("{id}: {}", line["said"]));
        }
    }
    println!("passed: {passed:?}, nginx: {nginx}");
    assert_eq!(failed, Vec::<String>::new());
    assert_eq!(
        better,
        Vec::<&str>::new(),
        "no longer to be expected to fail"
    );
    for kind in ["required", "optimal"] {
        assert!(
            passed[kind] >= nginx[kind].as_u64().unwrap(),
            "{passed:?} {nginx}"
        );
    }
    proxy.finish().await;
}
