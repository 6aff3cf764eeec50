//! Gives the fuzzer the target `encrypt_fail_safe` of `carstone_fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| carstone_fuzz::run("encrypt_fail_safe", data));
