//! Packs: made of blobs, kept, and read again.

mod blob;
mod keep;
mod known;
mod layers;
mod manifest;
mod options;
#[cfg(feature = "parity")]
pub(crate) mod parity;
mod shard;
mod sidecar;
mod store;
mod writer;

pub use blob::Blob;
pub(crate) use layers::LayeredPacks;
pub use layers::{PackCar, PackLayers};
pub use manifest::PackManifest;
pub use options::{Dedupe, PackWriterOptions};
pub use sidecar::Sidecars;
pub(crate) use sidecar::layout_of as sidecar_layout;
pub use store::{ObjectPackStore, PackStore, StoredPack};
pub use writer::{BlobPlace, PackWriter, PackWritten, Put, Written};
