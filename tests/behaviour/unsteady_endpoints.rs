//! A campaign with endpoints that come and go. While one of them can serve, no request that may
//! be repeated fails, and none that may not be is sent twice. `SEED=n` replays one.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::harness::{Act, Backend, Proxy, Seen, Settings, answer, answer_bytes, identity};

/// Position of the one endpoint that can always serve.
#[derive(Clone, Copy, Debug)]
enum Steady {
    Beside,
    InLowerPriority,
    InOtherZone,
    InOtherPool,
}

/// Faults of the other endpoints.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Unsteady {
    Dead,
    /// Its process ends and begins again all the time.
    Flaps,
    /// Answers 500, to checks as well.
    Errs,
    /// Answers 503, to checks as well.
    IsBusy,
    /// Ends each connection after the request.
    Resets,
    Slow,
    /// Serves, resets and is busy in turn.
    Turns,
}

#[derive(Debug)]
struct Layout {
    steady: Steady,
    unsteady: Vec<Unsteady>,
    workers: u32,
    picker: &'static str,
}

#[tokio::test]
async fn while_one_endpoint_can_serve_no_idempotent_request_fails() {
    let seed = std::env::var("SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    eprintln!("SEED={seed}");
    let mut draw = StdRng::seed_from_u64(seed);
    for _ in 0..ROUNDS {
        let layout = Layout::draw(&mut draw);
        eprintln!("{layout:?}");
        round(&layout, &mut draw).await;
    }
}

async fn round(layout: &Layout, draw: &mut StdRng) {
    let steady = Backend::start(identity("steady")).await;
    let mut others = Vec::new();
    for kind in &layout.unsteady {
        others.push(match kind {
            Unsteady::Dead => Backend::down(identity("dead")),
            kind => Backend::start(script(*kind)).await,
        });
    }
    let mut settings = Settings::new(&layout.text()).backend("steady", &steady);
    for (n, backend) in others.iter().enumerate() {
        settings = settings.backend(&format!("other{n}"), backend);
    }
    let proxy = settings.start().await;

    let end = Instant::now() + ROUND;
    let number = Cell::new(0);
    // As many at once as may always be retried (`retry_budget.minimum`).
    tokio::join!(
        disturb(&layout.unsteady, &mut others, draw, end),
        ask(&proxy, "GET", &number, end),
        ask(&proxy, "PUT", &number, end),
        ask(&proxy, "POST", &number, end),
    );
    others.push(steady);
    let mut posts = BTreeMap::<String, u32>::new();
    let seen = others.iter().flat_map(Backend::seen);
    for post in seen.filter(|seen| seen.method == "POST") {
        *posts.entry(post.target).or_default() += 1;
    }
    let twice: Vec<_> = posts.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "sent twice: {twice:?}");
    proxy.finish().await;
}

/// Sends requests one after the other; those that may be repeated must succeed.
async fn ask(proxy: &Proxy, method: &str, number: &Cell<u32>, end: Instant) {
    let mut fine = 0;
    while Instant::now() < end {
        number.set(number.get() + 1);
        let target = format!("/{}", number.get());
        let answer = proxy.request(method, &target, "", b"body").await;
        if method != "POST" {
            assert_eq!(answer.status, 200, "{method} {target}: {answer:?}");
        }
        fine += u32::from(answer.status == 200);
    }
    assert!(fine > 0, "no {method} was answered");
}

/// Lets flapping endpoints end and begin, and those that turn do something else.
async fn disturb(kinds: &[Unsteady], backends: &mut [Backend], draw: &mut StdRng, end: Instant) {
    let mut ticks = interval(Duration::from_millis(100));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut up = vec![true; backends.len()];
    while Instant::now() < end {
        ticks.tick().await;
        for ((kind, backend), up) in kinds.iter().zip(&mut *backends).zip(&mut up) {
            match kind {
                // Every 200 ms on average.
                Unsteady::Flaps if draw.random_bool(0.5) => {
                    if *up {
                        backend.kill().await;
                    } else {
                        backend.up().await;
                    }
                    *up = !*up;
                }
                Unsteady::Turns if draw.random_bool(0.3) => {
                    let next = [Unsteady::Resets, Unsteady::IsBusy, Unsteady::Slow];
                    backend.now(script(next[draw.random_range(0..next.len())]));
                }
                _ => {}
            }
        }
    }
}

fn script(kind: Unsteady) -> impl Fn(&Seen) -> Vec<Act> + Send + Sync {
    move |_| match kind {
        Unsteady::Errs => answer_bytes("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"),
        Unsteady::IsBusy => answer_bytes("HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n"),
        Unsteady::Resets => vec![Act::Read, Act::Reset],
        Unsteady::Slow => {
            let mut script = vec![Act::Pause(Duration::from_millis(50))];
            script.extend(answer("slow"));
            script
        }
        Unsteady::Dead | Unsteady::Flaps | Unsteady::Turns => answer("fine"),
    }
}

impl Layout {
    fn draw(draw: &mut StdRng) -> Self {
        use Unsteady::{Dead, Errs, Flaps, IsBusy, Resets, Slow, Turns};
        let steady = [
            Steady::Beside,
            Steady::InLowerPriority,
            Steady::InOtherZone,
            Steady::InOtherPool,
        ];
        let kinds = [Dead, Flaps, Errs, IsBusy, Resets, Slow, Turns];
        let pickers = ["weighted_round_robin", "least_requests", "random"];
        let mut unsteady: Vec<Unsteady> = (0..draw.random_range(2..=4))
            .map(|_| kinds[draw.random_range(0..kinds.len())])
            .collect();
        // More of them could use up the tries of a request before a check has told of them.
        let turning = unsteady.iter_mut().filter(|kind| **kind == Turns);
        turning.skip(1).for_each(|kind| *kind = Flaps);
        Self {
            steady: steady[draw.random_range(0..steady.len())],
            unsteady,
            workers: draw.random_range(1..=2),
            picker: pickers[draw.random_range(0..pickers.len())],
        }
    }

    fn text(&self) -> String {
        let others = (0..self.unsteady.len())
            .map(|n| format!("{{ address = \"$other{n}\", zone = \"near\" }}"));
        let steady = match self.steady {
            Steady::Beside => Some("{ address = \"$steady\", zone = \"near\" }"),
            Steady::InLowerPriority => Some("{ address = \"$steady\", priority = 1 }"),
            Steady::InOtherZone => Some("{ address = \"$steady\", zone = \"far\" }"),
            Steady::InOtherPool => None,
        };
        let endpoints: Vec<String> = others.chain(steady.map(str::to_owned)).collect();
        let (endpoints, picker) = (endpoints.join(", "), self.picker);
        let failover = match self.steady {
            Steady::InOtherPool => "failover = [\"spare\"]\n",
            _ => "",
        };
        let health = "health = { http = { path = \"/healthz\" }, interval = \"1s\", \
                      interval_down = \"200ms\", fall = 2, rise = 1 }";
        format!(
            r#"
            [proxy]
            workers = {}
            [listeners.web]
            address = "$web"
            [routes.all]
            pool = "app"
            [pools.app]
            picker = "{picker}"
            endpoints = [{endpoints}]
            zone = {{ prefer = "near" }}
            {health}
            ejection = {{ consecutive = 3, base = "300ms" }}
            {failover}
            [pools.spare]
            endpoints = ["$steady"]
            {health}
            "#,
            self.workers
        )
    }
}

const ROUNDS: usize = 4;
const ROUND: Duration = Duration::from_millis(1500);
