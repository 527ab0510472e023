//! Runs the fuzz targets for texts and tokens over their corpus, and over noise that looks like
//! them.

#[path = "../fuzz/targets/admin_body.rs"]
mod admin_body;
#[path = "../fuzz/targets/compiled.rs"]
mod compiled;
#[path = "../fuzz/targets/config_text.rs"]
mod config_text;
#[path = "../fuzz/targets/head_decision.rs"]
mod head_decision;
#[path = "../fuzz/targets/proxy_header.rs"]
mod proxy_header;
#[path = "../fuzz/targets/session_token.rs"]
mod session_token;
#[path = "../fuzz/targets/version_requirement.rs"]
mod version_requirement;

use std::fs;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;

/// Runs a target over each file of its corpus.
pub(crate) fn run_corpus(name: &str, target: fn(&[u8])) {
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
    run_corpus("config_text", config_text::run);
    run_corpus("proxy_header", proxy_header::run);
    run_corpus("session_token", session_token::run);
    run_corpus("head_decision", head_decision::run);
    run_corpus("version_requirement", version_requirement::run);
    run_corpus("admin_body", admin_body::run);
}

/// Bytes from the words of a language, so that noise gets past the first check.
pub(crate) fn noise(words: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        9 => prop::sample::select(words).prop_map(|word| word.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 1..4),
    ];
    vec(word, 0..24).prop_map(|words| words.concat())
}

const CONFIG_WORDS: &[&str] = &[
    "[listeners.web]\n",
    "address = \"127.0.0.1:0\"\n",
    "[routes.all]\n",
    "[pools.app]\n",
    "pool = \"app\"\n",
    "endpoints = [\"127.0.0.1:1\"]\n",
    "version = \"^1.2\"\n",
    "version = \">=1, <\"\n",
    "hedge = { after = \"p95\", max = 9 }\n",
    "rate_limit = { rate = \"1/s\" }\n",
    "rate_limit = [{ rate = \"0/s\" }]\n",
    "concurrency = [{ max = 1 }, { max = 2 }]\n",
    "retry_budget = { ratio = \"0%\" }\n",
    "path = \"/a\"\n",
    "hosts = [\"*.a\"]\n",
    "[",
    "]",
    "{",
    "}",
    " = ",
    "\"",
    ",",
    "\n",
    "#",
    "é",
    "false",
    "-1",
    "1e999",
];

const HEADER_WORDS: &[&str] = &[
    "PROXY ",
    "TCP4 ",
    "TCP6 ",
    "UNKNOWN",
    "192.0.2.1 ",
    "192.0.2.2 ",
    "2001:db8::1 ",
    "::ffff:192.0.2.1 ",
    "65535 ",
    "443",
    "\r\n",
    "\r\n\r\n\0\r\nQUIT\n",
    "\x21\x11\0\x0c",
    "\x20\0\0\0",
    "\x21\x21\0\x24",
    "abcdefghijkl",
    " ",
];

const TOKEN_WORDS: &[&str] = &[
    "AAAA",
    "AAAAAAAAAAAAAAAAAAAAAAAA",
    "=",
    "-_",
    "+/",
    "z",
    "0",
];

const HEAD_WORDS: &[&str] = &[
    "GET ",
    "PURGE ",
    "/orders",
    "/a%20b",
    "/items/1",
    "%2e",
    "%2F",
    "..",
    "//",
    "?lang=de",
    "&a+b=",
    "http://shop.example",
    " HTTP/1.1\r\nHost: a.shop.example\r\n",
    " HTTP/1.1\r\nHost: a\r\n",
    "x-tenant: acme\r\n",
    "x-beta: 1\r\nx-debug: a\r\n",
    "Cookie: beta=1\r\n",
    "Cookie: ",
    ";",
    "=",
    "\r\n\r\n",
];

const REQUIREMENT_WORDS: &[&str] = &[
    "^",
    "~",
    "=",
    ">",
    "<",
    ">=",
    "*",
    ",",
    " ",
    ".",
    "-",
    "+",
    "\n",
    "0",
    "1",
    "2",
    "2.0.0-rc.1",
    "1.4.2",
    "rc.1",
    "x",
    "||",
    "18446744073709551615",
];

const BODY_WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\"url\":",
    "\"/orders\"",
    "\"http://shop.example/\"",
    "\"method\":\"GET\"",
    "\"headers\":",
    "[\"cookie\",\"beta=1\"]",
    "{\"x-tenant\":\"acme\"}",
    "\"listener\":\"other\"",
    "\"source\":\"::1\"",
    "\"client_certificate\":",
    "\"timeout_ms\":",
    "null",
    "-1",
    "\\u0000",
];

proptest! {
    #[test]
    fn noise_passes_the_decision_target(data in noise(HEAD_WORDS)) {
        head_decision::run(&data);
    }

    #[test]
    fn noise_passes_the_requirement_target(data in noise(REQUIREMENT_WORDS)) {
        version_requirement::run(&data);
    }

    #[test]
    fn noise_passes_the_admin_target(data in noise(BODY_WORDS)) {
        admin_body::run(&data);
    }

    #[test]
    fn noise_passes_the_configuration_target(data in noise(CONFIG_WORDS)) {
        config_text::run(&data);
    }

    #[test]
    fn noise_passes_the_proxy_header_target(data in noise(HEADER_WORDS)) {
        proxy_header::run(&data);
    }

    #[test]
    fn noise_passes_the_session_target(data in noise(TOKEN_WORDS)) {
        session_token::run(&data);
    }
}
