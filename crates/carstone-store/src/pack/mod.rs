//! Packs: made of blobs, kept, and read again.

mod blob;
mod keep;
mod known;
mod layers;
mod manifest;
mod options;
mod shard;
mod store;
mod writer;

pub use blob::Blob;
pub(crate) use layers::LayeredPacks;
pub use layers::{PackCar, PackLayers};
pub use manifest::PackManifest;
pub use options::{Dedupe, PackWriterOptions};
pub use store::{ObjectPackStore, PackStore, StoredPack};
pub use writer::{BlobPlace, PackWriter, PackWritten, Put, Written};
