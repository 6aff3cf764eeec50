//! Builds directories and symlinks.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;

use crate::dag_pb::{link_len, put_data, put_link};
use crate::decode::{TYPE_DIRECTORY, TYPE_SYMLINK};
use crate::error::{Error, ErrorKind};
use crate::inline;
use crate::metadata::{Metadata, Tail};
use crate::name::check_name;
use crate::profile::{Profile, ShardThreshold};
use crate::proto::{put_bytes, put_number};
use crate::sharded::{ShardedBuilder, shard_hash};
use crate::{BlockSink, Link};

/// How large a directory is, without its entries: tells whether it is to be sharded.
#[derive(Debug, Clone)]
pub struct DirectorySize {
    threshold: ShardThreshold,
    entries: usize,
    link_bytes: usize,
    node_bytes: usize,
}

impl DirectorySize {
    /// The size of a directory without entries.
    pub fn new(profile: &Profile) -> Self {
        Self::with_tail(profile, &Tail::NONE)
    }

    /// The same for a directory with metadata, which count among the bytes of its node. [`ErrorKind::BadSetting`]: they are
    /// out of range.
    pub fn with_metadata(profile: &Profile, metadata: &Metadata) -> Result<Self, Error> {
        Ok(Self::with_tail(profile, &metadata.encode()?))
    }

    fn with_tail(profile: &Profile, tail: &Tail) -> Self {
        // The message has less than 128 bytes, so that its length is one of two around it.
        let (threshold, node_bytes) =
            (profile.shard_threshold(), TYPE.len() + tail.bytes().len() + 2);
        Self { threshold, entries: 0, link_bytes: 0, node_bytes }
    }

    /// Counts an entry.
    pub fn add(&mut self, name: &str, link: &Link) {
        let link_bytes = name.len() + link.cid.encoded_len();
        let node_bytes = link_len(&link.cid, name.len(), link.tsize);
        self.entries = self.entries.saturating_add(1);
        self.link_bytes = self.link_bytes.saturating_add(link_bytes);
        self.node_bytes = self.node_bytes.saturating_add(node_bytes);
    }

    /// Whether the directory is sharded. Once it is, more entries do not change that.
    pub fn is_sharded(&self) -> bool {
        let over = match self.threshold {
            ShardThreshold::NodeBytes(limit) => self.node_bytes > limit,
            ShardThreshold::LinkBytes(limit) => self.link_bytes > limit,
            ShardThreshold::Entries(limit) => self.entries > limit,
        };
        over || self.node_bytes > MAX_NODE
    }
}

/// Collects the entries of one directory and writes it: one node, or shards where it passes the profile's threshold.
///
/// Entries may be added in any order; the result does not depend on it. All of them are held, some 170 bytes each: for
/// directories of millions there is [`ShardedBuilder`].
#[derive(Debug)]
#[must_use = "the directory has no root until `finish` has returned it"]
pub struct DirectoryBuilder {
    profile: Profile,
    entries: BTreeMap<Box<str>, Link>,
    size: DirectorySize,
    tail: Tail,
}

impl DirectoryBuilder {
    /// An empty directory.
    pub fn new(profile: &Profile) -> Self {
        Self::with_tail(profile, Tail::NONE)
    }

    /// An empty directory that tells its metadata, which must be in range, else [`ErrorKind::BadSetting`].
    pub fn with_metadata(profile: &Profile, metadata: &Metadata) -> Result<Self, Error> {
        Ok(Self::with_tail(profile, metadata.encode()?))
    }

    fn with_tail(profile: &Profile, tail: Tail) -> Self {
        let size = DirectorySize::with_tail(profile, &tail);
        Self { profile: profile.clone(), entries: BTreeMap::new(), size, tail }
    }

    /// Adds an entry. Refused, without effect: a name that [`check_name`] refuses, and one that is there.
    pub fn add(&mut self, name: &str, link: Link) -> Result<(), Error> {
        check_name(name.as_bytes()).map_err(|fault| Error::new(ErrorKind::BadName(fault)))?;
        match self.entries.entry(name.into()) {
            Entry::Occupied(_) => Err(Error::new(ErrorKind::DuplicateName)),
            Entry::Vacant(vacant) => {
                vacant.insert(link);
                self.size.add(name, &link);
                Ok(())
            }
        }
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry yet.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether `finish` would write shards.
    pub fn is_sharded(&self) -> bool {
        self.size.is_sharded()
    }

    /// Writes the directory and returns the link to it.
    ///
    /// [`ErrorKind::HashCollision`]: two names share all 64 bits of their hash (which takes an attacker) in
    /// a directory that must be sharded.
    pub fn finish(self, sink: &mut BlockSink<'_>) -> io::Result<Link> {
        if self.is_sharded() {
            let mut entries = self.entries.into_iter().collect::<Vec<_>>();
            entries.sort_by_cached_key(|(name, _)| shard_hash(name));
            let mut shards = ShardedBuilder::with_tail(&self.profile, self.tail);
            for (name, link) in entries {
                shards.add(&name, link, sink)?;
            }
            return shards.finish(sink);
        }
        let (mut block, mut total) = (Vec::with_capacity(self.size.node_bytes), 0_u64);
        for (name, link) in &self.entries {
            put_link(&mut block, &link.cid, &[name.as_bytes()], link.tsize);
            total = total.checked_add(link.tsize).ok_or_else(|| Error::new(ErrorKind::TooLarge))?;
        }
        put_data(&mut block, &[&TYPE, self.tail.bytes()].concat());
        debug_assert_eq!(block.len(), self.size.node_bytes, "the threshold is compared with this");
        emit(&self.profile, &block, total, sink)
    }
}

/// Writes a symlink that points to `target` and returns the link to it.
pub fn symlink(profile: &Profile, target: &[u8], sink: &mut BlockSink<'_>) -> io::Result<Link> {
    symlink_with_metadata(profile, &Metadata::default(), target, sink)
}

/// The same for a symlink that tells its metadata, which must be in range, else [`ErrorKind::BadSetting`].
pub fn symlink_with_metadata(
    profile: &Profile,
    metadata: &Metadata,
    target: &[u8],
    sink: &mut BlockSink<'_>,
) -> io::Result<Link> {
    let (mut data, mut block) = (Vec::new(), Vec::new());
    put_number(&mut data, 1, TYPE_SYMLINK);
    put_bytes(&mut data, 2, target);
    data.extend_from_slice(metadata.encode()?.bytes());
    put_data(&mut block, &data);
    emit(profile, &block, 0, sink)
}

fn emit(profile: &Profile, block: &[u8], below: u64, sink: &mut BlockSink<'_>) -> io::Result<Link> {
    let cid = profile.node_cid(block);
    let tsize =
        below.checked_add(block.len() as u64).ok_or_else(|| Error::new(ErrorKind::TooLarge))?;
    inline::put(sink, &cid, block)?;
    Ok(Link { cid, tsize })
}

/// The UnixFS data of a directory without metadata: its type and nothing else.
const TYPE: [u8; 2] = [8, TYPE_DIRECTORY as u8];
/// No plain node has more bytes, whatever the threshold: readers take blocks of at most 8 MiB.
const MAX_NODE: usize = 4 << 20;
