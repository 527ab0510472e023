//! What a route's filters cost: the difference between exchanges that are equal but for them.
//!
//! An exchange can only be made by a connection, so whole exchanges are measured: replies
//! of the proxy's own, requests [`BATCH`] to a piece so that system calls weigh little.
//! The figure is the time of a batch.
//!
//! `cargo bench --bench filter_chain`
#![allow(clippy::panic, reason = "a bench that cannot start says why and ends")]

mod running;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// Requests in one piece.
const BATCH: usize = 64;
const END: &str = "answer.";
const CONFIGURATION: &str = r#"
[listeners.web]
address = "$web"

[routes.plain]
path_prefix = "/plain"
respond = { status = 200, body = "answer." }

[routes.rewrite]
path_prefix = "/rewrite"
respond = { status = 200, body = "answer." }
rewrite = { strip_prefix = "/rewrite", add_prefix = "/v2" }

[routes.headers]
path_prefix = "/headers"
respond = { status = 200, body = "answer." }
headers_request = { set = { x-tenant = "acme", x-client = "{client_ip}" }, remove = ["x-internal"] }
headers_response = { set = { x-frame-options = "deny" }, add = { x-route = "{route}" } }

[routes.both]
path_prefix = "/both"
respond = { status = 200, body = "answer." }
rewrite = { strip_prefix = "/both", add_prefix = "/v2" }
headers_request = { set = { x-tenant = "acme", x-client = "{client_ip}" }, remove = ["x-internal"] }
headers_response = { set = { x-frame-options = "deny" }, add = { x-route = "{route}" } }
"#;

fn chain(criterion: &mut Criterion) {
    let client = running::proxy(CONFIGURATION).and_then(running::Client::connect);
    let mut client = match client {
        Ok(client) => client,
        Err(error) => panic!("cannot start: {error}"),
    };
    let mut group = criterion.benchmark_group("filter_chain");
    group.throughput(Throughput::Elements(BATCH as u64));
    for route in ["plain", "rewrite", "headers", "both"] {
        let request = format!(
            "GET /{route}/orders/17?lang=de HTTP/1.1\r\nhost: shop.example\r\n\
             x-internal: 1\r\naccept: */*\r\n\r\n"
        );
        let batch = request.repeat(BATCH);
        group.bench_function(route, |bencher| {
            bencher.iter(|| {
                let exchanged = client.exchange(batch.as_bytes(), END.as_bytes(), BATCH);
                assert!(exchanged.is_ok(), "{exchanged:?}");
            });
        });
    }
    group.finish();
}

criterion_group!(benches, chain);
criterion_main!(benches);
