//! Where blobs lie: an index of immutable segments, which is made from the packs and can be made from them again.

mod builder;
mod format;
mod location;
mod merge;
mod records;
mod segment;
mod set;
mod writer;

pub use builder::SegmentBuilder;
pub use format::EntryKind;
pub use location::Location;
pub use records::{IndexRecord, RecordKind, RecordLocation};
pub use segment::{Found, Segment};
pub use set::{Compacted, Index};
