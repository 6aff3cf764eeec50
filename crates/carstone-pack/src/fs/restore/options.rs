//! Settings of a restoration, and what it tells.

use super::error::RestoreError;
use crate::entry::EntryKind;
use crate::error::Error;

/// What happens to what stands under an entry's name already.
///
/// A directory is always kept where a directory is to be, and gets the metadata of the entry; one that is not empty is never replaced by
/// something else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overwrite {
    /// It stays, and the entry is skipped.
    #[default]
    Never,
    /// Files, symlinks and empty directories are replaced.
    Always,
    /// As `Always`, but only by an entry with a later modification time.
    IfNewer,
}

/// Settings of a [`Restorer`](super::Restorer).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RestoreOptions {
    pub(super) overwrite: Overwrite,
    pub(super) same_permissions: bool,
    pub(super) same_owner: bool,
    pub(super) strip: usize,
    pub(super) sync: bool,
}

impl RestoreOptions {
    /// What happens to what is there already. Default [`Overwrite::Never`].
    #[must_use]
    pub fn overwrite(mut self, overwrite: Overwrite) -> Self {
        self.overwrite = overwrite;
        self
    }

    /// Whether modes are restored exactly. Else the process's umask applies, and set-user-id, set-group-id and sticky bits are dropped.
    #[must_use]
    pub fn same_permissions(mut self, yes: bool) -> Self {
        self.same_permissions = yes;
        self
    }

    /// Whether owner and group are restored, by number.
    #[must_use]
    pub fn same_owner(mut self, yes: bool) -> Self {
        self.same_owner = yes;
        self
    }

    /// How many leading components are cut off every path. Entries with no more than that are skipped.
    #[must_use]
    pub fn strip_components(mut self, components: usize) -> Self {
        self.strip = components;
        self
    }

    /// Whether each file is on the disk before it gets its name.
    #[must_use]
    pub fn sync(mut self, yes: bool) -> Self {
        self.sync = yes;
        self
    }
}

/// What happened to an entry. Paths are those in the pack.
#[derive(Debug)]
#[non_exhaustive]
pub enum RestoreEvent {
    /// It is there, complete.
    Restored {
        /// Path in the pack.
        path: Vec<u8>,
        /// What it is.
        kind: EntryKind,
        /// Bytes of content, 0 for what has none.
        size: u64,
    },
    /// It was left out.
    Skipped {
        /// Path in the pack.
        path: Vec<u8>,
        /// Why.
        why: Skip,
    },
    /// Something failed. When [`RestoreError::is_metadata`] the entry is there all the same, and has an event of its own.
    Problem {
        /// Path in the pack.
        path: Vec<u8>,
        /// What failed.
        error: RestoreError,
    },
    /// The manifest is damaged: entries are taken from elsewhere, in the order in which they come there.
    Unlisted {
        /// What is wrong with it.
        error: Error,
    },
    /// Content was worked through, of entries whose end is still to come too.
    Progress {
        /// How many bytes.
        bytes: u64,
    },
}

/// Why an entry was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Skip {
    /// Something stands under its name.
    Exists,
    /// What stands under its name is as new or newer.
    NotNewer,
    /// Nothing of its path is left after cutting off leading components.
    Stripped,
}

/// Hears what happens to each entry.
pub type RestoreObserver<'a> = dyn FnMut(RestoreEvent) + 'a;
