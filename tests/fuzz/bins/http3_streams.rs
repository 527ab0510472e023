//! The fuzzer's entry to the target of this name.
#![no_main]

#[path = "../targets/http3_streams.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| target::run(bytes));
