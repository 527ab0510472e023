//! Several kinds of traffic at once, none of which may lose anything: losses are reported by kind.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::eventually::eventually;

/// Traffic that flows until [`Traffic::stop`].
#[derive(Default)]
pub(crate) struct Traffic {
    kinds: Vec<Kind>,
    stopping: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

/// One kind of traffic, as seen by its makers.
#[derive(Clone)]
pub(crate) struct Kind {
    name: &'static str,
    stopping: Arc<AtomicBool>,
    /// Number of successful exchanges, echoes or answers of each maker.
    fine: Arc<Vec<AtomicUsize>>,
    maker: usize,
    faults: Arc<Mutex<Vec<String>>>,
}

impl Traffic {
    /// Adds a kind with this many makers. Each runs as long as [`Kind::goes_on`] and returns its
    /// loss, if any: the first loss ends it.
    pub(crate) fn add<F>(&mut self, name: &'static str, makers: usize, make: impl Fn(Kind) -> F)
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        let first = Kind {
            name,
            stopping: Arc::clone(&self.stopping),
            fine: Arc::new((0..makers).map(|_| AtomicUsize::new(0)).collect()),
            maker: 0,
            faults: Arc::default(),
        };
        self.kinds.push(first.clone());
        for maker in 0..makers {
            let kind = Kind {
                maker,
                ..first.clone()
            };
            let making = tokio::spawn(make(kind.clone()));
            self.tasks.spawn(async move {
                let lost = match making.await {
                    Ok(made) => made.err(),
                    Err(panic) => Some(panic.to_string()),
                };
                let after = kind.fine[kind.maker].load(Ordering::SeqCst);
                if let Some(lost) = lost {
                    kind.faults().push(format!("after {after}: {lost}"));
                } else if !kind.stopping.load(Ordering::SeqCst) {
                    kind.faults().push(format!("after {after}: ended early"));
                }
            });
        }
    }

    /// Waits until every maker of every kind has had another success, or one has lost something.
    pub(crate) async fn goes_on(&self) {
        let count = |kind: &Kind, maker: usize| kind.fine[maker].load(Ordering::SeqCst);
        let all = |kind: &Kind| (0..kind.fine.len()).map(|n| count(kind, n)).collect();
        let before: Vec<Vec<usize>> = self.kinds.iter().map(all).collect();
        for (kind, before) in self.kinds.iter().zip(&before) {
            eventually(format!("{} goes on", kind.name), || async {
                let mut makers = before.iter().enumerate();
                let on = makers.all(|(maker, before)| count(kind, maker) > *before);
                (on || self.has_lost()).then_some(())
            })
            .await;
        }
        if self.has_lost() {
            self.tell();
        }
    }

    /// Ends all traffic; panics with the losses, if any.
    pub(crate) async fn stop(mut self) -> String {
        self.stopping.store(true, Ordering::SeqCst);
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("no panic beside the traffic");
        }
        if self.has_lost() {
            self.tell();
        }
        self.report()
    }

    fn has_lost(&self) -> bool {
        self.kinds.iter().any(|kind| !kind.faults().is_empty())
    }

    fn tell(&self) -> ! {
        panic!("traffic was lost\n{}", self.report())
    }

    /// A line for each kind, and a line for each loss.
    fn report(&self) -> String {
        let mut text = String::new();
        for kind in &self.kinds {
            let fine: usize = kind.fine.iter().map(|n| n.load(Ordering::SeqCst)).sum();
            let faults = kind.faults();
            text += &format!("{}: {fine} fine, {} lost\n", kind.name, faults.len());
            for fault in faults.iter() {
                text += &format!("    {fault}\n");
            }
        }
        text
    }
}

impl Kind {
    /// Returns true if the traffic goes on; pauses briefly, as this is load and not a benchmark.
    pub(crate) async fn goes_on(&self) -> bool {
        sleep(PAUSE).await;
        !self.stopping.load(Ordering::SeqCst)
    }

    /// Counts a success.
    pub(crate) fn fine(&self) {
        self.fine[self.maker].fetch_add(1, Ordering::SeqCst);
    }

    fn faults(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const PAUSE: Duration = Duration::from_millis(4);

#[tokio::test]
#[should_panic(expected = "leaky: 3 fine, 1 lost\n    after 3: the fourth")]
async fn what_is_lost_is_told_by_kind() {
    let mut traffic = Traffic::default();
    traffic.add("tight", 1, |kind| async move {
        while kind.goes_on().await {
            kind.fine();
        }
        Ok(())
    });
    traffic.add("leaky", 1, |kind| async move {
        (0..3).for_each(|_| kind.fine());
        Err("the fourth".to_owned())
    });
    traffic.stop().await;
}
