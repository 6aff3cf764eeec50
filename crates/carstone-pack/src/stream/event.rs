//! What a pack stream tells.

use std::ops::Range;

use carstone_car::Cid;

use crate::entry::Announced;
use crate::record::Tail;

/// Something that a pack tells, in the order of its stream.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// An entry is announced. Directories, symlinks and hard links are complete with this.
    Entry(Announced),
    /// A leaf: each stands in the stream once.
    Leaf {
        /// Its CID.
        cid: Cid,
        /// Its bytes, which hash to the CID.
        data: Vec<u8>,
        /// Where it is content, as far as is known by now.
        uses: Vec<Use>,
    },
    /// Content that equals a leaf given before.
    Reuse {
        /// The entry.
        id: u64,
        /// Offset in its content, in bytes.
        offset: u64,
        /// The earlier leaf.
        cid: Cid,
        /// Its length in bytes, where it is stated.
        len: Option<u64>,
    },
    /// The beginning of a leaf whose end is missing, in a damaged pack. No hash proves it, so it makes no file whole, and [`Event::Incomplete`] counts
    /// its bytes as missing.
    Part {
        /// The bytes.
        data: Vec<u8>,
        /// So many of them, from the first, stood in whole frames of the layers below, which prove that they are what was written.
        proved: usize,
        /// Where they are content.
        uses: Vec<Use>,
    },
    /// All content of a file has been given.
    End {
        /// The entry.
        id: u64,
        /// Its size in bytes.
        size: u64,
        /// SHA-256 of the whole content. A file of several leaves is to be compared with it. `None` for a file of a damaged pack of which
        /// nothing is left that states it: its root CID proves it, by links to all of its leaves.
        sha256: Option<[u8; 32]>,
        /// The source changed while it was packed.
        changed: bool,
    },
    /// A file of a damaged pack for which nothing more will come.
    Incomplete {
        /// The entry.
        id: u64,
        /// Its size in bytes, where it is known.
        size: Option<u64>,
        /// The bytes that no block proves, in order; of a file of unknown size only what lies before the last byte that came.
        missing: Vec<Range<u64>>,
    },
    /// The entry was given up while it was packed; what came of it does not count.
    Abandoned {
        /// The entry.
        id: u64,
    },
    /// The last section of the pack.
    Tail(Tail),
}

/// A place where a leaf is content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a place is just these two")]
pub struct Use {
    /// The entry.
    pub id: u64,
    /// Offset in its content, in bytes.
    pub offset: u64,
}
