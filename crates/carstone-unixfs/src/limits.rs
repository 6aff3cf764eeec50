//! Bounds on what reading a DAG made by someone else may cost.

/// Budgets of one walk, listing or reader.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Nodes between the root and any node (default 1024).
    pub depth: usize,
    /// Links followed or listed (default 2²⁴). A DAG can repeat a part of itself so that it has more paths
    /// than the universe has time for; this is what stops it.
    pub nodes: u64,
    /// Slots in a shard (default and at most 1024).
    pub fanout: usize,
    /// Bytes of blocks held at once, on the way from the root to the current node (default 64 MiB).
    pub memory: usize,
    /// Bytes in the path of an entry (default 64 KiB).
    pub path: usize,
}

impl Limits {
    /// Sets [`depth`](Self::depth).
    pub fn with_depth(mut self, nodes: usize) -> Self {
        self.depth = nodes;
        self
    }

    /// Sets [`nodes`](Self::nodes).
    pub fn with_nodes(mut self, links: u64) -> Self {
        self.nodes = links;
        self
    }

    /// Sets [`fanout`](Self::fanout).
    pub fn with_fanout(mut self, slots: usize) -> Self {
        self.fanout = slots;
        self
    }

    /// Sets [`memory`](Self::memory).
    pub fn with_memory(mut self, bytes: usize) -> Self {
        self.memory = bytes;
        self
    }

    /// Sets [`path`](Self::path).
    pub fn with_path(mut self, bytes: usize) -> Self {
        self.path = bytes;
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 1024, nodes: 1 << 24, fanout: 1024, memory: 64 << 20, path: 64 << 10 }
    }
}
