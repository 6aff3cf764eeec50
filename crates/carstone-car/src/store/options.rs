//! What kind of file a store writes, and how sure of it one may be.

use crate::ReaderOptions;
use crate::v2::FileOptions;

/// Options of [`CarStore`](crate::CarStore).
///
/// ```
/// use carstone_car::{FileOptions, IndexCodec, StoreOptions, SyncPolicy};
/// let file = FileOptions::v2().index(Some(IndexCodec::Sorted));
/// let options = StoreOptions::default().file(file).sync(SyncPolicy::EachPut);
/// assert_eq!(options.sync, SyncPolicy::EachPut);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreOptions {
    /// What the file will be when it is finished: a CARv2, since a CARv1 does not say whether it is.
    ///
    /// The padding before the data is also where an unfinished file is looked at; a finished one says so itself. What is said here of
    /// duplicates and of blocks of identity CIDs has no meaning: the fields below do.
    pub file: FileOptions,
    /// When what has been put is made to outlast a power cut.
    pub sync: SyncPolicy,
    /// Whether a block is the same only under the same CID, and not under each one of the same multihash (go-car: `UseWholeCIDs`).
    pub whole_cids: bool,
    /// Whether a block that is there is written again (go-car: `AllowDuplicatePuts`).
    pub duplicates: bool,
    /// Whether blocks of identity CIDs are written, although these hold their data themselves (go-car: `StoreIdentityCIDs`, which also
    /// does what [`FileOptions::index_identity`] does).
    pub identity: bool,
    /// Whether all blocks are hashed when a file is opened, those of a finished file too.
    pub hash_all: bool,
    hash_last: Option<u64>,
    cut_at_damage: bool,
}

/// When a store asks the system to put on disk what has been written.
///
/// A put is *acknowledged* when it returns: the block outlasts the end of the process in any way, at any moment, since the system has it.
/// It outlasts a power cut when it is *synced*.
///
/// What guards a finished file is synced under each of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SyncPolicy {
    /// Only when [`sync`](crate::CarStore::sync) is called. A new file that has never been synced is not when it is finished, either, so that
    /// a power cut may leave one that only says so: for files that can be made again.
    Never,
    /// With each put: what is acknowledged is synced. Of many blocks that are put together, all are synced at once.
    EachPut,
    /// When so many bytes have been written since the last time.
    EveryBytes(u64),
    /// When the file is finished: index and header are on disk when [`finalize`](crate::CarStore::finalize) returns.
    #[default]
    AtFinalize,
}

impl StoreOptions {
    /// Sets what the file will be when it is finished.
    #[must_use]
    pub fn file(mut self, file: FileOptions) -> Self {
        self.file = file;
        self
    }

    /// Sets when what has been put is made to outlast a power cut.
    #[must_use]
    pub fn sync(mut self, policy: SyncPolicy) -> Self {
        self.sync = policy;
        self
    }

    /// Sets whether a block is the same only under the same CID.
    #[must_use]
    pub fn whole_cids(mut self, yes: bool) -> Self {
        self.whole_cids = yes;
        self
    }

    /// Sets whether a block that is there is written again.
    #[must_use]
    pub fn duplicates(mut self, yes: bool) -> Self {
        self.duplicates = yes;
        self
    }

    /// Sets whether blocks of identity CIDs are written.
    #[must_use]
    pub fn identity(mut self, yes: bool) -> Self {
        self.identity = yes;
        self
    }

    /// Sets whether all blocks are hashed when a file is opened.
    #[must_use]
    pub fn hash_all(mut self, yes: bool) -> Self {
        self.hash_all = yes;
        self
    }

    /// Of an unfinished file, hashes only the sections that start in the last so many bytes, and believes the others by their heads.
    ///
    /// For files whose writer has ended without a power cut, or has [synced](crate::CarStore::sync) up to there. After a power cut a
    /// section may have its head and not its data anywhere behind what was synced.
    #[must_use]
    pub fn danger_hash_last(mut self, bytes: u64) -> Self {
        self.hash_last = Some(bytes);
        self
    }

    /// Takes a section that is damaged for the end of an unfinished file, also where sound ones follow. With the first put these are
    /// lost, or when the file is opened, if it was finished before and the first section that has been put since is damaged. Nothing is
    /// cut of what belonged to a finished file.
    ///
    /// A power cut may leave such a file: behind what was synced, later blocks can be on disk and earlier ones not.
    #[must_use]
    pub fn danger_cut_at_damage(mut self) -> Self {
        self.cut_at_damage = true;
        self
    }

    /// How the payload is read.
    pub(super) fn reader(&self) -> ReaderOptions {
        ReaderOptions::default().limits(self.file.limits).only_v1(true)
    }

    pub(super) fn cuts_at_damage(&self) -> bool {
        self.cut_at_damage
    }

    /// The offset in a payload of this length from which on sections are hashed, where nothing says that they are on disk.
    pub(super) fn hashed_from(&self, payload_len: u64) -> u64 {
        match self.hash_last {
            Some(bytes) if !self.hash_all => payload_len.saturating_sub(bytes),
            _ => 0,
        }
    }
}
