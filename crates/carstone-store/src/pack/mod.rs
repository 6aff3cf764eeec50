//! Packs: made of blobs, kept, and read again.

mod blob;
mod known;
mod shard;
mod store;
mod writer;

pub use blob::Blob;
pub use store::{ObjectPackStore, PackStore, StoredPack};
pub use writer::{BlobPlace, Dedupe, PackWriter, PackWriterOptions, PackWritten, Put, Written};
