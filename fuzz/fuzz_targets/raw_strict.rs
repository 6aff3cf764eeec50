//! Gives the fuzzer the target `raw_strict` of `carstone_fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| carstone_fuzz::run("raw_strict", data));
