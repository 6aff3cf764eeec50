//! Gives the fuzzer the target `position_strict` of `carstone_fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| carstone_fuzz::run("position_strict", data));
