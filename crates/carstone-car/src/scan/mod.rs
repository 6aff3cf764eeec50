//! Going over all blocks as fast as they come: in batches, verified by several threads, or without their data, from several places at once.

mod batch;
mod places;
mod reader;
mod slice;
mod sources;
mod workers;

pub use places::scan_sections;
pub use reader::{CarScan, ScanOptions};
