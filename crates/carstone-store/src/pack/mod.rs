//! Packs: made of blobs, kept, and read again.

mod blob;
mod keep;
mod known;
mod layers;
mod shard;
mod store;
mod writer;

pub use blob::Blob;
pub(crate) use layers::LayeredPacks;
pub use layers::{PackCar, PackLayers};
pub use store::{ObjectPackStore, PackStore, StoredPack};
pub use writer::{BlobPlace, Dedupe, PackWriter, PackWriterOptions, PackWritten, Put, Written};
