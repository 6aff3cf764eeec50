//! Packs: made of blobs, kept, and read again.

mod blob;
mod shard;
mod store;
mod writer;

pub use blob::Blob;
pub use store::{ObjectPackStore, PackStore, StoredPack};
pub use writer::{BlobPlace, PackWriter, PackWriterOptions, PackWritten, Put, Written};
