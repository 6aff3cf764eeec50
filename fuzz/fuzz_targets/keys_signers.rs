//! Gives the fuzzer the target `keys_signers` of `carstone_fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| carstone_fuzz::run("keys_signers", data));
