//! What can be chosen when a stream is written, read or salvaged.

use carstone_layer::{Corrections, LayerList, PackId, default_threads};

use crate::{Backend, LayerHeader, slot};

/// Choices for [`EncryptWriter`](crate::EncryptWriter). The defaults are for a stream used alone.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct EncryptOptions {
    pub(crate) pack_id: Option<PackId>,
    pub(crate) layers: Option<LayerList>,
    pub(crate) container: Vec<u8>,
    pub(crate) envelope: Vec<u8>,
    pub(crate) work: Work,
}

impl EncryptOptions {
    /// The pack that the stream belongs to. Default: random.
    ///
    /// The same id with the same content key gives the same nonces: never write two streams with both equal.
    #[must_use]
    pub fn pack_id(mut self, pack: PackId) -> Self {
        self.pack_id = Some(pack);
        self
    }

    /// All layers of the pack, outermost first; the key is bound to them. Default: this layer alone.
    #[must_use]
    pub fn layers(mut self, layers: LayerList) -> Self {
        self.layers = Some(layers);
        self
    }

    /// The 256 bytes of the container header, which anchors repeat. Default: none.
    #[must_use]
    pub fn container(mut self, container: Vec<u8>) -> Self {
        self.container = container;
        self
    }

    /// The key envelope, at most [`MAX_ENVELOPE`](crate::MAX_ENVELOPE) bytes. Default: empty.
    #[must_use]
    pub fn envelope(mut self, envelope: Vec<u8>) -> Self {
        self.envelope = envelope;
        self
    }

    /// Threads that encrypt; with 1 the caller's does. Default: as many as the system runs at once. The bytes are the same.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.work.threads = threads;
        self
    }

    /// Bytes of frames in flight, at least one frame. Default: 64 MiB, of which a few MiB are used.
    #[must_use]
    pub fn budget(mut self, bytes: usize) -> Self {
        self.work.budget = bytes;
        self
    }

    /// The library that encrypts. Default: the fastest that is compiled in.
    #[must_use]
    pub fn backend(mut self, backend: Backend) -> Self {
        self.work.backend = backend;
        self
    }
}

/// Choices for [`EncryptReader`](crate::EncryptReader).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ReadOptions {
    pub(crate) pack_id: Option<PackId>,
    pub(crate) layers: Option<LayerList>,
    pub(crate) cache: Option<usize>,
    pub(crate) corrections: Option<Corrections>,
    pub(crate) work: Work,
}

impl ReadOptions {
    /// The pack that the stream must belong to. Default: any.
    #[must_use]
    pub fn pack_id(mut self, pack: PackId) -> Self {
        self.pack_id = Some(pack);
        self
    }

    /// All layers of the pack, outermost first, as the container states them. Default: this layer alone.
    #[must_use]
    pub fn layers(mut self, layers: LayerList) -> Self {
        self.layers = Some(layers);
        self
    }

    /// Where the reader tells what it puts right. Default: nowhere, and any damage is an error.
    #[must_use]
    pub fn corrections(mut self, corrections: Option<Corrections>) -> Self {
        self.corrections = corrections;
        self
    }

    /// Bytes of decrypted frames that each reader keeps, at least the ones just read. Default: 2 MiB.
    #[must_use]
    pub fn cache(mut self, bytes: usize) -> Self {
        self.cache = Some(bytes);
        self
    }

    /// Threads that decrypt large and sequential reads; with 1 the caller's does. Default: as many as the system runs at once.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.work.threads = threads;
        self
    }

    /// Bytes of frames in flight, at least one frame. Default: 64 MiB, of which a few MiB are used.
    #[must_use]
    pub fn budget(mut self, bytes: usize) -> Self {
        self.work.budget = bytes;
        self
    }

    /// The library that decrypts. Default: the fastest that is compiled in.
    #[must_use]
    pub fn backend(mut self, backend: Backend) -> Self {
        self.work.backend = backend;
        self
    }
}

/// Choices for [`EncryptFailSafe`](crate::EncryptFailSafe).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct FailSafeOptions {
    pub(crate) pack_id: Option<PackId>,
    pub(crate) layers: Option<LayerList>,
    pub(crate) layer_header: Option<LayerHeader>,
    pub(crate) work: Work,
}

impl FailSafeOptions {
    /// The pack whose frames count. Default: the pack of the first good frame.
    #[must_use]
    pub fn pack_id(mut self, pack: PackId) -> Self {
        self.pack_id = Some(pack);
        self
    }

    /// All layers of the pack, outermost first, as the container states them. Default: this layer alone.
    #[must_use]
    pub fn layers(mut self, layers: LayerList) -> Self {
        self.layers = Some(layers);
        self
    }

    /// The layer header, found elsewhere ([`LayerHeader::read_at`]): frames then count although the copy at the front is lost.
    #[must_use]
    pub fn layer_header(mut self, header: LayerHeader) -> Self {
        self.layer_header = Some(header);
        self
    }

    /// Threads that decrypt; with 1 the caller's does. Default: as many as the system runs at once.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.work.threads = threads;
        self
    }

    /// Bytes of frames in flight, at least one frame. Default: 64 MiB, of which a few MiB are used.
    #[must_use]
    pub fn budget(mut self, bytes: usize) -> Self {
        self.work.budget = bytes;
        self
    }

    /// The library that decrypts. Default: the fastest that is compiled in.
    #[must_use]
    pub fn backend(mut self, backend: Backend) -> Self {
        self.work.backend = backend;
        self
    }
}

/// How the work on frames is done.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    pub threads: usize,
    pub budget: usize,
    pub backend: Backend,
}

impl Work {
    /// Splits the budget: how many batches of at most `most` units of `unit` bytes are in flight, and how many units
    /// each has. More than a few batches for each thread gain nothing and only push each other out of the caches.
    pub(crate) fn split(&self, unit: usize, most: usize) -> (usize, usize) {
        let batches = self.threads.max(1).saturating_mul(2).saturating_add(1);
        let units = (self.budget / unit / batches).clamp(1, most);
        ((self.budget / unit / units).clamp(1, batches), units)
    }
}

impl Default for Work {
    fn default() -> Self {
        Self { threads: default_threads(), budget: BUDGET, backend: Backend::Auto }
    }
}

/// The layers that the key is bound to where none are given.
pub(crate) fn layers_or_alone(layers: Option<LayerList>) -> LayerList {
    layers.unwrap_or_else(|| LayerList::single(slot()))
}

const BUDGET: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_bounds_batches_and_their_size() {
        let split =
            |threads, budget| Work { threads, budget, backend: Backend::Auto }.split(100, 8);
        assert_eq!(split(1, 1 << 20), (3, 8));
        assert_eq!(split(2, 1 << 20), (5, 8));
        assert_eq!(split(2, 1000), (5, 2));
        assert_eq!(split(2, 300), (3, 1));
        assert_eq!(split(2, 0), (1, 1));
    }
}
