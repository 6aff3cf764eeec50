//! Plain CARs: the same DAG as a pack, without records, for tools that know nothing of packs.

mod settle;
mod writer;

pub use writer::PlainWriter;
