//! The fuzzer's entry to the target of this name.
#![no_main]

#[path = "../targets/field_blocks.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| target::run(bytes));
