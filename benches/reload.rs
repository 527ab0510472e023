//! What a reload costs the control thread: reading the text, building a snapshot, the swap.
//!
//! Workers notice nothing of the first two; `adopt` is what a change of one route costs when
//! everything else is taken over from the snapshot in use.
//!
//! `cargo bench --bench reload`
#![allow(clippy::panic, reason = "a bench that cannot start says why and ends")]

use std::{fmt::Write as _, hint::black_box, path::Path, sync::Arc};

use arc_swap::ArcSwap;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use sluicegate::{
    config::{self, Config, Rules},
    state::{self, Registered, Registry, Snapshot, Source},
};
use tokio::time::Instant;

/// Endpoints over all pools.
const ENDPOINTS: usize = 1_000;
const POOLS: usize = 10;

fn reload(criterion: &mut Criterion) {
    let registered = Registered::default();
    let mut group = criterion.benchmark_group("reload");
    for routes in [10, 1_000] {
        let text = text(routes, "/a");
        let config = parse(&text);
        let mut registry = Registry::new(2);
        let first = build(&config, &registered, None, &mut registry);
        let edited = parse(&text.replacen("\"/a\"", "\"/b\"", 1));
        group.bench_function(BenchmarkId::new("read", routes), |bencher| {
            bencher.iter(|| parse(black_box(&text)));
        });
        group.bench_function(BenchmarkId::new("build", routes), |bencher| {
            bencher.iter(|| build(&config, &registered, None, &mut registry));
        });
        group.bench_function(BenchmarkId::new("adopt", routes), |bencher| {
            bencher.iter(|| build(&edited, &registered, Some(&first), &mut registry));
        });
        let first = Arc::new(first);
        let second = Arc::new(build(&edited, &registered, Some(&first), &mut registry));
        let current = ArcSwap::new(Arc::clone(&first));
        group.bench_function(BenchmarkId::new("swap", routes), |bencher| {
            bencher.iter(|| {
                current.store(Arc::clone(&second));
                current.store(Arc::clone(&first));
            });
        });
    }
    group.finish();
}

fn build(
    config: &Arc<Config>,
    registered: &Registered,
    last: Option<&Snapshot>,
    registry: &mut Registry,
) -> Snapshot {
    let source = Source {
        config: Arc::clone(config),
        registered,
        last,
        files: state::TlsFiles::Read,
        lists: state::Lists::Read,
        generation: 1,
        now: Instant::now(),
    };
    match state::build(&source, registry) {
        Ok(snapshot) => snapshot,
        Err(error) => panic!("{error}"),
    }
}

fn parse(text: &str) -> Arc<Config> {
    match config::parse(text, Path::new("proxy.toml"), &Rules::default()) {
        Ok(loaded) => Arc::new(loaded.config),
        Err(faults) => panic!("{faults}"),
    }
}

fn text(routes: usize, path: &str) -> String {
    let mut text = String::from("[listeners.web]\naddress = \"127.0.0.1:8080\"\n");
    // Writing to a string cannot fail.
    for route in 0..routes {
        let _ = write!(
            text,
            "[routes.r{route}]\nhosts = [\"h{route}.example\"]\npath_prefix = \"{path}\"\n\
             pool = \"p{}\"\nrewrite = {{ strip_prefix = \"{path}\" }}\n",
            route % POOLS
        );
    }
    for pool in 0..POOLS {
        let endpoints: Vec<String> = (0..ENDPOINTS / POOLS)
            .map(|endpoint| format!("\"10.0.{pool}.{endpoint}:8080\""))
            .collect();
        let _ = write!(
            text,
            "[pools.p{pool}]\nendpoints = [{}]\n",
            endpoints.join(", ")
        );
    }
    text
}

criterion_group!(benches, reload);
criterion_main!(benches);
