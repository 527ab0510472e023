//! The fuzzer's entry to the target of this name.
#![no_main]

#[path = "../targets/compiled.rs"]
mod compiled;
#[path = "../targets/head_decision.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|data: &[u8]| target::run(data));
