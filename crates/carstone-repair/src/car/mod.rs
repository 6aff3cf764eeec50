//! Plain CARs that are damaged: blocks are found again by their content.

mod item;
mod salvage;
mod search;
mod stops;

pub use item::{CarFault, CarGap, CarItem};
pub use salvage::CarSalvage;
pub(crate) use search::is_provable;
pub use search::{BlockSearch, Judged, Passed};
pub use stops::Stops;
