//! Plain CARs that are damaged: blocks are found again by their content.

mod item;
mod salvage;
mod search;

pub use item::{CarFault, CarGap, CarItem};
pub use salvage::CarSalvage;
pub(crate) use search::is_provable;
pub use search::{BlockSearch, Judged, looks_like_header, looks_like_section};
