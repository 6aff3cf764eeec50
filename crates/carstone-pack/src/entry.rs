//! What an entry of a pack is: kind, metadata, and the record that announces it.

use std::fmt;

use carstone_car::Cid;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// Another name of an entry that stands earlier.
    HardLink,
}

impl EntryKind {
    /// The number in records.
    pub(crate) fn code(self) -> u64 {
        match self {
            Self::File => 0,
            Self::Directory => 1,
            Self::Symlink => 2,
            Self::HardLink => 3,
        }
    }

    /// The kind of a number in a record.
    pub(crate) fn from_code(code: u64) -> Option<Self> {
        Some(match code {
            0 => Self::File,
            1 => Self::Directory,
            2 => Self::Symlink,
            3 => Self::HardLink,
            _ => return None,
        })
    }
}

impl fmt::Display for EntryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "file",
            Self::Directory => "directory",
            Self::Symlink => "symlink",
            Self::HardLink => "hardlink",
        })
    }
}

/// A modification time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::exhaustive_structs, reason = "a point in time has no more parts")]
pub struct Timestamp {
    /// Seconds since 1970-01-01 UTC.
    pub seconds: i64,
    /// Nanoseconds, 0–999,999,999.
    pub nanos: u32,
}

/// What is kept of a file besides its content. What is `None` is unknown, and is not restored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metadata {
    /// Permission bits, 0–0o7777.
    pub mode: Option<u32>,
    /// Modification time.
    pub mtime: Option<Timestamp>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Name of the owner.
    pub user: Option<Vec<u8>>,
    /// Name of the group.
    pub group: Option<Vec<u8>>,
    /// Extended attributes, name and value, sorted by name.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Metadata {
    /// Permission bits and modification time.
    pub fn new(mode: u32, mtime: Timestamp) -> Self {
        Self { mode: Some(mode & 0o7777), mtime: Some(mtime), ..Self::default() }
    }
}

/// An entry as its batch announces it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Announced {
    /// Number of the entry in this pack.
    pub id: u64,
    /// Where it stands.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
    /// What is known of it.
    pub metadata: Metadata,
    /// Content size in bytes, where it is known yet.
    pub size: Option<u64>,
    /// Root CID of a whole file: one raw leaf.
    pub root: Option<Cid>,
    /// Where a symlink points to; the path of the entry a hard link is another name of.
    pub target: Option<Vec<u8>>,
    /// The id of the entry a hard link is another name of.
    pub target_id: Option<u64>,
}

impl Announced {
    /// An entry without content.
    pub fn new(id: u64, path: Vec<u8>, kind: EntryKind, metadata: Metadata) -> Self {
        let (size, root, target, target_id) = (None, None, None, None);
        Self { id, path, kind, metadata, size, root, target, target_id }
    }

    /// Whether the entry's content is spread over several leaves that follow.
    pub fn is_streamed(&self) -> bool {
        self.kind == EntryKind::File && self.root.is_none()
    }
}

/// A run of leaves: from file offset `offset` on, the content is the leaf section at `position` and those that follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the format has just these two numbers")]
pub struct Run {
    /// Offset in the file, in bytes.
    pub offset: u64,
    /// Position of a section in the CAR stream.
    pub position: u64,
}

/// An entry as the manifest lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listed {
    /// Where it stands.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
    /// Number of the entry, unless only paths imply it.
    pub id: Option<u64>,
    /// Position of the batch that announced it, unless only paths imply it.
    pub record: Option<u64>,
    /// Permission bits.
    pub mode: Option<u32>,
    /// Modification time.
    pub mtime: Option<Timestamp>,
    /// Content size in bytes, for files.
    pub size: Option<u64>,
    /// Root CID of a file whose runs are too many to list.
    pub root: Option<Cid>,
    /// SHA-256 of the content, where the directory node does not tell it.
    pub sha256: Option<[u8; 32]>,
    /// Target of a symlink or hard link.
    pub target: Option<Vec<u8>>,
    /// Where the content lies; for directories and symlinks the position of their node.
    pub runs: Vec<Run>,
}
