//! Gives the fuzzer the target `unixfs_chunks` of `carstone_fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| carstone_fuzz::run("unixfs_chunks", data));
