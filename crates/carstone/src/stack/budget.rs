//! How memory is shared among the layers of a stack.

/// Bytes that frames in flight may take: what the caller says for all layers, or what keeps the threads busy.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Budget(pub(super) Option<usize>);

impl Budget {
    /// For the compression layer. By default a block of `unit` bytes for each thread, and two more.
    pub(super) fn compression(self, threads: usize, unit: u32) -> usize {
        let blocks = threads.clamp(1, MAX_THREADS) + 2;
        self.0.map_or(blocks.saturating_mul(unit as usize), |all| all / 4 * 3)
    }

    /// For the blocks that a reader keeps: a worker comes back to those of its own, and others have been decoded ahead meanwhile. By default
    /// four blocks for each thread, and four more.
    pub(super) fn cache(self, threads: usize, unit: u32) -> usize {
        let blocks = threads.clamp(1, MAX_THREADS) * 4 + 4;
        self.0.map_or(blocks.saturating_mul(unit as usize), |all| all / 4 * 3)
    }

    /// For the encryption layer.
    pub(super) fn encryption(self, threads: usize) -> usize {
        self.0.map_or((threads.clamp(1, MAX_THREADS) + 1) * (2 << 20), |all| all / 4)
    }
}

/// A pool has no more.
const MAX_THREADS: usize = 256;
