//! Story of the demo: steps that happen to the proxy, and the result that each must have.

use std::{io, rc::Rc, time::Duration};

use tokio::time::{Instant, sleep, sleep_until};

use super::{
    DemoOutcome,
    figures::{Figures, Reading},
    screen::Screen,
    service::Service,
    settings::{Chapter, Settings},
    traffic::Tally,
};

/// The story, with the proxy and its services.
#[derive(Debug)]
pub(super) struct Story {
    screen: Screen,
    services: Rc<[Service]>,
    settings: Rc<Settings>,
    figures: Figures,
}

/// Steps done to the proxy, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Kill,
    Revive,
    Shift,
    Spoil,
    Mend,
    Upgrade,
    Worsen,
}

/// Observations a moment after a step.
struct Seen<'a> {
    before: &'a Reading,
    now: &'a Reading,
    /// Answers of the endpoint that the step is about, during this moment.
    from_it: u64,
    /// Answers of all endpoints of its pool, during this moment.
    from_all: u64,
}

impl Story {
    /// Makes the story.
    pub(super) fn new(
        screen: Screen,
        services: Rc<[Service]>,
        settings: Rc<Settings>,
        figures: Figures,
    ) -> Self {
        Self {
            screen,
            services,
            settings,
            figures,
        }
    }

    /// Runs the story: within the given time, else slowly and then without an end.
    pub(super) async fn tell(
        &self,
        tally: Rc<Tally>,
        began: Instant,
        lasts: Option<Duration>,
    ) -> DemoOutcome {
        let mut outcome = DemoOutcome::AsTold;
        for (step, number) in Step::ALL.into_iter().zip(1_u32..) {
            let pace = lasts.map_or(PACE, |lasts| lasts / STEPS);
            sleep_until(began + pace * number).await;
            self.screen.say(&format!("\n{number}. {}", step.title()));
            let failures = tally.failures();
            let followed = self.play(step, &tally).await;
            let failed = tally.failures() - failures;
            self.screen.say(&match (followed, failed) {
                (true, 0) => format!("   {} No client saw a failure.\n", step.outcome()),
                (true, _) => format!("   {} But {failed} requests failed.\n", step.outcome()),
                (false, _) => "   What had to follow did not.\n".to_owned(),
            });
            if !followed {
                outcome = DemoOutcome::Otherwise;
            }
        }
        let Some(lasts) = lasts else {
            self.screen.say(&format!(
                "\nThe story is over; the proxy runs on. Edit {} and see. Ctrl-C ends.\n",
                self.settings.file().display()
            ));
            return std::future::pending().await;
        };
        sleep_until(began + lasts).await;
        outcome
    }

    /// Runs a step; returns true if the expected result followed.
    async fn play(&self, step: Step, tally: &Tally) -> bool {
        let named = |service: &&Service| service.name() == step.about();
        let (Some(service), Some(before)) =
            (self.services.iter().find(named), self.figures.read().await)
        else {
            return false;
        };
        if let Err(error) = self.act(step, service) {
            self.screen.say(&format!("   This cannot be done: {error}"));
            return false;
        }
        let deadline = Instant::now() + PATIENCE;
        let (mut it, mut all) = self.served(service, tally);
        while Instant::now() < deadline {
            sleep(MOMENT).await;
            let Some(now) = self.figures.read().await else {
                continue;
            };
            let (it_now, all_now) = self.served(service, tally);
            let seen = Seen {
                before: &before,
                now: &now,
                from_it: it_now - it,
                from_all: all_now - all,
            };
            if step.is_followed(service, &seen) {
                return true;
            }
            (it, all) = (it_now, all_now);
        }
        false
    }

    fn act(&self, step: Step, service: &Service) -> io::Result<()> {
        match step {
            Step::Kill => {
                service.kill();
                Ok(())
            }
            Step::Revive => service.revive(),
            Step::Shift => self.settings.write(Chapter::Shifted),
            Step::Spoil => self.settings.write(Chapter::Broken),
            Step::Mend => self.settings.write(Chapter::Mended),
            Step::Upgrade => self.settings.write(Chapter::Upgraded),
            Step::Worsen => self.settings.write(Chapter::Worsened),
        }
    }

    /// Returns the answers so far: of the endpoint, and of its whole pool.
    fn served(&self, service: &Service, tally: &Tally) -> (u64, u64) {
        let served = tally.served();
        let count = |service: &Service| served.get(service.name()).copied().unwrap_or(0);
        let services = self.services.iter();
        let pool = services.filter(|other| other.pool() == service.pool());
        (count(service), pool.map(count).sum())
    }
}

impl Step {
    const ALL: [Self; 7] = [
        Self::Kill,
        Self::Revive,
        Self::Shift,
        Self::Spoil,
        Self::Mend,
        Self::Upgrade,
        Self::Worsen,
    ];

    fn title(self) -> &'static str {
        match self {
            Self::Kill => "shop-b is killed while it answers requests.",
            Self::Revive => "shop-b is started again.",
            Self::Shift => "The file is edited: half of the shop's traffic to 2.0.0.",
            Self::Spoil => "The file is edited badly: a route to a pool that does not exist.",
            Self::Mend => "The name of the pool is corrected.",
            Self::Upgrade => "The orders roll out version 2.0: 20 % of the users, 50 %, all.",
            Self::Worsen => "They roll out version 2.1, which fails half of its requests.",
        }
    }

    fn outcome(self) -> &'static str {
        match self {
            Self::Kill => "Its requests went to other endpoints until it was taken out.",
            Self::Revive => "Its health checks pass, and it takes its share again.",
            Self::Shift => "Applied without a restart.",
            Self::Spoil => "Reload refused: configuration unchanged. The line is shown above.",
            Self::Mend => "Applied: /hello has its own route now.",
            Self::Upgrade => "It is no worse than 1.1, and was promoted.",
            Self::Worsen => "It was rolled back: all users have version 2.0.",
        }
    }

    /// Name of the endpoint that it is about.
    fn about(self) -> &'static str {
        match self {
            Self::Kill | Self::Revive => "shop-b",
            Self::Shift | Self::Spoil | Self::Mend => "shop-c",
            Self::Upgrade => "orders-b",
            Self::Worsen => "orders-c",
        }
    }

    fn is_followed(self, service: &Service, seen: &Seen<'_>) -> bool {
        let generations = seen.now.generation() - seen.before.generation();
        match self {
            Self::Kill => {
                let retried = seen.now.retries() > seen.before.retries();
                retried && !seen.now.is_healthy(service.address()) && seen.from_it == 0
            }
            Self::Revive => seen.now.is_healthy(service.address()) && seen.from_it > 0,
            // Near a half; a moment has too few requests for more.
            Self::Shift => generations > 0.5 && seen.from_it * 3 > seen.from_all,
            Self::Spoil => seen.now.is_refused() && generations < 0.5,
            Self::Mend => !seen.now.is_refused() && generations > 0.5,
            Self::Upgrade => {
                seen.now.is_rollout("promoted") && seen.from_it > 0 && seen.from_it == seen.from_all
            }
            Self::Worsen => {
                seen.now.is_rollout("rolled_back") && seen.from_it == 0 && seen.from_all > 0
            }
        }
    }
}

/// Number of pauses: between the steps, before the first and after the last.
const STEPS: u32 = 8;
/// Pause between steps when time is not limited.
const PACE: Duration = Duration::from_secs(6);
/// Maximum time until the expected result of a step.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause between two observations.
const MOMENT: Duration = Duration::from_millis(250);
