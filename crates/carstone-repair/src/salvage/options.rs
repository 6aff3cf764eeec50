//! How a damaged pack is read.

use carstone_layer::default_threads;

/// Settings of a [`Salvage`](super::Salvage).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SalvageOptions {
    pub(super) threads: usize,
    budget: Option<usize>,
    pub(super) has_frames: bool,
}

impl Default for SalvageOptions {
    fn default() -> Self {
        Self { threads: default_threads(), budget: None, has_frames: true }
    }
}

impl SalvageOptions {
    /// Threads that hash blocks; with 0 or 1 the caller's thread does it.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Bytes of blocks read ahead. Default 8 MiB a thread, at least 16 MiB.
    #[must_use]
    pub fn budget(mut self, bytes: usize) -> Self {
        self.budget = Some(bytes);
        self
    }

    /// Says that the stream stands in no frames, so that its bytes are proved by the hashes of blocks alone: the position layer alone is no
    /// proof.
    #[must_use]
    pub fn without_frames(mut self) -> Self {
        self.has_frames = false;
        self
    }

    pub(super) fn bytes_ahead(&self) -> usize {
        self.budget.unwrap_or_else(|| self.threads.clamp(2, 256) * (8 << 20))
    }
}
