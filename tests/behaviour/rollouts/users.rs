//! Users of a service that note which version answers them.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};

use crate::harness::{Client, eventually};

/// Requests of the users.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asks {
    /// GET only.
    Gets,
    /// One POST in five.
    Some,
}

/// Users who ask all the time, until [`Users::stop`].
pub(super) struct Users {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
    began: Instant,
    count: usize,
}

/// Experience of the users.
#[derive(Clone, Debug, Default)]
pub(super) struct UsersSaw {
    /// Answers other than 200.
    pub(super) failed: usize,
    /// Users that got one.
    pub(super) hurt: BTreeSet<usize>,
    /// Version that answered each user last.
    pub(super) last: BTreeMap<usize, String>,
    /// Users that came from the new version back to the old one.
    pub(super) returned: BTreeSet<usize>,
}

struct Shared {
    address: SocketAddr,
    count: usize,
    asks: Asks,
    next: AtomicUsize,
    done: AtomicUsize,
    stopping: AtomicBool,
    saw: Mutex<UsersSaw>,
}

impl Users {
    /// Starts this many users, on a few connections.
    pub(super) fn start(address: SocketAddr, count: usize, asks: Asks) -> Self {
        let shared = Arc::new(Shared {
            address,
            count,
            asks,
            next: AtomicUsize::new(0),
            done: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
            saw: Mutex::default(),
        });
        let mut tasks = JoinSet::new();
        for _ in 0..CONNECTIONS {
            tasks.spawn(ask(Arc::clone(&shared)));
        }
        Self {
            shared,
            tasks,
            began: Instant::now(),
            count,
        }
    }

    /// Time since they started.
    pub(super) fn took(&self) -> Duration {
        self.began.elapsed()
    }

    /// Waits until each user was answered once more.
    pub(super) async fn reach_all(&self) {
        let done = || self.shared.done.load(Ordering::SeqCst);
        // Those under way may be of before.
        let wanted = done() + self.count + CONNECTIONS;
        eventually("each user is answered", || async {
            (done() >= wanted).then_some(())
        })
        .await;
    }

    /// Lets them finish.
    pub(super) async fn stop(mut self) -> UsersSaw {
        self.shared.stopping.store(true, Ordering::SeqCst);
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
        self.shared.saw().clone()
    }
}

impl UsersSaw {
    /// Returns true if nobody came back from the new version to the old one.
    pub(super) fn is_monotone(&self) -> bool {
        self.returned.is_empty()
    }

    /// Number of users that a version answered last.
    pub(super) fn users_of(&self, version: &str) -> usize {
        self.last.values().filter(|it| *it == version).count()
    }
}

impl Shared {
    fn saw(&self) -> std::sync::MutexGuard<'_, UsersSaw> {
        self.saw.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ask(shared: Arc<Shared>) {
    let mut client = Client::connect(shared.address).await;
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !shared.stopping.load(Ordering::SeqCst) {
        pace.tick().await;
        let number = shared.next.fetch_add(1, Ordering::SeqCst);
        let user = number % shared.count;
        let posts =
            matches!(shared.asks, Asks::Some) && (number / shared.count + user).is_multiple_of(5);
        let (method, body) = if posts {
            ("POST", &b"x"[..])
        } else {
            ("GET", &b""[..])
        };
        let lines = format!("x-user: user-{user}\n");
        let answer = client.request(method, "/", &lines, body).await;
        let mut saw = shared.saw();
        if answer.status == 200 {
            let version = answer.text();
            let before = saw.last.insert(user, version.clone());
            if before.is_some_and(|before| before > version) {
                saw.returned.insert(user);
            }
        } else {
            saw.failed += 1;
            saw.hurt.insert(user);
        }
        drop(saw);
        shared.done.fetch_add(1, Ordering::SeqCst);
    }
}

const CONNECTIONS: usize = 8;
const PACE: Duration = Duration::from_millis(10);
