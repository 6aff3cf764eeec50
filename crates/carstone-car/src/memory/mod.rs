//! A CAR in memory whose blocks are found by their CIDs.

mod car;
mod places;

pub use car::MemoryCar;
