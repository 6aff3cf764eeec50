//! What a walk tells while it goes on, and what it has done in the end.

use std::io;
use std::path::Path;

use crate::entry::EntryKind;
use crate::writer::Problem;

/// Something that happens while a tree is added.
#[derive(Debug)]
#[non_exhaustive]
pub enum WalkEvent<'a> {
    /// The tree has been walked, and packing begins.
    Total {
        /// Entries to be packed.
        entries: u64,
        /// Regular files among them.
        files: u64,
        /// Sum of their sizes in bytes; each hard link counts.
        bytes: u64,
    },
    /// An entry is on its way into the pack.
    Entry {
        /// Path in the pack.
        path: &'a [u8],
        /// What it is.
        kind: EntryKind,
        /// Size of a file in bytes, as far as it is known.
        size: u64,
    },
    /// Content is on its way into the pack.
    Content {
        /// How many bytes more.
        bytes: u64,
    },
    /// An input loses its leading `/`.
    Stripped {
        /// The input as given.
        given: &'a Path,
        /// Path in the pack.
        path: &'a [u8],
    },
    /// Something is passed over on purpose.
    Skipped {
        /// Path on disk.
        path: &'a Path,
        /// Why.
        reason: SkipReason,
    },
    /// Something could not be read, and is not in the pack.
    Unreadable {
        /// Path on disk.
        path: &'a Path,
        /// Why not.
        error: io::Error,
    },
    /// Something is wrong with an entry. What workers find is told a little later than the entry.
    Problem(Problem),
}

/// Why something is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SkipReason {
    /// It is a socket, a pipe or a device.
    Special,
    /// It is the pack that is being written.
    OwnOutput,
    /// It lies on another file system; the directory itself is packed, but nothing in it.
    OtherFileSystem,
}

/// What was added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TreeSummary {
    /// Regular files, hard links not counted.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Symlinks.
    pub symlinks: u64,
    /// Further names of files and symlinks.
    pub hard_links: u64,
    /// Sum of the files' sizes in bytes, as they were when they were added.
    pub bytes: u64,
    /// Sockets, pipes and devices that were passed over.
    pub skipped: u64,
    /// Files and directories that could not be read, as told by [`WalkEvent::Unreadable`].
    pub unreadable: u64,
    /// Problems, as told by [`WalkEvent::Problem`].
    pub problems: u64,
}

impl TreeSummary {
    /// Whether all that was asked for is in the pack, as it is on disk.
    pub fn is_complete(&self) -> bool {
        self.skipped == 0 && self.unreadable == 0 && self.problems == 0
    }
}
