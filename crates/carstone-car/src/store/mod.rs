//! A read-write blockstore over one CARv2 file, which outlasts crashes.

mod car_store;
mod create;
mod disk;
mod end;
mod file_disk;
mod journal;
mod open;
mod options;
mod places;
mod scan;
mod tail;
#[cfg(test)]
mod tests;
mod window;
mod writer;

pub use car_store::CarStore;
pub use options::{StoreOptions, SyncPolicy};
