//! Runs the fuzz targets over their corpus, and over noise that looks like HTTP.

#[path = "../../fuzz/targets/chunked.rs"]
mod chunked;
#[path = "../../fuzz/targets/request_head.rs"]
mod request_head;
#[path = "../../fuzz/targets/response_head.rs"]
mod response_head;

use std::fs;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;

fn run_corpus(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fuzz/corpus")
        .join(name);
    let mut seeds = 0;
    for entry in fs::read_dir(folder).unwrap() {
        target(&fs::read(entry.unwrap().path()).unwrap());
        seeds += 1;
    }
    assert!(seeds > 0, "no corpus for {name}");
}

#[test]
fn the_corpus_of_each_target_passes() {
    run_corpus("request_head", request_head::run);
    run_corpus("response_head", response_head::run);
    run_corpus("chunked", chunked::run);
}

/// Bytes from the words of the protocol, so that noise gets past the first check.
fn noise(words: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        9 => prop::sample::select(words).prop_map(|word| word.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 1..4),
    ];
    vec(word, 0..24).prop_map(|words| words.concat())
}

const REQUEST_WORDS: &[&str] = &[
    "GET ",
    "POST ",
    "OPTIONS ",
    "/",
    "*",
    "http://a",
    "a?b=c",
    " ",
    "\t",
    " HTTP/1.1\r\n",
    " HTTP/1.0\r\n",
    "\r\n",
    "\r\n\r\n",
    "\n",
    "\r",
    "Host: a\r\n",
    "Content-Length: 5\r\n",
    "Content-Length:",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding:",
    "chunked",
    "5",
    ",",
    ":",
    "Connection: upgrade\r\n",
    "Upgrade: x\r\n",
    "Expect: 100-continue\r\n",
    "\0",
    "x",
];

const RESPONSE_WORDS: &[&str] = &[
    "HTTP/1.1 ",
    "HTTP/1.0 ",
    "HTTP/1.1 200 OK\r\n",
    "200",
    "204",
    "304",
    "101",
    " OK",
    " ",
    "\r\n",
    "\r\n\r\n",
    "\n",
    "\r",
    "Content-Length: 5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "X: y\r\n",
    "Connection: close\r\n",
    ":",
    "gzip",
    ",",
    "\0",
    "\t",
];

const CHUNK_WORDS: &[&str] = &[
    "0",
    "1",
    "5",
    "a",
    "F",
    "\r\n",
    "\r\n\r\n",
    "0\r\n\r\n",
    "5\r\nhello\r\n",
    "1\r\nx\r\n",
    ";a=b",
    ";",
    "\n",
    "\r",
    " ",
    "X: y\r\n",
    "Host: a\r\n",
    "0\r\nX: y\r\n\r\n",
    "ffffffffffffffff",
    "hello",
];

proptest! {
    #[test]
    fn noise_passes_the_request_target(data in noise(REQUEST_WORDS)) {
        request_head::run(&data);
    }

    #[test]
    fn noise_passes_the_response_target(data in noise(RESPONSE_WORDS)) {
        response_head::run(&data);
    }

    #[test]
    fn noise_passes_the_chunked_target(data in noise(CHUNK_WORDS)) {
        chunked::run(&data);
    }
}
