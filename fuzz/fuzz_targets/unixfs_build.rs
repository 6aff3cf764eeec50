//! Gives the fuzzer the target `unixfs_build` of `carstone_fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| carstone_fuzz::run("unixfs_build", data));
