//! Gives the fuzzer the target `extract_packs` of `carstone_fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| carstone_fuzz::run("extract_packs", data));
