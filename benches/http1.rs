//! Cost of the HTTP/1.1 codec: heads in and out, chunks in.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "the macro's functions have no docs, and a bench that fails may stop"
)]

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::{Method, Version};
use sluicegate::http1::{
    BodyDecoder, Decoded, Framing, HeadLimits, KeepAlive, encode_request_head,
    encode_response_head, parse_request_head, parse_response_head,
};

/// Ten fields, as a browser sends them.
const REQUEST: &str = "GET /orders/42?expand=items HTTP/1.1\r\n\
    Host: shop.example\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    Accept-Language: en-US,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate, br\r\n\
    Connection: keep-alive\r\n\
    Cookie: session=0123456789abcdef0123456789abcdef\r\n\
    Referer: https://shop.example/orders\r\n\
    X-Request-ID: 0190b0a8-7f3e-7cc4-9d4e-2f1b8a6c5d3e\r\n\
    Cache-Control: no-cache\r\n\r\n";

/// Eight fields, as a service sends them.
const RESPONSE: &str = "HTTP/1.1 200 OK\r\n\
    Server: app/1.4.2\r\n\
    Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
    Content-Type: application/json; charset=utf-8\r\n\
    Content-Length: 512\r\n\
    Cache-Control: private, max-age=0\r\n\
    ETag: \"5d8c72a5edda8d6a\"\r\n\
    Vary: Accept-Encoding\r\n\
    X-Request-ID: 0190b0a8-7f3e-7cc4-9d4e-2f1b8a6c5d3e\r\n\r\n";

fn parse(criterion: &mut Criterion) {
    let limits = HeadLimits::default();
    criterion.bench_function("parse_request_head", |bencher| {
        bencher.iter_batched_ref(
            || BytesMut::from(REQUEST),
            |buffer| parse_request_head(buffer, &mut 0, &limits).unwrap(),
            BatchSize::SmallInput,
        );
    });
    criterion.bench_function("parse_response_head", |bencher| {
        bencher.iter_batched_ref(
            || BytesMut::from(RESPONSE),
            |buffer| parse_response_head(buffer, &mut 0, &limits, &Method::GET).unwrap(),
            BatchSize::SmallInput,
        );
    });
}

fn encode(criterion: &mut Criterion) {
    let limits = HeadLimits::default();
    let mut out = BytesMut::with_capacity(4096);
    let request = parse_request_head(&mut REQUEST.into(), &mut 0, &limits);
    let request = request.unwrap().unwrap();
    criterion.bench_function("encode_request_head", |bencher| {
        bencher.iter(|| {
            out.clear();
            let (method, target) = (&request.method, &request.target);
            encode_request_head(&mut out, method, target, &request.headers, &request.framing);
            black_box(out.len())
        });
    });
    let response = parse_response_head(&mut RESPONSE.into(), &mut 0, &limits, &Method::GET);
    let response = response.unwrap().unwrap();
    criterion.bench_function("encode_response_head", |bencher| {
        bencher.iter(|| {
            out.clear();
            encode_response_head(
                &mut out,
                Version::HTTP_11,
                response.status,
                &response.headers,
                &response.framing,
                KeepAlive::Keep,
                None,
            );
            black_box(out.len())
        });
    });
}

fn chunks(criterion: &mut Criterion) {
    let chunk = [b"400\r\n", &[b'x'; 1024][..], b"\r\n"].concat();
    let body = [chunk.repeat(16), b"0\r\n\r\n".to_vec()].concat();
    criterion.bench_function("decode_16_chunks_of_1_KiB", |bencher| {
        bencher.iter_batched_ref(
            || BytesMut::from(&body[..]),
            |buffer| {
                let mut decoder = BodyDecoder::new(Framing::Chunked, &HeadLimits::default());
                while !matches!(decoder.decode(buffer), Ok(Decoded::Done)) {}
            },
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, parse, encode, chunks);
criterion_main!(benches);
