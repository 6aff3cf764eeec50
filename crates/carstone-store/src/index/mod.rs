//! Where blobs lie: an index of immutable segments, which is made from the packs and can be made from them again.

mod builder;
mod entries;
mod export;
mod format;
mod import;
mod location;
mod merge;
mod record_index;
mod record_layout;
mod records;
mod scan;
mod segment;
mod set;
mod shape;
mod sharded;
mod source;
mod traits;
mod writer;

pub use builder::SegmentBuilder;
pub use export::{RecordOptions, export_records, sharded_index};
pub use format::EntryKind;
pub use import::{Imported, import_records, import_sharded_index};
pub use location::Location;
pub use record_index::{RecordIndex, RecordLevel};
pub use record_layout::{RecordId, RecordLayout};
pub use records::{IndexRecord, RecordKind, RecordLocation};
pub use scan::IndexEntry;
pub use segment::{Found, Segment};
pub use set::{Compacted, Index};
pub(crate) use set::{MOST_LOOKS, REBUILD, SEGMENT_EXTENSION};
pub use shape::SegmentShape;
pub use sharded::ShardedDagIndex;
pub use source::{Fetch, SourceReader};
pub use traits::{IndexReader, IndexWriter, SegmentIndexWriter, Source, index_written};
