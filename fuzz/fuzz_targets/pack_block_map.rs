//! Gives the fuzzer the target `pack_block_map` of `carstone_fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| carstone_fuzz::run("pack_block_map", data));
