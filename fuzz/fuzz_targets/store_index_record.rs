//! Gives the fuzzer the target `store_index_record` of `carstone_fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| carstone_fuzz::run("store_index_record", data));
