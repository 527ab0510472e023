use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;
use crate::config::value::EndpointAddress;
use crate::upstream::health::{
    probe::{self, BoxFuture, HttpVersion, PlainDial},
    settings::{CheckKind, HealthSettings},
    transition::EndpointState,
    view::PoolHealthView,
};

/// Passes for every target but those told to fail or hang, and counts the questions to each.
#[derive(Default)]
struct Scripted {
    failing: Mutex<Vec<&'static str>>,
    hanging: Vec<&'static str>,
    panics: AtomicUsize,
    asked: Mutex<HashMap<Arc<str>, Vec<Instant>>>,
}

impl Scripted {
    fn asked(&self, identity: &str) -> Vec<Instant> {
        self.asked
            .lock()
            .unwrap()
            .get(identity)
            .cloned()
            .unwrap_or_default()
    }
}

impl Probe for Scripted {
    fn probe<'a>(
        &'a self,
        target: &'a ProbeTarget,
        _: Instant,
    ) -> BoxFuture<'a, Result<(), ProbeFailure>> {
        let mut asked = self.asked.lock().unwrap();
        asked
            .entry(Arc::clone(&target.identity))
            .or_default()
            .push(Instant::now());
        drop(asked);
        let panics = self
            .panics
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            });
        Box::pin(async move {
            assert!(panics.is_err(), "told to panic");
            if self.hanging.contains(&&*target.identity) {
                std::future::pending::<()>().await;
            }
            let failing = self.failing.lock().unwrap().contains(&&*target.identity);
            if failing {
                Err(ProbeFailure::Status(503))
            } else {
                Ok(())
            }
        })
    }
}

fn target(identity: &str, address: EndpointAddress) -> ProbeTarget {
    ProbeTarget {
        identity: identity.into(),
        address,
        host: "app".into(),
        server_name: "app".into(),
        learns: None,
    }
}

fn unreal(names: &[&str]) -> Vec<ProbeTarget> {
    let nowhere = EndpointAddress::Unix("/nonexistent".into());
    names
        .iter()
        .map(|name| target(name, nowhere.clone()))
        .collect()
}

fn adopted(targets: &[ProbeTarget]) -> (Arc<PoolHealthState>, Arc<PoolHealthView>) {
    let settings = HealthSettings {
        check: Some(CheckSettings::new(CheckKind::Tcp)),
        ..HealthSettings::default()
    };
    let state = PoolHealthState::new("orders".into(), settings.clone(), 1);
    let addresses: Vec<_> = targets
        .iter()
        .map(|target| Arc::clone(&target.identity))
        .collect();
    let view = state.view(&addresses, Instant::now());
    state.adopt(&view, settings, Instant::now());
    (state, view)
}

fn plan(probe: &Arc<Scripted>) -> SchedulePlan {
    SchedulePlan {
        probe: Arc::clone(probe) as _,
        settings: CheckSettings::new(CheckKind::Tcp),
    }
}

fn states(view: &PoolHealthView) -> Vec<EndpointState> {
    view.picture()
        .endpoints
        .iter()
        .map(|view| view.state)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_check_that_hangs_delays_no_other() {
    let targets = unreal(&["slow", "fast"]);
    let (state, view) = adopted(&targets);
    let probe = Arc::new(Scripted {
        hanging: vec!["slow"],
        ..Scripted::default()
    });
    let mut schedule = Schedule::new(state);
    schedule.sync(targets, Some(&plan(&probe)));
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(
        states(&view),
        [EndpointState::Pending, EndpointState::Healthy]
    );
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(
        states(&view),
        [EndpointState::Unhealthy, EndpointState::Healthy]
    );
    let told = view.picture().endpoints[0]
        .cause
        .as_ref()
        .unwrap()
        .to_string();
    assert_eq!(told, "check failed: timeout after 1s");
    schedule.stop().await;
}

#[tokio::test(start_paused = true)]
async fn checks_come_at_the_interval_and_faster_while_down() {
    let targets = unreal(&["a"]);
    let (state, view) = adopted(&targets);
    let probe = Arc::new(Scripted::default());
    let mut schedule = Schedule::new(state);
    let began = Instant::now();
    schedule.sync(targets, Some(&plan(&probe)));
    tokio::time::sleep(Duration::from_secs(100)).await;
    let asked = probe.asked("a");
    assert_eq!(asked[0], began, "the first at once");
    assert!((18..=24).contains(&asked.len()), "{}", asked.len());
    for pair in asked.windows(2).skip(1) {
        let gap = pair[1] - pair[0];
        assert!((4490..=5510).contains(&gap.as_millis()), "{gap:?}");
    }
    probe.failing.lock().unwrap().push("a");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(states(&view), [EndpointState::Unhealthy]);
    let asked = probe.asked("a");
    let [.., before, last] = asked[..] else {
        panic!("asked too rarely")
    };
    assert!((890..=1110).contains(&(last - before).as_millis()));
    probe.failing.lock().unwrap().clear();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(states(&view), [EndpointState::Healthy]);
}

#[tokio::test(start_paused = true)]
async fn a_reload_stops_checks_of_what_left_and_goes_on_with_what_stayed() {
    let targets = unreal(&["stays", "leaves"]);
    let (state, _view) = adopted(&targets);
    let probe = Arc::new(Scripted::default());
    let mut schedule = Schedule::new(state);
    let mut plan = plan(&probe);
    schedule.sync(targets.clone(), Some(&plan));
    tokio::time::sleep(Duration::from_secs(20)).await;
    let (stays, leaves) = (probe.asked("stays").len(), probe.asked("leaves").len());
    plan.settings.interval = Duration::from_secs(1000);
    schedule.sync(targets[..1].to_vec(), Some(&plan));
    assert_eq!(schedule.len(), 1);
    // The new interval counts from now, and nothing is asked out of turn.
    tokio::time::sleep(Duration::from_secs(800)).await;
    assert_eq!(
        (probe.asked("stays").len(), probe.asked("leaves").len()),
        (stays, leaves)
    );
    tokio::time::sleep(Duration::from_secs(400)).await;
    assert_eq!(probe.asked("stays").len(), stays + 1);
    schedule.sync(Vec::new(), None);
    assert!(schedule.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_panics_is_asked_again_after_waits_that_grow() {
    let targets = unreal(&["a"]);
    let (state, view) = adopted(&targets);
    let probe = Arc::new(Scripted {
        panics: AtomicUsize::new(3),
        ..Scripted::default()
    });
    let mut schedule = Schedule::new(state);
    let began = Instant::now();
    schedule.sync(targets, Some(&plan(&probe)));
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(states(&view), [EndpointState::Pending]);
    // Ends before the next check of a healthy endpoint, which comes at a random time.
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(states(&view), [EndpointState::Healthy]);
    let asked = probe.asked("a");
    let asked = asked.iter().map(|at| (*at - began).as_millis());
    assert_eq!(asked.collect::<Vec<_>>(), [0, 100, 300, 700]);
    schedule.stop().await;
}

#[tokio::test]
async fn real_endpoints_that_serve_refuse_and_hang_are_told_apart() {
    let serving = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = |name: &str, listener: &TcpListener| {
        target(
            name,
            EndpointAddress::Socket(listener.local_addr().unwrap()),
        )
    };
    let targets = vec![
        at("serving", &serving),
        at("hanging", &hanging),
        at("closed", &closed),
    ];
    drop(closed);
    tokio::spawn(async move {
        let (mut socket, _) = serving.accept().await.unwrap();
        assert_ne!(socket.read(&mut [0; 1024]).await.unwrap(), 0);
        socket
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            .await
            .unwrap();
    });
    let (state, view) = adopted(&targets);
    let mut settings = CheckSettings::new(CheckKind::http("/"));
    settings.timeout = Duration::from_millis(200);
    let probe = probe::build(&settings.kind, HttpVersion::Http1, Arc::new(PlainDial)).unwrap();
    let mut schedule = Schedule::new(state);
    schedule.sync(targets, Some(&SchedulePlan { probe, settings }));
    let patience = Instant::now() + Duration::from_secs(10);
    loop {
        let changed = view.pool().changed();
        if !states(&view).contains(&EndpointState::Pending) {
            break;
        }
        tokio::time::timeout_at(patience, changed).await.unwrap();
    }
    let picture = view.picture();
    let told = |index: usize| {
        picture.endpoints[index]
            .cause
            .as_ref()
            .map(ToString::to_string)
    };
    assert_eq!(told(0), None);
    assert_eq!(told(1).unwrap(), "check failed: timeout after 200ms");
    assert_eq!(told(2).unwrap(), "check failed: connection refused");
    schedule.stop().await;
}

/// A probe that fails as in a proxy without descriptors.
struct Short(AtomicUsize);

impl Probe for Short {
    fn probe<'a>(
        &'a self,
        _: &'a ProbeTarget,
        _: Instant,
    ) -> BoxFuture<'a, Result<(), ProbeFailure>> {
        let first = self.0.fetch_add(1, Ordering::Relaxed) == 0;
        Box::pin(async move {
            if first {
                Ok(())
            } else {
                Err(ProbeFailure::Shortage)
            }
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_shortage_of_the_proxys_own_changes_nothing() {
    let targets = unreal(&["one"]);
    let (state, view) = adopted(&targets);
    let probe = Arc::new(Short(AtomicUsize::new(0)));
    let plan = SchedulePlan {
        probe: Arc::clone(&probe) as _,
        settings: CheckSettings::new(CheckKind::Tcp),
    };
    let mut schedule = Schedule::new(state);
    schedule.sync(targets, Some(&plan));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(probe.0.load(Ordering::Relaxed) > 10, "it goes on asking");
    assert_eq!(states(&view), [EndpointState::Healthy]);
    schedule.stop().await;
}

#[tokio::test(start_paused = true)]
async fn first_checks_are_bounded_in_number() {
    let names = ["a", "b", "c", "d", "e"];
    let targets = unreal(&names);
    let (state, _view) = adopted(&targets);
    let probe = Arc::new(Scripted {
        hanging: names.to_vec(),
        ..Scripted::default()
    });
    let turns: &'static Semaphore = Box::leak(Box::new(Semaphore::new(2)));
    let (_sender, receiver) = watch::channel(plan(&probe));
    let tasks: Vec<_> = targets
        .into_iter()
        .map(|target| {
            let (state, mut receiver) = (Arc::clone(&state), receiver.clone());
            tokio::spawn(async move {
                check_for_ever(&state, &target, &mut receiver, turns).await;
            })
        })
        .collect();
    let asked = || {
        names
            .iter()
            .filter(|name| !probe.asked(name).is_empty())
            .count()
    };
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(asked(), 2);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(asked(), 4, "the next ones when these are done");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(asked(), 5);
    tasks.iter().for_each(JoinHandle::abort);
}
