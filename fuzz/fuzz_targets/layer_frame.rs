//! Gives the fuzzer the target `layer_frame` of `carstone_fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| carstone_fuzz::run("layer_frame", data));
