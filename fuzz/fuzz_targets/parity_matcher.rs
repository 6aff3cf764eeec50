//! Gives the fuzzer the target `parity_matcher` of `carstone_fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| carstone_fuzz::run("parity_matcher", data));
