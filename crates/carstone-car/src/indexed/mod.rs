//! Blocks by their CIDs: random access through an index, stored or made.

mod car;
mod check;
mod dag;
mod find;
mod lookup;

pub use car::IndexedCar;
pub use check::IndexReport;
pub(crate) use check::compare;
