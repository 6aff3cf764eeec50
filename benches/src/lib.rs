//! Throughput benchmarks of the carstone layers.
