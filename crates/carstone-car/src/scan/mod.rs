//! Reading all blocks as fast as they come: in batches, verified by several threads.

mod batch;
mod reader;
mod slice;
mod workers;

pub use reader::{CarScan, ScanOptions};
