//! Indexes: where the block of a hash lies. Made in bounded memory, searched where they are stored.

mod builder;
mod codec;
#[cfg(feature = "fs")]
mod entries;
mod runs;
#[cfg(feature = "fs")]
mod search;
#[cfg(feature = "fs")]
mod spill;
#[cfg(not(feature = "fs"))]
#[path = "no_spill.rs"]
mod spill;
#[cfg(feature = "fs")]
mod table;

pub(crate) use builder::DEFAULT_BUDGET;
pub use builder::{IndexBuilder, SortedIndex};
pub use codec::IndexCodec;
#[cfg(feature = "fs")]
pub use entries::{IndexEntries, IndexEntry};
#[cfg(feature = "fs")]
pub(crate) use runs::{RECORD_HEAD, Runs};
#[cfg(feature = "fs")]
pub(crate) use search::offsets_in;
#[cfg(feature = "fs")]
pub use search::{Index, Offsets};
#[cfg(feature = "fs")]
pub(crate) use spill::{Records, merge};
#[cfg(feature = "fs")]
pub(crate) use table::Table;
