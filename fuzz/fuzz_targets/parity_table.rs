//! Gives the fuzzer the target `parity_table` of `carstone_fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| carstone_fuzz::run("parity_table", data));
