//! The first promise under load: nothing is lost, and nothing is sent twice.

use rustix::process::Signal;

use crate::harness::{Act, Backend, H2Fault, Load, Settings, answer, eventually, identity};

/// One of the many files of the reload campaign.
fn edition(n: usize) -> String {
    let endpoints = match n % 4 {
        0 => "\"$a\", \"$b\"".to_owned(),
        1 => "\"$b\", \"$c\"".to_owned(),
        2 => format!("{{ address = \"$a\", weight = {} }}, \"$c\"", 1 + n % 7),
        _ => "\"$c\"".to_owned(),
    };
    let more = if n % 3 == 1 {
        "[listeners.more]\naddress = \"$more\"\n"
    } else {
        ""
    };
    format!(
        r#"
        [listeners.web]
        address = "$web"
        {more}
        [routes.all]
        pool = "app"
        [routes.n{}]
        path_prefix = "/only/{n}"
        respond = {{ status = 200, body = "{n}" }}
        [pools.app]
        picker = "weighted_round_robin"
        endpoints = [{endpoints}]
        "#,
        n % 5
    )
}

#[tokio::test]
async fn a_hundred_reloads_under_load_lose_nothing() {
    let backends = [
        Backend::start(identity("a")).await,
        Backend::start(identity("b")).await,
        Backend::start(identity("c")).await,
    ];
    let mut proxy = Settings::new(&edition(0))
        .backend("a", &backends[0])
        .backend("b", &backends[1])
        .backend("c", &backends[2])
        .start()
        .await;
    let load = Load::start(proxy.address("web"), 8, 4, |n| match n % 3 {
        0 => ("POST", format!("/{n}"), b"body"),
        _ => ("GET", format!("/{n}"), b""),
    });
    load.goes_on(50).await;
    for n in 1..=100 {
        if n % 10 == 0 {
            proxy.replace("[listeners.web\nbroken");
            proxy.signal(Signal::HUP);
            proxy.reload_fails().await;
        }
        let before = proxy.generation().await;
        proxy.replace(&edition(n));
        proxy.signal(Signal::HUP);
        proxy.generation_passes(before).await;
        load.goes_on(5).await;
    }
    let verdict = load.stop().await;
    verdict.assert_clean();
    let answered: usize = backends.iter().map(Backend::count).sum();
    assert_eq!(
        answered, verdict.fine,
        "each request reached one endpoint, once"
    );
    proxy.finish().await;
}

#[tokio::test]
async fn restarting_the_endpoints_one_by_one_loses_no_idempotent_request() {
    let mut backends = [
        Backend::start(identity("a")).await,
        Backend::start(identity("b")).await,
        Backend::start(identity("c")).await,
    ];
    let proxy = Settings::new(
        r#"
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        [pools.app]
        endpoints = ["$a", "$b", "$c"]
        health = { tcp = {}, interval = "300ms", interval_down = "300ms", timeout = "300ms", rise = 1, fall = 1 }
        "#,
    )
    .backend("a", &backends[0])
    .backend("b", &backends[1])
    .backend("c", &backends[2])
    .start()
    .await;
    let load = Load::start(proxy.address("web"), 8, 4, |n| match n % 4 {
        0 => ("PUT", format!("/{n}"), b"body"),
        1 => ("DELETE", format!("/{n}"), b""),
        _ => ("GET", format!("/{n}"), b""),
    });
    load.goes_on(50).await;
    for round in 0..30 {
        let backend = &mut backends[round % 3];
        backend.kill().await;
        load.goes_on(100).await;
        backend.up().await;
        let before = backend.count();
        eventually("the restarted endpoint gets requests again", || async {
            (backend.count() > before).then_some(())
        })
        .await;
    }
    load.stop().await.assert_clean();
    proxy.finish().await;
}

#[tokio::test]
async fn no_post_reaches_two_endpoints() {
    // Every seventh exchange dies in one of three ways, on whichever endpoint.
    let unreliable = |seen: &crate::harness::Seen| {
        let number: usize = seen.target.trim_start_matches('/').parse().unwrap_or(0);
        match number % 21 {
            0 => vec![Act::Read, Act::Reset],
            7 => vec![Act::Read, Act::Close],
            14 => [answer("stale"), vec![Act::ResetOnNextByte]].concat(),
            _ => answer("fine"),
        }
    };
    let mut backends = [
        Backend::start(unreliable).await,
        Backend::start(unreliable).await,
        Backend::start(unreliable).await,
    ];
    let proxy = Settings::new(
        r#"
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        [pools.app]
        endpoints = ["$a", "$b", "$c"]
        "#,
    )
    .backend("a", &backends[0])
    .backend("b", &backends[1])
    .backend("c", &backends[2])
    .start()
    .await;
    let load = Load::start(proxy.address("web"), 8, 4, |n| {
        ("POST", format!("/{n}"), b"pay")
    });
    for round in 0..18 {
        let backend = &mut backends[round % 3];
        load.goes_on(100).await;
        backend.kill().await;
        load.goes_on(100).await;
        backend.up().await;
    }
    let verdict = load.stop().await;
    let mut targets: Vec<String> = backends
        .iter()
        .flat_map(Backend::seen)
        .map(|seen| seen.target)
        .collect();
    let sent = targets.len();
    targets.sort();
    targets.dedup();
    assert_eq!(targets.len(), sent, "no request was sent twice");
    // What died is told as such: nothing but 502, and nothing in silence.
    assert!(
        verdict.statuses.keys().all(|status| *status == 502),
        "{verdict:?}"
    );
    assert_eq!(verdict.closed, 0, "{verdict:?}");
    proxy.finish().await;
}

#[tokio::test]
async fn a_drain_under_load_answers_every_request() {
    let app = Backend::start(identity("app")).await;
    let mut proxy = Settings::new(
        r#"
        [proxy]
        drain = { grace = "1s", timeout = "10s" }
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        [pools.app]
        endpoints = ["$app"]
        "#,
    )
    .backend("app", &app)
    .start()
    .await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..8 {
        let mut client = proxy.client().await;
        tasks.spawn(async move {
            // Until the proxy says that it was the last one; it may not end before.
            for turn in 0.. {
                let answer = client
                    .request("POST", &format!("/{n}/{turn}"), "", b"x")
                    .await;
                assert_eq!(answer.status, 200);
                if answer.field("connection") == "close" {
                    return turn;
                }
            }
            0
        });
    }
    for n in 0..4 {
        let mut client = proxy.h2_client().await;
        tasks.spawn(async move {
            for turn in 0.. {
                match client
                    .request("POST", &format!("/h2/{n}/{turn}"), &[], b"x")
                    .await
                {
                    Ok(answer) => assert_eq!(answer.status, 200),
                    // No more streams after GOAWAY; what was begun is never reset.
                    Err(H2Fault::Gone(_)) => return turn,
                    Err(H2Fault::Reset(reason)) => panic!("a stream was reset: {reason}"),
                }
            }
            0
        });
    }
    app.has_seen(200).await;
    proxy.signal(Signal::TERM);
    while let Some(turns) = tasks.join_next().await {
        assert!(turns.unwrap() > 0);
    }
    assert_eq!(proxy.exited().await.code(), Some(0));
}
