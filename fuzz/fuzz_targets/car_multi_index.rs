//! Gives the fuzzer the target `car_multi_index` of `carstone_fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| carstone_fuzz::run("car_multi_index", data));
