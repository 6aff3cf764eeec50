//! Builds sharded directories.

use std::io;

use crate::dag_pb::{put_data, put_link};
use crate::decode::TYPE_SHARD;
use crate::error::{Error, ErrorKind};
use crate::hamt::{Fanout, MURMUR3_X64_64, hash_name};
use crate::inline;
use crate::metadata::{Metadata, Tail};
use crate::name::check_name;
use crate::profile::Profile;
use crate::proto::{put_bytes, put_number};
use crate::{BlockSink, Link};

/// The number by which the entries of a sharded directory are sorted: the hash of the name.
pub fn shard_hash(name: &str) -> u64 {
    hash_name(name.as_bytes())
}

/// Builds a sharded directory of any size from entries that come in the order of their [hashes](shard_hash), and holds one
/// partly filled shard per level of it.
///
/// For directories that are too large for a [`DirectoryBuilder`](crate::DirectoryBuilder), which gives the same root. The
/// caller sorts; and decides, by [`DirectorySize`](crate::DirectorySize), that the directory is sharded at all.
///
/// ```
/// use carstone_unixfs::{Link, Profile, ShardedBuilder, leaf_cid, shard_hash};
/// let mut names = ["arch", "keystone", "lintel"];
/// names.sort_by_key(|name| shard_hash(name));
/// let mut shards = 0;
/// let mut sink = |_cid: &_, _block: &[u8]| Ok(shards += 1);
/// let mut builder = ShardedBuilder::new(&Profile::unixfs_v1_2025());
/// for name in names {
///     builder.add(name, Link { cid: leaf_cid(b""), tsize: 0 }, &mut sink)?;
/// }
/// builder.finish(&mut sink)?;
/// assert_eq!(shards, 1);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "the directory has no root until `finish` has returned it"]
pub struct ShardedBuilder {
    profile: Profile,
    /// The shards on the way to the last entry, from the root down; never empty.
    levels: Vec<Level>,
    /// The entry that came last. On which level it stands is known when the next has come.
    pending: Option<Pending>,
    /// Metadata for the root.
    tail: Tail,
    broken: bool,
}

#[derive(Debug)]
struct Pending {
    hash: u64,
    name: String,
    link: Link,
    /// The level down to which it shares its slots with the entry before it.
    level: usize,
}

/// A shard under construction.
#[derive(Debug)]
struct Level {
    /// The hash of one of its entries, which tells the slot in the shard above.
    hash: u64,
    bitmap: Vec<u8>,
    links: Vec<u8>,
    total: u64,
}

impl ShardedBuilder {
    /// A directory without entries.
    pub fn new(profile: &Profile) -> Self {
        Self::with_tail(profile, Tail::NONE)
    }

    /// A directory without entries that tells its metadata, which must be in range, else [`ErrorKind::BadSetting`].
    pub fn with_metadata(profile: &Profile, metadata: &Metadata) -> Result<Self, Error> {
        Ok(Self::with_tail(profile, metadata.encode()?))
    }

    pub(crate) fn with_tail(profile: &Profile, tail: Tail) -> Self {
        let levels = vec![Level::new(profile.shard_fanout(), 0)];
        Self { profile: profile.clone(), levels, pending: None, tail, broken: false }
    }

    /// Adds an entry, whose hash is not below that of the one before. A shard goes to `sink` as soon as it is complete.
    ///
    /// Refused, without effect: a name that [`check_name`] refuses, one that is there already, one that comes
    /// [out of order](ErrorKind::OutOfOrder), and one that shares all bits of its hash with the one before
    /// ([`ErrorKind::HashCollision`]; that takes an attacker).
    pub fn add(&mut self, name: &str, link: Link, sink: &mut BlockSink<'_>) -> io::Result<()> {
        self.usable()?;
        check_name(name.as_bytes()).map_err(|fault| Error::new(ErrorKind::BadName(fault)))?;
        let (hash, fanout) = (shard_hash(name), self.profile.shard_fanout());
        let (mut level, mut spare) = (0, String::new());
        if let Some(before) = &self.pending {
            level = ((before.hash ^ hash).leading_zeros() / fanout.bits()) as usize;
            let fault = match () {
                () if before.hash == hash && before.name == name => Some(ErrorKind::DuplicateName),
                () if before.hash > hash => Some(ErrorKind::OutOfOrder),
                () if fanout.slot(hash, used(fanout, level)).is_none() => {
                    Some(ErrorKind::HashCollision)
                }
                () => None,
            };
            if let Some(fault) = fault {
                return Err(Error::new(fault).into());
            }
        }
        self.broken = true; // Until the entry before stands in its place.
        if let Some(before) = self.pending.take() {
            spare = self.settle(before, level)?;
            self.close_below(level, sink)?;
        }
        spare.clear();
        spare.push_str(name);
        self.pending = Some(Pending { hash, name: spare, link, level });
        self.broken = false;
        Ok(())
    }

    /// Emits the shards that are not complete, the root last, and returns the link to it.
    pub fn finish(mut self, sink: &mut BlockSink<'_>) -> io::Result<Link> {
        self.usable()?;
        if let Some(last) = self.pending.take() {
            self.settle(last, 0)?;
        }
        self.close_below(0, sink)?;
        let root = self.levels.pop().ok_or_else(|| Error::new(ErrorKind::Broken))?;
        Ok(root.emit(&self.profile, &self.tail, sink)?)
    }

    /// Puts an entry into the shard where it shares its slot neither with the entry before nor with the next, which
    /// shares those above `level`. Gives the name back, for its allocation.
    fn settle(&mut self, entry: Pending, level: usize) -> Result<String, Error> {
        let (level, fanout) = (level.max(entry.level), self.profile.shard_fanout());
        while self.levels.len() <= level {
            self.levels.push(Level::new(fanout, entry.hash));
        }
        self.levels[level].put(fanout, level, entry.hash, &entry.name, &entry.link)?;
        Ok(entry.name)
    }

    /// Completes the shards below `level`.
    fn close_below(&mut self, level: usize, sink: &mut BlockSink<'_>) -> Result<(), Error> {
        while self.levels.len() > level + 1
            && let Some(shard) = self.levels.pop()
        {
            let (hash, above) = (shard.hash, self.levels.len() - 1);
            let link = shard.emit(&self.profile, &Tail::NONE, sink)?;
            self.levels[above].put(self.profile.shard_fanout(), above, hash, "", &link)?;
        }
        Ok(())
    }

    fn usable(&self) -> Result<(), Error> {
        if self.broken { Err(Error::new(ErrorKind::Broken)) } else { Ok(()) }
    }
}

impl Level {
    fn new(fanout: Fanout, hash: u64) -> Self {
        Self { hash, bitmap: vec![0; fanout.slots() / 8], links: Vec::new(), total: 0 }
    }

    /// Adds the link in the next slot: an entry, or with an empty name a shard.
    fn put(
        &mut self,
        fanout: Fanout,
        level: usize,
        hash: u64,
        name: &str,
        link: &Link,
    ) -> Result<(), Error> {
        let slot = fanout.slot(hash, used(fanout, level));
        let slot = slot.ok_or_else(|| Error::new(ErrorKind::HashCollision))?;
        let digits = fanout.digits(slot);
        let prefix = &digits[3 - fanout.width()..];
        put_link(&mut self.links, &link.cid, &[prefix, name.as_bytes()], link.tsize);
        let total = self.total.checked_add(link.tsize);
        self.total = total.ok_or_else(|| Error::new(ErrorKind::TooLarge))?;
        let last = self.bitmap.len() - 1; // The bitmap is one large number, its lowest byte last.
        self.bitmap[last - slot / 8] |= 1 << (slot % 8);
        Ok(())
    }

    fn emit(self, profile: &Profile, tail: &Tail, sink: &mut BlockSink<'_>) -> Result<Link, Error> {
        let leading = self.bitmap.iter().take_while(|byte| **byte == 0).count();
        let (mut data, mut block) = (Vec::new(), self.links);
        put_number(&mut data, 1, TYPE_SHARD);
        put_bytes(&mut data, 2, &self.bitmap[leading..]);
        put_number(&mut data, 5, MURMUR3_X64_64);
        put_number(&mut data, 6, profile.fanout() as u64);
        data.extend_from_slice(tail.bytes());
        put_data(&mut block, &data);
        let cid = profile.node_cid(&block);
        inline::put(sink, &cid, &block)?;
        let tsize = self.total.checked_add(block.len() as u64);
        Ok(Link { cid, tsize: tsize.ok_or_else(|| Error::new(ErrorKind::TooLarge))? })
    }
}

/// Bits of the hash that the shards above `level` consume.
fn used(fanout: Fanout, level: usize) -> u32 {
    fanout.bits() * level as u32 // At most 64 bits in all, of at least 3 a level.
}
