use std::cell::Cell;

use tokio::{task::LocalSet, time::advance};

use super::*;
use crate::telemetry::metrics::Metrics;

struct Bench {
    services: Services,
    events: Arc<Events>,
    metrics: Metrics,
}

fn bench() -> Bench {
    let (events, metrics) = (Arc::new(Events::new()), Metrics::new(100));
    Bench {
        services: Services::new(&events, metrics.control()),
        events,
        metrics,
    }
}

impl Bench {
    fn troubles(&self) -> Vec<String> {
        self.services
            .troubles()
            .map(|trouble| trouble.what)
            .collect()
    }

    fn restarts(&self, name: &str) -> u64 {
        self.metrics
            .total(&names::SERVICE_RESTARTS_TOTAL, [Some(name)])
    }
}

/// Lets all tasks run until each of them waits.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_panics_is_started_again_with_growing_waits_and_is_shown() {
    let all = async {
        let mut bench = bench();
        let begun = Rc::new(RefCell::new(Vec::new()));
        let began = Instant::now();
        let runs = Rc::clone(&begun);
        bench.services.start("clock", move |stop| {
            runs.borrow_mut().push(began.elapsed().as_millis());
            let number = runs.borrow().len();
            async move {
                match number {
                    1 => panic!("on purpose"),
                    2 => Err("no disk".into()),
                    3 => Ok(()),
                    _ => {
                        stop.told().await;
                        Ok(())
                    }
                }
            }
        });
        settle().await;
        let panicked = "the clock failed and is started again: it panicked; this is a bug";
        assert_eq!(bench.troubles(), [panicked]);
        assert_eq!((bench.restarts("clock"), begun.borrow().len()), (1, 1));
        sleep(Duration::from_millis(100)).await;
        settle().await;
        let failed = "the clock failed and is started again: no disk";
        assert_eq!(bench.troubles(), [failed]);
        sleep(Duration::from_secs(2)).await;
        settle().await;
        assert_eq!(*begun.borrow(), [0, 100, 300, 700]);
        assert_eq!(bench.restarts("clock"), 3);
        let ended = "the clock failed and is started again: it ended by itself";
        assert_eq!(bench.troubles(), [ended]);
        let events = bench.events.last(10);
        assert_eq!(events.len(), 3);
        assert_eq!(
            events[1].what,
            json!({ "service": "clock", "error": "no disk" })
        );

        advance(STEADY).await;
        assert!(bench.troubles().is_empty(), "it has run for a while");
        bench.services.stop(Duration::from_secs(1)).await;
        assert_eq!(begun.borrow().len(), 4, "the end is no failure");
    };
    LocalSet::new().run_until(all).await;
}

#[tokio::test(start_paused = true)]
async fn the_end_waits_for_every_service_and_for_none_without_a_bound() {
    let all = async {
        let mut bench = bench();
        let order = Rc::new(RefCell::new(Vec::new()));
        for name in ["first", "second"] {
            let order = Rc::clone(&order);
            bench.services.start(name, move |stop| {
                let order = Rc::clone(&order);
                async move {
                    stop.told().await;
                    order.borrow_mut().push(name);
                    Ok(())
                }
            });
        }
        let dropped = Rc::new(Cell::new(false));
        let flag = Rc::clone(&dropped);
        bench.services.start("deaf", move |_| {
            let flag = Guard(Rc::clone(&flag));
            async move {
                let _flag = flag;
                std::future::pending().await
            }
        });
        settle().await;
        let began = Instant::now();
        bench.services.stop(Duration::from_secs(3)).await;
        assert_eq!(began.elapsed(), Duration::from_secs(3));
        settle().await;
        assert_eq!(*order.borrow(), ["first", "second"]);
        assert!(dropped.get(), "what does not end is cut");
    };
    LocalSet::new().run_until(all).await;
}

#[tokio::test(start_paused = true)]
async fn a_service_that_waits_to_be_started_again_ends_at_once() {
    let all = async {
        let mut bench = bench();
        bench
            .services
            .start("broken", |_| async { Err("no".into()) });
        sleep(Duration::from_secs(60)).await;
        let began = Instant::now();
        bench.services.stop(Duration::from_secs(3)).await;
        assert_eq!(began.elapsed(), Duration::ZERO);
    };
    LocalSet::new().run_until(all).await;
}

/// Notes that it was dropped.
struct Guard(Rc<Cell<bool>>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.set(true);
    }
}
