//! Gives the fuzzer the target `stack_carve` of `carstone_fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| carstone_fuzz::run("stack_carve", data));
