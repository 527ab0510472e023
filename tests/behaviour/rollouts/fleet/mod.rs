//! Rollouts of three proxies that share their progress in a real etcd or a real Consul: one leads,
//! all count, and all give the same share of the users the new version.

mod store;
mod trouble;

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::users::{Asks, Users};
use super::{failing, text, told};
use crate::harness::{Backend, Consul, Etcd, Proxy, Settings, identity};
use store::Store;

/// Three proxies, or more, of one store.
pub(super) struct Fleet {
    old: Backend,
    new: Backend,
    rollout: String,
    pub(super) proxies: Vec<Proxy>,
}

/// The table of a proxy, with the store at this place.
fn member(name: &str, store: &str, rollout: &str) -> String {
    let with_store = format!("state_dir = \"state\"\nrollout_store = {store}");
    let named = format!("[config]\nname = \"{name}\"\n{}", text(rollout));
    named.replace("state_dir = \"state\"", &with_store)
}

impl Fleet {
    /// Starts three proxies; waits until one leads and all follow.
    async fn start(store: &Store, rollout: &str, new: Backend) -> Self {
        let old = Backend::start(identity("1")).await;
        let mut fleet = Self {
            old,
            new,
            rollout: rollout.to_owned(),
            proxies: Vec::new(),
        };
        for name in ["a", "b", "c"] {
            fleet.add(name, &store.table()).await;
        }
        let leader = fleet.leader().await;
        members_become(&fleet.proxies[leader], 3).await;
        fleet
    }

    /// Starts another one.
    async fn add(&mut self, name: &str, store: &str) {
        let settings = Settings::new(&member(name, store, &self.rollout))
            .backend("old", &self.old)
            .backend("new", &self.new);
        self.proxies.push(settings.start().await);
    }

    /// Place of the leader, once there is one that says so itself.
    async fn leader(&self) -> usize {
        in_the_end("one proxy leads", async || {
            let mut leads = Vec::new();
            for (place, proxy) in self.proxies.iter().enumerate() {
                if told(proxy).await["fleet"]["role"] == "leader" {
                    leads.push(place);
                }
            }
            assert!(leads.len() <= 1, "two lead: {leads:?}");
            leads.pop()
        })
        .await
    }

    /// Waits until all proxies give the new version this share.
    async fn share_becomes(&self, share: f64) {
        for proxy in &self.proxies {
            fits(proxy, "the share is given", |told| told["share"] == share).await;
        }
    }

    /// Waits until all proxies are in this state.
    async fn become_all(&self, state: &str) {
        for proxy in &self.proxies {
            fits(proxy, state, |told| told["state"] == state).await;
        }
    }

    /// The same, where a session has to end before.
    async fn become_all_in_the_end(&self, state: &str) {
        in_the_end(&format!("all are {state}"), async || {
            let mut done = true;
            for proxy in &self.proxies {
                done &= told(proxy).await["state"] == state;
            }
            done.then_some(())
        })
        .await;
    }

    /// A hundred users at each proxy, who ask all the time.
    fn users(&self) -> Vec<Users> {
        let proxies = self.proxies.iter();
        proxies
            .map(|proxy| Users::start(proxy.address("web"), 100, Asks::Gets))
            .collect()
    }

    /// The version that each proxy gives a user.
    async fn versions_of(&self, user: usize) -> Vec<String> {
        let mut all = Vec::new();
        for proxy in &self.proxies {
            let lines = format!("x-user: user-{user}\n");
            all.push(proxy.request("GET", "/", &lines, b"").await.text());
        }
        all
    }

    async fn finish(self) {
        for proxy in self.proxies {
            proxy.finish().await;
        }
    }
}

async fn members_become(proxy: &Proxy, count: usize) {
    fits(proxy, "all proxies report", |told| {
        let members = told["fleet"]["members"].as_array();
        members.is_some_and(|it| it.len() == count)
    })
    .await;
}

/// Gives a command; once more if the store was too slow for it.
async fn order(proxy: &Proxy, what: &str) -> (u16, Value) {
    in_the_end("an answer to a command", async || {
        let (status, told) = super::order(proxy, what).await;
        let is_late = told.to_string().contains("look if it happened");
        (!is_late).then_some((status, told))
    })
    .await
}

/// Waits until the rollout of a proxy fits.
async fn fits(proxy: &Proxy, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
    in_the_end(what, async || {
        let told = told(proxy).await;
        fits(&told).then_some(told)
    })
    .await
}

/// Like `eventually`, for what takes as long as leases and sessions do.
async fn in_the_end<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(began.elapsed() < LONGEST, "not in the end: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Ends the users: each was served all the time, and never went back to the old version.
async fn are_served(users: Vec<Users>) {
    for users in users {
        users.reach_all().await;
        let seen = users.stop().await;
        assert_eq!(seen.failed, 0, "{seen:?}");
        assert!(seen.is_monotone(), "{seen:?}");
    }
}

/// A session of Consul may last three times as long as it is asked to.
const LONGEST: Duration = Duration::from_secs(90);

/// Two steps that need more requests than one proxy sees in the time.
const STEPS: &str = r#"
    steps = [{ share = "20%", hold = "600ms" }, { share = "50%", hold = "600ms" }]
    gate = { volume_min = 60 }
"#;

const ONE_STEP: &str = r#"
    steps = [{ share = "25%", hold = "1h" }]
    gate = { volume_min = 30 }
"#;

async fn three_are_promoted(store: Store) {
    let new = Backend::start(identity("2")).await;
    let fleet = Fleet::start(&store, STEPS, new).await;
    let users = fleet.users();
    fleet.become_all("promoted").await;
    are_served(users).await;
    in_the_end("all name the one that leads", async || {
        let mut leaders = Vec::new();
        for proxy in &fleet.proxies {
            let fleet = &told(proxy).await["fleet"];
            leaders.push((fleet["leader"].clone(), fleet["role"] == "leader"));
        }
        let is_agreed = leaders.iter().all(|it| it.0 == leaders[0].0);
        let led = leaders.iter().filter(|it| it.1).count();
        (is_agreed && led == 1).then_some(())
    })
    .await;
    in_the_end("the metrics name one that leads", async || {
        let (labels, mut leads) = ([("rollout", "orders")], 0.0);
        for proxy in &fleet.proxies {
            leads += proxy.metric("sluicegate_rollout_leads", &labels).await;
        }
        (leads == 1.0).then_some(())
    })
    .await;
    for proxy in &fleet.proxies {
        proxy.log_says("rollout leader").await;
    }
    fleet.finish().await;
}

#[tokio::test]
async fn three_proxies_take_the_same_steps_with_etcd() {
    three_are_promoted(Store::Etcd(Etcd::start().await)).await;
}

#[tokio::test]
async fn three_proxies_take_the_same_steps_with_consul() {
    three_are_promoted(Store::Consul(Consul::start().await)).await;
}

#[tokio::test]
async fn a_user_gets_the_same_version_from_each_proxy_also_from_one_that_comes_late() {
    let store = Store::Etcd(Etcd::start().await);
    let new = Backend::start(identity("2")).await;
    let mut fleet = Fleet::start(&store, ONE_STEP, new).await;
    fleet.become_all("running").await;
    fleet.add("late", &store.table()).await;
    fits(&fleet.proxies[3], "the late one follows", |told| {
        told["state"] == "running" && told["share"] == 0.25
    })
    .await;
    let mut candidates = 0;
    for user in 0..100 {
        let versions = fleet.versions_of(user).await;
        assert!(versions.iter().all(|it| *it == versions[0]), "{versions:?}");
        candidates += usize::from(versions[0] == "2");
    }
    assert!((8..=45).contains(&candidates), "{candidates}");
    fleet.finish().await;
}

#[tokio::test]
async fn figures_of_all_proxies_are_added_up() {
    let store = Store::Etcd(Etcd::start().await);
    let new = Backend::start(identity("2")).await;
    let fleet = Fleet::start(&store, ONE_STEP, new).await;
    fleet.become_all("running").await;
    for user in 0..30 {
        fleet.versions_of(user).await;
    }
    for proxy in &fleet.proxies {
        fits(
            proxy,
            "all requests of all proxies are counted once",
            |told| {
                let of = |version: &str| {
                    let step = &told["versions"][version]["step"];
                    step["requests"].as_u64().unwrap_or(0)
                };
                of("baseline") + of("candidate") == 90
            },
        )
        .await;
    }
    fleet.finish().await;
}

#[tokio::test]
async fn a_version_that_fails_loses_its_users_at_all_proxies_within_seconds() {
    let store = Store::Etcd(Etcd::start().await);
    let new = Backend::start(failing(2)).await;
    let fleet = Fleet::start(&store, ONE_STEP, new).await;
    fleet.become_all("running").await;
    let users = fleet.users();
    fleet.become_all("rolled_back").await;
    eprintln!("rolled back everywhere after {:.1?}", users[0].took());
    for users in users {
        users.reach_all().await;
        users.stop().await;
    }
    for user in 0..40 {
        assert_eq!(fleet.versions_of(user).await, ["1", "1", "1"]);
    }
    fleet.finish().await;
}

#[tokio::test]
async fn a_command_holds_for_all_whichever_proxy_is_told() {
    for store in [
        Store::Etcd(Etcd::start().await),
        Store::Consul(Consul::start().await),
    ] {
        let new = Backend::start(identity("2")).await;
        let fleet = Fleet::start(&store, ONE_STEP, new).await;
        fleet.become_all("running").await;
        let leader = fleet.leader().await;
        let [first, second] = [0, 1, 2]
            .into_iter()
            .filter(|it| *it != leader)
            .collect::<Vec<_>>()[..]
        else {
            panic!("two follow");
        };
        let (status, told) = order(&fleet.proxies[first], "pause").await;
        assert_eq!((status, &told["state"]), (200, &"holding".into()));
        fleet.become_all("holding").await;
        assert_eq!(order(&fleet.proxies[leader], "resume").await.0, 200);
        assert_eq!(order(&fleet.proxies[second], "resume").await.0, 409);
        let (status, told) = order(&fleet.proxies[second], "abort").await;
        assert_eq!((status, &told["state"]), (200, &"rolled_back".into()));
        fleet.become_all("rolled_back").await;
        assert_eq!(order(&fleet.proxies[leader], "promote").await.0, 409);
        fleet.finish().await;
    }
}
