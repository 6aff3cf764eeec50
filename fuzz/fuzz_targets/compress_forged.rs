//! Gives the fuzzer the target `compress_forged` of `carstone_fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| carstone_fuzz::run("compress_forged", data));
