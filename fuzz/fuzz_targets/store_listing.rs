//! Gives the fuzzer the target `store_listing` of `carstone_fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| carstone_fuzz::run("store_listing", data));
