//! Gives the fuzzer the target `hppr_urc` of `carstone_fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| carstone_fuzz::run("hppr_urc", data));
