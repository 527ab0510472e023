//! One request through the whole proxy over loopback, on a connection that is kept.
//!
//! `round_trip` is what a client waits; it is mostly the kernel's. `worker_cpu` is the
//! time that the worker's thread spends on a request, in the kernel and outside.
//!
//! `cargo bench --bench end_to_end`
#![allow(clippy::panic, reason = "a bench that cannot start says why and ends")]

mod running;

use std::{fs, io, time::Duration};

use criterion::{Criterion, criterion_group, criterion_main};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\n\
    content-type: text/plain\r\n\
    cache-control: no-store\r\n\
    server: endpoint\r\n\
    content-length: 7\r\n\
    \r\n\
    answer.";
const END: &[u8] = b"answer.";
const REQUEST: &[u8] = b"GET /orders/17?lang=de HTTP/1.1\r\n\
    host: shop.example\r\n\
    user-agent: bench\r\n\
    accept: text/html,application/json;q=0.9\r\n\
    accept-encoding: gzip, br\r\n\
    accept-language: de,en;q=0.7\r\n\
    cookie: session=0123456789abcdef\r\n\
    \r\n";

fn request(criterion: &mut Criterion) {
    let started = running::endpoint(ANSWER).and_then(|endpoint| {
        running::proxy(&format!(
            "[listeners.web]\naddress = \"$web\"\n\
             [routes.all]\npool = \"app\"\n\
             [pools.app]\nendpoints = [\"{endpoint}\"]\n"
        ))
    });
    let client = started.and_then(running::Client::connect);
    let mut client = match client {
        Ok(client) => client,
        Err(error) => panic!("cannot start: {error}"),
    };
    let mut exchange = || {
        let exchanged = client.exchange(REQUEST, END, 1);
        assert!(exchanged.is_ok(), "{exchanged:?}");
    };
    let mut group = criterion.benchmark_group("keep_alive");
    group.bench_function("round_trip", |bencher| bencher.iter(&mut exchange));
    if worker_cpu().is_ok() {
        group.bench_function("worker_cpu", |bencher| {
            bencher.iter_custom(|count| {
                let before = worker_cpu().unwrap_or_default();
                (0..count).for_each(|_| exchange());
                let spent = worker_cpu().unwrap_or_default().saturating_sub(before);
                // The kernel may not have brought the figure up to date for a few requests.
                spent.max(Duration::from_nanos(1))
            });
        });
    }
    group.finish();
}

/// Processor time of the worker's thread so far. Only Linux tells.
fn worker_cpu() -> io::Result<Duration> {
    for task in fs::read_dir("/proc/self/task")? {
        let path = task?.path();
        if fs::read_to_string(path.join("comm"))?.trim_end() == "worker-0" {
            let figures = fs::read_to_string(path.join("schedstat"))?;
            let spent = figures.split(' ').next().and_then(|ns| ns.parse().ok());
            return Ok(Duration::from_nanos(spent.unwrap_or_default()));
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(5)).sample_size(20);
    targets = request
}
criterion_main!(benches);
