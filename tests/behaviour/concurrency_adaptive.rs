//! `concurrency` with `adaptive`: the limit follows what is measured.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use crate::concurrency::{started, tables};
use crate::harness::{Act, Backend, Client, answer};

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_adapts_grows_with_quick_answers_and_survives_a_reload() {
    let app =
        Backend::start(|_| [vec![Act::Read, Act::Pause(PAUSE)], answer("app")].concat()).await;
    let adaptive = r#"{ adaptive = true, max = 60, queue = 100, queue_timeout = "5s" }"#;
    let mut proxy = started(2, adaptive, &app).await;
    let labels = [("route", "all")];
    let gauge = "sluicegate_concurrency_limit";
    proxy.metric_becomes(gauge, &labels, 20.0).await;
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..64)
        .map(|_| {
            let (address, stop) = (proxy.address("web"), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut client = Client::connect(address).await;
                while !stop.load(Relaxed) {
                    assert_eq!(client.get("/").await.status, 200);
                }
            })
        })
        .collect();
    proxy.metric_becomes(gauge, &labels, 60.0).await;
    stop.store(true, Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    let lower = r#"{ adaptive = true, max = 50 }"#;
    proxy.reload(&tables(2, lower)).await;
    proxy.metric_becomes(gauge, &labels, 50.0).await;
    proxy.finish().await;
}

const PAUSE: std::time::Duration = std::time::Duration::from_millis(20);
