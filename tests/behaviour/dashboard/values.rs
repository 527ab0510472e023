//! Charts draw what the API says, second by second, and both are the traffic that was there.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use super::charts::{
    Drawn, Figure, agrees, counted, drawn, hears, measured, number, seconds_between, slots_between,
    watched,
};
use super::start::{start, start_rollout, users};
use crate::harness::{Chromium, Proxy, answer_bytes};

/// A figure of the version of the rollout that is served, since the overview before.
fn served(it: &Value, before: Option<&Value>, side: &str, figure: &str) -> f64 {
    let of = |it: &Value| {
        it["rollouts"][0]["versions"][side]["served"][figure]
            .as_f64()
            .unwrap()
    };
    before.map_or(0.0, |before| of(it) - of(before))
}

fn rate(side: &str) -> impl Figure {
    move |it: &Value, before: Option<&Value>| {
        let seconds = before.map_or(1.0, |before| seconds_between(before, it));
        Some(served(it, before, side, "requests") / seconds)
    }
}

fn close(a: f64, b: usize) -> bool {
    let b = f64::from(u32::try_from(b).unwrap());
    (a - b).abs() <= 0.02 * b
}

/// Asserts that the table has the same figures as the API, and both all of the traffic.
async fn table_agrees(proxy: &Proxy, browser: &mut Chromium, requests: &Drawn, counts: [usize; 2]) {
    let answer = proxy.admin("GET", "/rollouts/orders", "").await.unwrap();
    let api: Value = serde_json::from_slice(&answer.body).unwrap();
    for (row, side) in ["baseline", "candidate"].into_iter().enumerate() {
        let cells = format!(
            "[...[...document.querySelectorAll('section.card > table tbody tr')][{row}].cells].map((it) => it.textContent)"
        );
        let cells = browser.evaluate(&cells).await;
        let cell = |at: usize| number(cells[at].as_str().unwrap().trim_end_matches(" ms"));
        let version = &api["versions"][side];
        let all = [&version["step"], &version["rollout"]]
            .map(|it| ["requests", "failures"].map(|figure| it[figure].as_f64().unwrap()));
        assert_eq!([[cell(1), cell(2)], [cell(5), cell(6)]], all, "{cells}");
        let first = &requests.heard[0]["rollouts"][0]["versions"][side];
        let [now, then] = [version, first].map(|it| it["served"]["requests"].as_u64().unwrap());
        assert_eq!(usize::try_from(now - then).unwrap(), counts[row], "{api:#}");
        for (at, figure) in [(3, "p50_ms"), (4, "p99_ms")] {
            let shown = cells[at].as_str().unwrap();
            match version["step"][figure].as_f64() {
                Some(said) => {
                    let off = (cell(at) - said).abs();
                    assert!(off <= 0.01 * said + 0.005, "{figure} {said}: {cells}");
                }
                None => assert_eq!(shown, "–", "{figure}: {cells}"),
            }
        }
    }
}

/// Asserts that the plan is shown, with the step that is under way.
async fn plan_is_shown(browser: &mut Chromium) {
    let steps = "[...document.querySelectorAll('.steps li')].map((it) => [it.querySelector('b').textContent, \
                 it.querySelector('span').textContent, it.ariaCurrent])";
    let steps = browser.evaluate(steps).await;
    assert_eq!(
        [&steps[0][0], &steps[1][0], &steps[2][0]],
        ["30 %", "60 %", "100 %"]
    );
    assert!(
        steps[0][1].as_str().unwrap().ends_with(" of 1 h"),
        "{steps}"
    );
    assert_eq!([&steps[1][1], &steps[2][1]], ["hold 1 h", "all users"]);
    assert_eq!(steps[0][2], "step", "{steps}");
}

#[tokio::test]
async fn the_curves_of_a_rollout_are_the_figures_of_the_api_and_the_traffic() {
    let (proxy, [old, new]) = start_rollout().await;
    let Some(mut browser) = watched(&proxy, "rollouts").await else {
        return;
    };
    // Every second request fails at the new version.
    let turn = AtomicUsize::new(0);
    new.now(move |_| {
        let status = match turn.fetch_add(1, Ordering::SeqCst) % 2 {
            0 => "500 Broken",
            _ => "200 OK",
        };
        answer_bytes(&format!("HTTP/1.1 {status}\r\ncontent-length: 1\r\n\r\n2"))
    });
    let before = [old.count(), new.count()];
    for _ in 0..3 {
        users(&proxy).await;
        hears(&mut browser, 1).await;
    }
    hears(&mut browser, 2).await;
    let counts = [old.count() - before[0], new.count() - before[1]];
    assert!(counts[0] > 0 && counts[1] > 0, "{counts:?}");

    let requests = drawn(&mut browser, 0).await;
    assert_eq!(requests.title, "Requests requests per second");
    for (line, side) in ["baseline", "candidate"].into_iter().enumerate() {
        agrees(&requests, line, &rate(side));
        let sum = counted(&requests, &rate(side), seconds_between);
        assert!(close(sum, counts[line]), "{side}: {sum} of {counts:?}");
    }
    let failed = drawn(&mut browser, 1).await;
    assert_eq!(failed.title, "failed %");
    for (line, side) in ["baseline", "candidate"].into_iter().enumerate() {
        agrees(&failed, line, &|it: &Value, before: Option<&Value>| {
            let all = served(it, before, side, "requests");
            (all > 0.0).then(|| served(it, before, side, "failures") / all * 100.0)
        });
    }
    let worst = |line: usize| {
        failed.lines[line]
            .iter()
            .flatten()
            .copied()
            .fold(0.0, f64::max)
    };
    assert!(
        worst(0) < 0.01 && worst(1) > 1.0,
        "{} {}",
        worst(0),
        worst(1)
    );
    let latency = drawn(&mut browser, 2).await;
    assert_eq!(latency.title, "p99 since the step began ms");
    for (line, side) in ["baseline", "candidate"].into_iter().enumerate() {
        agrees(&latency, line, &|it: &Value, _: Option<&Value>| {
            let step = &it["rollouts"][0]["versions"][side]["step"];
            let served = step["requests"].as_u64() > Some(0);
            step["p99_ms"].as_f64().filter(|_| served)
        });
    }

    table_agrees(&proxy, &mut browser, &requests, counts).await;
    plan_is_shown(&mut browser).await;
    browser.has_no_faults().await;
    proxy.finish().await;
}

/// Asserts that the cursor tells the values of the second below it, and the legend those of the last one.
async fn cursor_tells(browser: &mut Chromium) {
    let plot = "figure.chart .plot";
    browser.evaluate("cut(), apart = true").await;
    browser
        .until("!document.querySelector('#link').hidden")
        .await;
    let traffic = drawn(browser, 0).await;
    let line = &traffic.lines[0];
    let slot = (0..line.len()).max_by(|a, b| {
        line[*a]
            .unwrap_or(-1.0)
            .total_cmp(&line[*b].unwrap_or(-1.0))
    });
    let slot = slot.unwrap();
    let shown = |drawn: &Drawn| number(&drawn.legend[0]);
    let says = |shown: f64, value: f64| (shown - value).abs() <= 0.01 * value + 0.005;
    assert!(
        says(shown(&traffic), line.last().unwrap().unwrap()),
        "{:?}",
        traffic.legend
    );
    assert!(
        traffic
            .spoken
            .contains(&format!("Requests {}", traffic.legend[0])),
        "{}",
        traffic.spoken
    );
    let share =
        f64::from(u32::try_from(slot).unwrap()) / f64::from(u32::try_from(line.len() - 1).unwrap());
    browser.point(plot, share).await;
    let pointed = drawn(browser, 0).await;
    assert!(
        says(shown(&pointed), line[slot].unwrap()),
        "{:?} {line:?}",
        pointed.legend
    );
}

/// The figures of a route, or of a pool and version, in an overview; without a list those of all.
fn figures_of(list: &'static str, name: &'static str) -> impl Fn(&Value) -> Value {
    move |it: &Value| {
        let own = |one: &&Value| {
            let text = |key: &str| one[key].as_str().unwrap_or_default();
            text("name") == name || format!("{} {}", text("pool"), text("version")) == name
        };
        match list {
            "" => it["requests"].clone(),
            _ => {
                let all = it[list].as_array().unwrap();
                all.iter().find(own).cloned().unwrap_or_default()
            }
        }
    }
}

#[tokio::test]
async fn the_plots_of_the_overview_are_the_figures_of_the_api_and_the_traffic() {
    let (proxy, a, b) = start().await;
    let Some(mut browser) = watched(&proxy, "overview").await else {
        return;
    };
    for count in [40, 10, 25] {
        for _ in 0..count {
            assert_eq!(proxy.get("/").await.status, 200);
        }
        for _ in 0..count / 5 {
            assert_eq!(proxy.get("/away").await.status, 502);
        }
        hears(&mut browser, 1).await;
    }
    hears(&mut browser, 2).await;
    let views = [
        ("all", figures_of("", ""), 90, Some(15)),
        ("route shop", figures_of("routes", "shop"), 75, Some(0)),
        ("route away", figures_of("routes", "away"), 15, Some(15)),
        (
            "pool app 1.4.0",
            figures_of("attempts", "app 1.4.0"),
            a.count(),
            None,
        ),
        (
            "pool app 2.0.0",
            figures_of("attempts", "app 2.0.0"),
            b.count(),
            None,
        ),
    ];
    for (name, figures, requests, failures) in views {
        let chosen = format!(
            "(() => {{ const it = document.querySelector('#shown'); it.value = '{name}'; \
             it.dispatchEvent(new Event('change')); return it.value; }})()"
        );
        assert_eq!(browser.evaluate(&chosen).await, name);
        let traffic = drawn(&mut browser, 0).await;
        let rate = |it: &Value, _: Option<&Value>| figures(it)["per_second"].as_f64();
        agrees(&traffic, 0, &rate);
        let sum = counted(&traffic, &rate, measured);
        assert!(close(sum, requests), "{name}: {sum} of {requests}");
        let rate = |it: &Value, _: Option<&Value>| {
            let it = figures(it);
            let own = it["failed_per_second"].as_f64();
            own.or_else(|| it["pool_failed_per_second"].as_f64())
        };
        agrees(&traffic, 1, &rate);
        let failed = counted(&traffic, &rate, measured);
        assert!(
            failures.is_none_or(|it| close(failed, it)),
            "{name}: {failed} failed"
        );
        let latency = drawn(&mut browser, 1).await;
        for (line, figure) in ["p50_ms", "p90_ms", "p99_ms"].into_iter().enumerate() {
            agrees(&latency, line, &|it: &Value, _: Option<&Value>| {
                figures(it)["latency"][figure].as_f64()
            });
        }
        assert!(
            latency
                .lines
                .iter()
                .all(|line| line.iter().flatten().count() > 0)
        );
    }

    cursor_tells(&mut browser).await;
    browser.forgive();
    proxy.finish().await;
}

#[tokio::test]
async fn after_a_break_the_charts_have_a_gap_and_no_peak() {
    let (proxy, [old, new]) = start_rollout().await;
    let Some(mut browser) = watched(&proxy, "rollouts").await else {
        return;
    };
    hears(&mut browser, 2).await;
    browser.evaluate("cut(), apart = true").await;
    browser
        .until("!document.querySelector('#link').hidden")
        .await;
    // Meanwhile somebody else has the proxy measure each second.
    let before = [old.count(), new.count()];
    for _ in 0..3 {
        users(&proxy).await;
        proxy.admin("GET", "/overview", "").await.unwrap();
        users(&proxy).await;
    }
    let since = browser.evaluate("Date.now()").await;
    browser.until(&format!("Date.now() - {since} > 4000")).await;
    proxy.admin("GET", "/overview", "").await.unwrap();
    browser.evaluate("apart = false").await;
    browser
        .until("document.querySelector('#link').hidden")
        .await;
    hears(&mut browser, 1).await;
    let requests = drawn(&mut browser, 0).await;
    let longest = requests
        .heard
        .windows(2)
        .map(|it| slots_between(&it[0], &it[1]))
        .max();
    assert!(longest >= Some(3), "{longest:?}");
    for (line, side) in ["baseline", "candidate"].into_iter().enumerate() {
        agrees(&requests, line, &rate(side));
        let sum = counted(&requests, &rate(side), seconds_between);
        let count = [old.count(), new.count()][line] - before[line];
        assert!(close(sum, count), "{side}: {sum} of {count}");
    }
    proxy.finish().await;
}
