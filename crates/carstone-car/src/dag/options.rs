//! What a walk may use up, and how it goes.

use super::selector::Selector;

/// Budgets for the bytes of one block, or for the text of a selector. What is read is never allocated on the word of a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeLimits {
    /// Links in a block. Default: 1,048,576.
    pub links: usize,
    /// Values in a block: maps, lists, links and all that is in them. Default: 16,777,216.
    pub values: usize,
    /// Values inside of each other. Default: 1024.
    pub nesting: usize,
}

impl NodeLimits {
    /// Sets the most links in a block.
    #[must_use]
    pub fn links(mut self, count: usize) -> Self {
        self.links = count;
        self
    }

    /// Sets the most values in a block.
    #[must_use]
    pub fn values(mut self, count: usize) -> Self {
        self.values = count;
        self
    }

    /// Sets the most values inside of each other.
    #[must_use]
    pub fn nesting(mut self, count: usize) -> Self {
        self.nesting = count;
        self
    }
}

impl Default for NodeLimits {
    fn default() -> Self {
        NodeLimits { links: 1 << 20, values: 1 << 24, nesting: 1 << 10 }
    }
}

/// Budgets of a whole walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WalkLimits {
    /// Blocks visited, each time that one is visited. Default: none but `u64::MAX`. A DAG can repeat a part of itself so that it has more
    /// paths than there is time for; without [duplicates](WalkOptions::duplicates) that costs nothing, with them this stops it.
    pub blocks: u64,
    /// Bytes of the blocks visited. Default: `u64::MAX`.
    pub bytes: u64,
    /// Blocks on the way from a root to any block, the root not counted. Default: 1,048,576.
    pub depth: usize,
    /// Links of the blocks on the way that wait to be followed, of about 100 bytes each. Default: 1,048,576.
    pub waiting: usize,
    /// CIDs that are remembered, of about 50 bytes each. Default: 16,777,216.
    pub seen: usize,
    /// Budgets for each block.
    pub node: NodeLimits,
}

impl WalkLimits {
    /// Sets the most blocks.
    #[must_use]
    pub fn blocks(mut self, count: u64) -> Self {
        self.blocks = count;
        self
    }

    /// Sets the most bytes of blocks.
    #[must_use]
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }

    /// Sets the most blocks on the way from a root.
    #[must_use]
    pub fn depth(mut self, count: usize) -> Self {
        self.depth = count;
        self
    }

    /// Sets the most links that wait.
    #[must_use]
    pub fn waiting(mut self, count: usize) -> Self {
        self.waiting = count;
        self
    }

    /// Sets the most CIDs that are remembered.
    #[must_use]
    pub fn seen(mut self, count: usize) -> Self {
        self.seen = count;
        self
    }

    /// Sets the budgets for each block.
    #[must_use]
    pub fn node(mut self, limits: NodeLimits) -> Self {
        self.node = limits;
        self
    }
}

impl Default for WalkLimits {
    fn default() -> Self {
        WalkLimits {
            blocks: u64::MAX,
            bytes: u64::MAX,
            depth: 1 << 20,
            waiting: 1 << 20,
            seen: 1 << 24,
            node: NodeLimits::default(),
        }
    }
}

/// How a [`Walk`](super::Walk) goes. Counterpart of the traversal options of go-car (`MaxTraversalLinks`, `AllowDuplicatePuts`).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct WalkOptions {
    /// What it may use up.
    pub limits: WalkLimits,
    /// Whether a block is visited each time that it is linked (`dups=y` of the trustless gateway), instead of the first time only (`dups=n`).
    pub duplicates: bool,
    /// Whether a block of a codec that is not known counts as one without links, instead of being an error.
    pub unknown_is_leaf: bool,
    /// Whether the data of raw blocks is left where it is, and only its length asked for.
    pub leave_leaves: bool,
    /// Which links are followed. `None`: all.
    pub selector: Option<Selector>,
}

impl WalkOptions {
    /// Sets what the walk may use up.
    #[must_use]
    pub fn limits(mut self, limits: WalkLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets whether a block is visited each time that it is linked.
    #[must_use]
    pub fn duplicates(mut self, yes: bool) -> Self {
        self.duplicates = yes;
        self
    }

    /// Sets whether a block of a codec that is not known counts as one without links.
    #[must_use]
    pub fn unknown_is_leaf(mut self, yes: bool) -> Self {
        self.unknown_is_leaf = yes;
        self
    }

    /// Sets whether the data of raw blocks is left where it is.
    #[must_use]
    pub fn leave_leaves(mut self, yes: bool) -> Self {
        self.leave_leaves = yes;
        self
    }

    /// Sets which links are followed.
    #[must_use]
    pub fn selector(mut self, selector: Selector) -> Self {
        self.selector = Some(selector);
        self
    }
}
