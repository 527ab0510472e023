//! Runs the fuzz targets over their corpus, and over noise that looks like HTTP.

#[path = "../../fuzz/targets/chunked.rs"]
mod chunked;
#[path = "../../fuzz/targets/request_head.rs"]
mod request_head;
#[path = "../../fuzz/targets/response_head.rs"]
mod response_head;

use proptest::prelude::*;

use crate::fuzz::{noise, run_corpus};

#[test]
fn the_corpus_of_each_target_passes() {
    run_corpus("request_head", request_head::run);
    run_corpus("response_head", response_head::run);
    run_corpus("chunked", chunked::run);
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
