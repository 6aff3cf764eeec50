//! Gives the fuzzer the target `encrypt_header` of `carstone_fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| carstone_fuzz::run("encrypt_header", data));
