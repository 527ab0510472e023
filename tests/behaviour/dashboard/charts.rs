//! Charts as they are drawn, read back from the page, and the overviews that they were drawn from.

use serde_json::Value;

use super::start::open;
use crate::harness::{Chromium, Proxy, Screen};

/// A chart as it is drawn: for each line the value at each slot of time that has one.
pub(super) struct Drawn {
    pub(super) title: String,
    pub(super) top: f64,
    pub(super) lines: Vec<Vec<Option<f64>>>,
    /// The overviews that the page had when it drew this.
    pub(super) heard: Vec<Value>,
    pub(super) legend: Vec<String>,
    pub(super) spoken: String,
}

/// Opens a view, and keeps a copy of what the page hears.
pub(super) async fn watched(proxy: &Proxy, view: &str) -> Option<Chromium> {
    let mut browser = Chromium::start("en", Screen::Desk).await?;
    browser.beforehand(include_str!("hear.js")).await;
    open(&mut browser, proxy, view).await;
    Some(browser)
}

/// Waits until the page has heard this many overviews more.
pub(super) async fn hears(browser: &mut Chromium, more: usize) {
    let before = browser.evaluate("heard.length").await.as_u64().unwrap();
    browser
        .until(&format!("heard.length >= {before} + {more}"))
        .await;
}

/// Reads a chart. A line of which something is drawn in each slot tells how many overviews it has.
pub(super) async fn drawn(browser: &mut Chromium, at: usize) -> Drawn {
    let it = browser.evaluate(&format!("chart({at})")).await;
    let top = number(it["top"].as_str().unwrap());
    let from = it["from"].as_str().unwrap();
    let slots = number(from.strip_suffix(" s ago").unwrap());
    let lines = it["lines"].as_array().unwrap().iter();
    let lines = lines.map(|line| decoded(line.as_str().unwrap_or_default(), slots, top));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Drawn {
        title: text(&it["title"]),
        top,
        lines: lines.collect(),
        heard: it["heard"].as_array().unwrap().clone(),
        legend: it["legend"].as_array().unwrap().iter().map(text).collect(),
        spoken: text(&it["spoken"]),
    }
}

/// Decodes a path: 1000 wide over all slots, 100 high, the greatest value on top.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "slots of a chart"
)]
fn decoded(path: &str, slots: f64, top: f64) -> Vec<Option<f64>> {
    let mut values = vec![None; slots as usize];
    for point in path.split(['M', 'L']).filter(|it| !it.is_empty()) {
        let (x, y) = point.split_once(' ').unwrap();
        let [x, y]: [f64; 2] = [x, y].map(|it| it.parse().unwrap());
        assert!(
            (0.0..=1000.0).contains(&x) && (-0.1..=100.0).contains(&y),
            "{path}"
        );
        values[(x / 1000.0 * (slots - 1.0)).round() as usize] = Some((100.0 - y) / 100.0 * top);
    }
    values
}

pub(super) fn number(text: &str) -> f64 {
    text.replace(',', "").parse().unwrap()
}

/// Slots that one overview is after the one before: more than one after a break.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a few seconds"
)]
pub(super) fn slots_between(before: &Value, it: &Value) -> usize {
    let passed = seconds_between(before, it);
    if passed > 2.5 {
        passed.round() as usize
    } else {
        1
    }
}

pub(super) fn seconds_between(before: &Value, it: &Value) -> f64 {
    let time = |it: &Value| it["time_unix_ms"].as_f64().unwrap();
    (time(it) - time(before)) / 1000.0
}

/// A figure of an overview, given the one before it.
pub(super) trait Figure: Fn(&Value, Option<&Value>) -> Option<f64> {}

impl<F: Fn(&Value, Option<&Value>) -> Option<f64>> Figure for F {}

/// Asserts that a line has the values of the API, each in its place, the newest at the right.
pub(super) fn agrees(drawn: &Drawn, line: usize, value: &impl Figure) {
    let (heard, got) = (&drawn.heard, &drawn.lines[line]);
    // The page may be about to draw the last one.
    let cases = [heard.len(), heard.len() - 1].map(|count| {
        let mut wanted = vec![None; got.len()];
        let mut slot = got.len();
        for at in (0..count).rev() {
            slot -= if at + 1 == count {
                1
            } else {
                slots_between(&heard[at], &heard[at + 1])
            };
            let before = at.checked_sub(1).map(|at| &heard[at]);
            wanted[slot] = value(&heard[at], before);
        }
        wanted
    });
    let same = |wanted: &Vec<Option<f64>>| {
        wanted.iter().zip(got).all(|pair| match pair {
            (Some(wanted), Some(got)) => (wanted - got).abs() <= drawn.top * 2e-4,
            (wanted, got) => wanted.is_none() && got.is_none(),
        })
    };
    assert!(
        cases.iter().any(same),
        "{} line {line}, up to {}: drawn {got:?}, the API said {cases:?}",
        drawn.title,
        drawn.top
    );
}

/// Sum of a rate over all the overviews; `seconds` is the time that each is about.
pub(super) fn counted(
    drawn: &Drawn,
    rate: &impl Figure,
    seconds: fn(&Value, &Value) -> f64,
) -> f64 {
    let counts = drawn.heard.windows(2).map(|pair| {
        let rate = rate(&pair[1], Some(&pair[0])).unwrap_or_default();
        rate * seconds(&pair[0], &pair[1])
    });
    counts.sum()
}

/// The time over which the proxy measured the rates of an overview.
pub(super) fn measured(_: &Value, it: &Value) -> f64 {
    it["over_ms"].as_f64().unwrap() / 1000.0
}
