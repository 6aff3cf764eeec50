//! What decides the shape of a DAG, and so its root CID.

use crate::error::{Error, ErrorKind};
use crate::hamt::Fanout;

/// How files are cut and directories laid out: equal content under an equal profile has an equal CID.
///
/// ```
/// let profile = carstone_unixfs::Profile::unixfs_v1_2025();
/// assert_eq!((profile.chunk_size(), profile.width()), (1 << 20, 1024));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Profile {
    chunk_size: usize,
    width: usize,
    shard_threshold: usize,
    fanout: Fanout,
}

impl Profile {
    /// The published profile `unixfs-v1-2025`: chunks of 1 MiB, raw leaves, balanced trees of width 1024,
    /// CIDv1 with SHA-256, directories sharded 256 ways once their node passes 256 KiB.
    pub fn unixfs_v1_2025() -> Self {
        Self { chunk_size: 1 << 20, width: 1024, shard_threshold: 256 << 10, fanout: Fanout::F256 }
    }

    /// Bytes in a leaf; only the last leaf of a file may be shorter.
    pub fn chunk_size(&self) -> usize {
        self.chunk_size
    }

    /// Links in a full inner node of a file.
    pub fn width(&self) -> usize {
        self.width
    }

    /// A directory is sharded when its plain node would have more bytes than this.
    pub fn shard_threshold(&self) -> usize {
        self.shard_threshold
    }

    /// Slots in a shard of a sharded directory.
    pub fn fanout(&self) -> usize {
        self.fanout.slots()
    }

    /// Another chunk size, at least 1. The result is no longer a published profile.
    pub fn with_chunk_size(mut self, bytes: usize) -> Self {
        self.chunk_size = bytes.max(1);
        self
    }

    /// Another width, at least 2. The result is no longer a published profile.
    pub fn with_width(mut self, links: usize) -> Self {
        self.width = links.max(2);
        self
    }

    /// Another threshold in bytes. The result is no longer a published profile.
    pub fn with_shard_threshold(mut self, bytes: usize) -> Self {
        self.shard_threshold = bytes;
        self
    }

    /// Another fanout: a power of two from 8 to 1024, else [`ErrorKind::BadFanout`].
    pub fn with_fanout(mut self, slots: usize) -> Result<Self, Error> {
        let slots = u64::try_from(slots).unwrap_or(u64::MAX);
        self.fanout = Fanout::new(slots).ok_or_else(|| Error::new(ErrorKind::BadFanout(slots)))?;
        Ok(self)
    }

    pub(crate) fn shard_fanout(&self) -> Fanout {
        self.fanout
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self::unixfs_v1_2025()
    }
}
