//! Output of the demo on the terminal.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{self, Write as _},
    rc::Rc,
    time::Duration,
};

use tokio::time::{MissedTickBehavior, interval};

use super::{
    figures::{Figures, Reading},
    service::Service,
    traffic::Tally,
};

/// Standard output. Output that cannot be written is dropped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Screen;

impl Screen {
    /// The screen.
    pub(super) fn new() -> Self {
        Self
    }

    /// Writes lines.
    pub(super) fn say(self, text: &str) {
        let mut out = io::stdout().lock();
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }
}

/// Writes a line each second, until it is aborted.
pub(super) async fn report(
    screen: Screen,
    tally: Rc<Tally>,
    figures: Figures,
    services: Rc<[Service]>,
) {
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    second.tick().await;
    screen.say(&heading(&services));
    let mut before = Moment::of(&tally);
    loop {
        second.tick().await;
        let now = Moment::of(&tally);
        let reading = figures.read().await.unwrap_or_default();
        let line = line(&before, &now, &tally.take_latencies(), &reading, &services);
        screen.say(&line);
        before = now;
    }
}

struct Moment {
    answered: u64,
    failures: u64,
    served: BTreeMap<&'static str, u64>,
}

impl Moment {
    fn of(tally: &Tally) -> Self {
        Self {
            answered: tally.answered(),
            failures: tally.failures(),
            served: tally.served(),
        }
    }

    fn served(&self, name: &str) -> u64 {
        self.served.get(name).copied().unwrap_or(0)
    }
}

fn heading(services: &[Service]) -> String {
    let mut text = format!(
        "{:>6} {:>8} {:>7} {:>8} {:>8}",
        "req/s", "p99", "failed", "retries", "ejected"
    );
    for service in services {
        let column = format!("{} {}", service.name(), service.version());
        // Writing to a string cannot fail.
        let _ = write!(text, "  {column:>14}");
    }
    text
}

fn line(
    before: &Moment,
    now: &Moment,
    latencies: &[Duration],
    reading: &Reading,
    services: &[Service],
) -> String {
    let mut text = format!(
        "{:>6} {:>5} ms {:>7} {:>8} {:>8}",
        now.answered - before.answered,
        p99(latencies).as_millis(),
        now.failures,
        reading.retries(),
        reading.ejections(),
    );
    let gained = |service: &Service| now.served(service.name()) - before.served(service.name());
    for service in services {
        let same = services
            .iter()
            .filter(|other| other.pool() == service.pool());
        let whole: u64 = same.map(gained).sum();
        let column = if reading.is_healthy(service.address()) {
            format!(
                "{} %",
                (gained(service) * 100).checked_div(whole).unwrap_or(0)
            )
        } else {
            "out".to_owned()
        };
        let _ = write!(text, "  {column:>14}");
    }
    text
}

/// Returns the 99th percentile of times in ascending order.
fn p99(latencies: &[Duration]) -> Duration {
    let place = latencies.len().saturating_sub(1) * 99 / 100;
    latencies.get(place).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_a_hundred_is_left_out_of_p99() {
        let times: Vec<Duration> = (1..=101).map(Duration::from_millis).collect();
        assert_eq!(p99(&times), Duration::from_millis(100));
        assert_eq!(p99(&times[..1]), Duration::from_millis(1));
        assert_eq!(p99(&[]), Duration::ZERO);
    }
}
