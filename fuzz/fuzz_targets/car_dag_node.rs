//! Gives the fuzzer the target `car_dag_node` of `carstone_fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| carstone_fuzz::run("car_dag_node", data));
