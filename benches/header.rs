//! What the proxy does to the fields of every request, on one with ten.
//!
//! `cargo bench --bench header`; the cost of cloning the head is measured apart, to be
//! taken off the others.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::{HeaderName, HeaderValue, Version};
use sluicegate::semantics::Headers;
use sluicegate::semantics::authority::effective_authority;
use sluicegate::semantics::forwarded::{Asked, Hop, Scheme, Trust};
use sluicegate::semantics::hop_by_hop::{Switching, strip_request};
use sluicegate::semantics::request_id::RequestId;
use sluicegate::semantics::via::Pseudonym;

const LINES: [(&str, &str); 10] = [
    ("host", "shop.example"),
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    ),
    (
        "accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    ),
    ("accept-language", "en-US,en;q=0.5"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("cookie", "session=0123456789abcdef; theme=dark"),
    ("referer", "https://shop.example/"),
    ("sec-fetch-mode", "navigate"),
    ("priority", "u=0, i"),
    ("connection", "keep-alive"),
];

fn head() -> Headers {
    let mut headers = Headers::new();
    for (name, value) in LINES {
        headers.append(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    headers
}

fn fields(criterion: &mut Criterion) {
    let head = head();
    let hop = Hop::new([192, 0, 2, 1].into(), Scheme::Https);
    let via = Pseudonym::new("bench").ok();
    let host = head.get("host");
    let asked = Asked {
        scheme: Scheme::Http,
        host,
    };
    let mut bench = |name: &str, work: &dyn Fn(&mut Headers)| {
        criterion.bench_function(name, |bencher| {
            let run = |mut headers: Headers| {
                work(&mut headers);
                headers
            };
            bencher.iter_batched(|| head.clone(), run, BatchSize::SmallInput);
        });
    };
    bench("nothing", &|_| {});
    bench("authority", &|headers| {
        let _ = black_box(effective_authority(Version::HTTP_11, None, headers));
    });
    bench("hop_by_hop", &|headers| {
        strip_request(headers, Switching::No);
    });
    bench("forwarded", &|headers| {
        hop.write(headers, Trust::Untrusted, asked, host);
    });
    bench("via", &|headers| {
        if let Some(via) = &via {
            black_box(via.is_in(headers));
            via.append(headers, Version::HTTP_11);
        }
    });
    bench("all", &|headers| {
        let _ = black_box(effective_authority(Version::HTTP_11, None, headers));
        strip_request(headers, Switching::No);
        hop.write(headers, Trust::Untrusted, asked, host);
        if let Some(via) = &via {
            black_box(via.is_in(headers));
            via.append(headers, Version::HTTP_11);
        }
    });
}

fn request_id(criterion: &mut Criterion) {
    criterion.bench_function("request_id", |bencher| {
        bencher.iter(|| RequestId::new(black_box(1_790_000_000_000), black_box(u128::MAX / 3)));
    });
}

criterion_group!(benches, fields, request_id);
criterion_main!(benches);
