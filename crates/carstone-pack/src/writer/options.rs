//! Settings and results of the pack writer.

use std::io;

use carstone_car::{Cid, FileOptions};
use carstone_layer::default_threads;
use carstone_unixfs::Profile;

/// Settings of a [`PackWriter`](crate::PackWriter).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PackOptions {
    pub(crate) threads: usize,
    budget: usize,
    pub(crate) profile: Profile,
    pub(crate) plain: FileOptions,
    pub(crate) wrap: bool,
    pub(crate) leaf_root: bool,
}

impl Default for PackOptions {
    fn default() -> Self {
        Self {
            threads: default_threads(),
            budget: 40 << 20,
            profile: Profile::default(),
            plain: FileOptions::v1(),
            wrap: true,
            leaf_root: false,
        }
    }
}

impl PackOptions {
    /// Threads that read and hash; with 0 or 1 the caller's thread does it.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Bytes of content in flight, and of state before it spills to a temporary file. Default 40 MiB, of which a fifth is content.
    #[must_use]
    pub fn budget(mut self, bytes: usize) -> Self {
        self.budget = bytes;
        self
    }

    /// Bytes of content that is read and hashed ahead.
    pub(crate) fn content_budget(&self) -> usize {
        self.budget / 5
    }

    /// Bytes of unfinished chunks of open entries.
    pub(crate) fn chunk_budget(&self) -> usize {
        self.budget / 5
    }

    /// Bytes of entries that wait for the manifest.
    pub(crate) fn manifest_budget(&self) -> usize {
        self.budget / 5
    }

    /// Bytes of positions that wait for the index.
    pub(crate) fn index_budget(&self) -> usize {
        self.budget / 10
    }

    /// How files are cut and directories laid out, and so all root CIDs. Default `unixfs-v1-2025`.
    ///
    /// A [`PlainWriter`](crate::PlainWriter) takes every profile, a [`PackWriter`](crate::PackWriter) those with raw leaves and CIDs
    /// of version 1.
    #[must_use]
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// What kind of CAR a [`PlainWriter`](crate::PlainWriter) writes: CARv1 by default, or a CARv2 with an index.
    #[must_use]
    pub fn plain(mut self, options: FileOptions) -> Self {
        self.plain = options;
        self
    }

    /// Whether the root of a [`PlainWriter`](crate::PlainWriter)'s CAR is a directory even where all there is is one file. Else that file is the root; with other
    /// entries there is then no root, which is an error. Default: true.
    #[must_use]
    pub fn wrap(mut self, yes: bool) -> Self {
        self.wrap = yes;
        self
    }

    /// Whether the file that is the root without [wrapping](Self::wrap) is expected to have one leaf. The header of a
    /// [`PlainWriter`](crate::PlainWriter)'s CAR then has room for the CID of a leaf, which is longer than that of a node where nodes have CIDs
    /// of version 0. Default: false.
    #[must_use]
    pub fn leaf_root(mut self, yes: bool) -> Self {
        self.leaf_root = yes;
        self
    }
}

/// Something wrong with one entry that does not stop the pack.
#[derive(Debug)]
#[non_exhaustive]
pub struct Problem {
    /// Path of the entry in the pack.
    pub path: Vec<u8>,
    /// What happened.
    pub kind: ProblemKind,
}

/// What happened to an entry.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProblemKind {
    /// It could not be read, and is not in the pack.
    Unreadable(io::Error),
    /// It changed while it was read; the pack holds what was read.
    Changed,
    /// The entry it links to is not in the pack, so it is not either.
    LostOriginal,
    /// Its extended attributes could not be read; it is in the pack without them.
    AttributesLost(io::Error),
    /// Its name is not UTF-8, which a plain CAR cannot hold; it is left out.
    NotUtf8,
}

/// What a finished pack holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// CID of the root directory.
    pub root: Cid,
    /// Entries announced.
    pub entries: u64,
    /// Content blocks, each counted once.
    pub blocks: u64,
    /// Sum of all files' sizes in bytes.
    pub size: u64,
    /// Length of the CAR stream in bytes; of a CARv2, of the CARv1 in it.
    pub stream_len: u64,
}
