//! One index over many CARs: where each block lies in which file, found in at most three reads.

mod builder;
mod car;
mod entries;
mod files;
mod footer;
mod index;
mod leaf;
mod merge;
mod page;
mod places;
mod segment;
mod verify;

pub use builder::MultiIndexBuilder;
pub use car::MultiCar;
pub use entries::{MultiEntries, MultiEntry};
pub use files::FileEntry;
pub use index::MultiIndex;
pub use leaf::MultiPlace;
pub use merge::MultiIndexMerge;
pub use places::MultiPlaces;
