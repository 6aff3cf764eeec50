//! How blocks are streamed.

use crate::name::Hash;

/// How the blocks of a DAG are streamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamOptions {
    /// Whether a block to which several link comes once. Default: yes. A file whose content is wanted needs it as often as it has it.
    pub unique: bool,
    /// Bytes that are read ahead, about. Default: 8 MiB.
    pub ahead: u64,
    /// In which order blocks come. Default: that of the DAG.
    pub order: Order,
    /// The root whose packs are read before others that have the same blocks: that of a DAG of which this one is a part. Default: the root of the stream.
    pub containing: Option<Hash>,
}

/// The order of blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Order {
    /// Depth first, parents before their children.
    #[default]
    Dag,
    /// As they lie in packs, each once, so that a pack is read from front to back. All nodes are read first, and the places of all blocks are in memory,
    /// about 200 bytes each.
    Location,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self { unique: true, ahead: 8 << 20, order: Order::Dag, containing: None }
    }
}

impl StreamOptions {
    /// Sets whether a block to which several link comes once.
    #[must_use]
    pub fn unique(mut self, yes: bool) -> Self {
        self.unique = yes;
        self
    }

    /// Sets how many bytes are read ahead.
    #[must_use]
    pub fn ahead(mut self, bytes: u64) -> Self {
        self.ahead = bytes;
        self
    }

    /// Sets the order of blocks.
    #[must_use]
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// Sets the root whose packs are read before others.
    #[must_use]
    pub fn containing(mut self, root: Option<Hash>) -> Self {
        self.containing = root;
        self
    }
}
