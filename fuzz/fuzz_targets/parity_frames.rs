//! Gives the fuzzer the target `parity_frames` of `carstone_fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| carstone_fuzz::run("parity_frames", data));
