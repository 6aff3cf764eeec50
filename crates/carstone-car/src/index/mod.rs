//! Indexes: where the block of a hash lies. Made in bounded memory, searched where they are stored.

mod builder;
mod codec;
mod entries;
mod runs;
mod search;
mod table;

pub(crate) use builder::DEFAULT_BUDGET;
pub use builder::{IndexBuilder, SortedIndex};
pub use codec::IndexCodec;
pub use entries::{IndexEntries, IndexEntry};
pub(crate) use runs::{RECORD_HEAD, Records, Runs, merge};
pub(crate) use search::offsets_in;
pub use search::{Index, Offsets};
pub(crate) use table::Table;
