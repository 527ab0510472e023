//! Each picker spreads requests as its name says, and skips who cannot serve.

use std::collections::BTreeMap;

use crate::harness::{Act, Backend, Gate, Proxy, Settings, answer, identity};

/// A pool of three on one worker, so that the spread is exact.
fn three(pool: &str) -> String {
    format!(
        r#"
        [proxy]
        workers = 1
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        [pools.app]
        {pool}
        "#
    )
}

/// Three servers that answer with their names, and the proxy before them.
async fn start(pool: &str) -> (Proxy, [Backend; 3]) {
    let backends = [
        Backend::start(identity("a")).await,
        Backend::start(identity("b")).await,
        Backend::start(identity("c")).await,
    ];
    let proxy = Settings::new(&three(pool))
        .backend("a", &backends[0])
        .backend("b", &backends[1])
        .backend("c", &backends[2])
        .start()
        .await;
    (proxy, backends)
}

/// Returns the endpoint that answered each of so many requests.
async fn order(proxy: &Proxy, count: usize) -> Vec<String> {
    let mut client = proxy.client().await;
    let mut names = Vec::new();
    for _ in 0..count {
        names.push(client.get("/").await.text());
    }
    names
}

fn tally(names: &[String]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for name in names {
        *counts.entry(name.as_str()).or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn round_robin_goes_round() {
    let (proxy, _backends) = start(r#"endpoints = ["$a", "$b", "$c"]"#).await;
    let names = order(&proxy, 30).await;
    for window in names.windows(3) {
        assert_eq!(tally(window).len(), 3, "{names:?}");
    }
    proxy.finish().await;
}

#[tokio::test]
async fn weighted_round_robin_keeps_the_weights_without_bursts() {
    let pool = r#"
        picker = "weighted_round_robin"
        endpoints = [{ address = "$a", weight = 5 }, { address = "$b", weight = 1 }, { address = "$c", weight = 1 }]
    "#;
    let (proxy, _backends) = start(pool).await;
    let names = order(&proxy, 70).await;
    assert_eq!(
        tally(&names),
        BTreeMap::from([("a", 50), ("b", 10), ("c", 10)])
    );
    // Five in a row would be a burst: the light ones come between.
    let longest = names.chunk_by(|x, y| x == y).map(<[String]>::len).max();
    assert!(longest < Some(5), "{names:?}");
    proxy.finish().await;
}

#[tokio::test]
async fn weight_0_gets_nothing_new() {
    let pool = r#"
        picker = "weighted_round_robin"
        endpoints = ["$a", { address = "$b", weight = 0 }, "$c"]
    "#;
    let (proxy, backends) = start(pool).await;
    order(&proxy, 20).await;
    assert_eq!(backends[1].count(), 0);
    proxy.finish().await;
}

#[tokio::test]
async fn random_reaches_everyone() {
    let (proxy, _backends) = start(
        r#"
        picker = "random"
        endpoints = ["$a", "$b", "$c"]
        "#,
    )
    .await;
    let names = order(&proxy, 150).await;
    let counts = tally(&names);
    // Fewer than 15 of 150 at p = 1/3 happens less than once in 10^9 runs.
    assert!(
        counts.len() == 3 && counts.values().all(|n| *n >= 15),
        "{counts:?}"
    );
    proxy.finish().await;
}

/// The pickers that look at load leave an endpoint alone that is busy.
async fn avoids_the_busy(picker: &str) {
    let gate = Gate::new();
    let held = gate.clone();
    let slow = Backend::start(move |_| {
        [vec![Act::Read, Act::Wait(held.clone())], answer("slow")].concat()
    })
    .await;
    let fast = Backend::start(identity("fast")).await;
    let pool = format!("picker = \"{picker}\"\nendpoints = [\"$slow\", \"$fast\"]");
    let proxy = Settings::new(&three(&pool))
        .backend("slow", &slow)
        .backend("fast", &fast)
        .start()
        .await;
    // Requests one at a time until one hangs at the slow endpoint; then it is busy.
    let mut hanging = Vec::new();
    while slow.count() == 0 {
        let mut client = proxy.client().await;
        let before = fast.count();
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        crate::harness::eventually("the request is somewhere", || async {
            (slow.count() > 0 || fast.count() > before).then_some(())
        })
        .await;
        if fast.count() > before {
            // Until it is answered, the fast one is as busy as the slow one will be.
            client.answer().await;
        } else {
            hanging.push(client);
        }
    }
    let names = order(&proxy, 20).await;
    assert!(
        names.iter().all(|name| name == "fast"),
        "{picker}: {names:?}"
    );
    assert_eq!(slow.count(), 1, "{picker}");
    gate.open();
    for client in &mut hanging {
        client.answer().await;
    }
    proxy.finish().await;
}

#[tokio::test]
async fn least_requests_avoids_the_busy() {
    avoids_the_busy("least_requests").await;
}

#[tokio::test]
async fn power_of_two_avoids_the_busy() {
    avoids_the_busy("power_of_two").await;
}

#[tokio::test]
async fn peak_ewma_avoids_the_slow() {
    let slow = Backend::start(|_| [vec![Act::Read, Act::Pause(SLOW)], answer("slow")].concat());
    let (slow, fast) = (slow.await, Backend::start(identity("fast")).await);
    let pool = "picker = \"peak_ewma\"\nendpoints = [\"$slow\", \"$fast\"]";
    let proxy = Settings::new(&three(pool))
        .backend("slow", &slow)
        .backend("fast", &fast)
        .start()
        .await;
    // Both have to be known: who is not is taken for as fast as the others.
    crate::harness::eventually("both are tried", || async {
        order(&proxy, 1).await;
        (slow.count() > 0 && fast.count() > 0).then_some(())
    })
    .await;
    let before = slow.count();
    let names = order(&proxy, 20).await;
    assert!(names.iter().all(|name| name == "fast"), "{names:?}");
    assert_eq!(slow.count(), before);
    proxy.finish().await;
}

/// The hashing pickers send a key always to the same place.
async fn sticks(picker: &str) {
    let pool = format!("picker = {{ {picker} = {{ key = \"header:x-user\" }} }}\n");
    let (mut proxy, backends) = start(&format!("{pool}endpoints = [\"$a\", \"$b\", \"$c\"]")).await;
    let mut homes = BTreeMap::new();
    for user in 0..60 {
        let lines = format!("x-user: user-{user}");
        let home = proxy.request("GET", "/", &lines, b"").await.text();
        let again = proxy.request("GET", "/", &lines, b"").await.text();
        assert_eq!(home, again, "{picker}: user {user}");
        homes.insert(user, home);
    }
    let names: Vec<String> = homes.values().cloned().collect();
    assert_eq!(tally(&names).len(), 3, "{picker}: everybody has users");
    // Taking one endpoint away moves its users and few others.
    let text = three(&format!("{pool}endpoints = [\"$a\", \"$b\"]"));
    proxy.reload(&text).await;
    let mut moved = 0;
    for (user, home) in &homes {
        let lines = format!("x-user: user-{user}");
        let now = proxy.request("GET", "/", &lines, b"").await.text();
        moved += usize::from(home != "c" && now != *home);
    }
    assert!(moved <= 10, "{picker}: {moved} of 60 moved without need");
    drop(backends);
    proxy.finish().await;
}

#[tokio::test]
async fn a_ring_hash_sticks() {
    sticks("ring_hash").await;
}

#[tokio::test]
async fn maglev_sticks() {
    sticks("maglev").await;
}

#[tokio::test]
async fn a_query_parameter_is_the_same_key_however_it_is_encoded() {
    let pool = "picker = { maglev = { key = \"query:user\" } }\n";
    let (proxy, backends) = start(&format!("{pool}endpoints = [\"$a\", \"$b\", \"$c\"]")).await;
    let mut homes = Vec::new();
    for user in 0..20 {
        let home = proxy.get(&format!("/?user=no+{user}%21")).await.text();
        for same in [
            format!("/?x=1&user=no%20{user}!"),
            format!("/?us%65r=no%20{user}!&user=2"),
        ] {
            assert_eq!(proxy.get(&same).await.text(), home, "{same}");
        }
        homes.push(home);
    }
    assert_eq!(tally(&homes).len(), 3, "everybody has users");
    drop(backends);
    proxy.finish().await;
}

/// A server that answers with its name; `/held` and the like only when the gate is open.
async fn holding(name: &'static str, gate: &Gate) -> Backend {
    let gate = gate.clone();
    Backend::start(move |seen| match seen.target.ends_with("/held") {
        true => [vec![Act::Read, Act::Wait(gate.clone())], answer(name)].concat(),
        false => [vec![Act::Read], answer(name)].concat(),
    })
    .await
}

/// Three endpoints in two versions, and a route to the older one.
fn two_versions(picker: &str, connect: &str) -> String {
    let endpoints = ["a", "b", "c"].map(|name| {
        let version = if name == "c" { "2.0.0" } else { "1.0.0" };
        format!("{{ address = \"${name}\", version = \"{version}\" }}")
    });
    let endpoints = endpoints.join(", ");
    three(&format!(
        "picker = {picker}\ntimeouts = {{ connect = \"{connect}\" }}\nendpoints = [{endpoints}]\n\
         [routes.one]\npath_prefix = \"/one\"\nversion = \"^1\"\npool = \"app\""
    ))
}

/// Returns the endpoint that answers each of sixty users.
async fn spread(proxy: &Proxy) -> Vec<String> {
    let mut client = proxy.client().await;
    let mut names = Vec::new();
    for user in 0..60 {
        let lines = format!("x-user: user-{user}");
        names.push(client.request("GET", "/", &lines, b"").await.text());
    }
    names
}

/// Loads that one view of a pool knows come down whoever brings them: a request under way over
/// a reload, and one of a route with a version.
async fn loads_come_down(picker: &str) {
    let gate = Gate::new();
    let backends = [
        holding("a", &gate).await,
        holding("b", &gate).await,
        holding("c", &gate).await,
    ];
    let mut proxy = Settings::new(&two_versions(picker, "5s"))
        .backend("a", &backends[0])
        .backend("b", &backends[1])
        .backend("c", &backends[2])
        .start()
        .await;
    let mut hanging = Vec::new();
    for target in ["/one/held", "/one/held", "/one/held", "/held", "/held"] {
        let mut client = proxy.client().await;
        let head = format!(
            "GET {target} HTTP/1.1\r\nhost: a\r\nx-user: {}\r\n\r\n",
            hanging.len()
        );
        client.send(head).await;
        hanging.push(client);
        crate::harness::eventually("it is held", || async {
            let seen: usize = backends.iter().map(Backend::count).sum();
            (seen == hanging.len()).then_some(())
        })
        .await;
    }
    spread(&proxy).await;
    proxy.reload(&two_versions(picker, "4s")).await;
    // The pickers of both generations know those that are held.
    spread(&proxy).await;
    gate.open();
    for client in &mut hanging {
        client.answer().await;
    }
    let names = spread(&proxy).await;
    let counts = tally(&names);
    assert!(
        counts.len() == 3 && counts.values().all(|count| *count >= 8),
        "{picker}: {counts:?}"
    );
    proxy.finish().await;
}

#[tokio::test]
async fn loads_of_least_requests_come_down_after_a_reload() {
    loads_come_down("\"least_requests\"").await;
}

#[tokio::test]
async fn loads_of_a_ring_hash_come_down_after_a_reload() {
    loads_come_down("{ ring_hash = { key = \"header:x-user\" } }").await;
}

#[tokio::test]
async fn loads_of_maglev_come_down_after_a_reload() {
    loads_come_down("{ maglev = { key = \"header:x-user\" } }").await;
}

/// Far more than a busy machine adds to an answer.
const SLOW: std::time::Duration = std::time::Duration::from_secs(1);
