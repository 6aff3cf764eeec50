//! Builds directories and symlinks.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;

use carstone_car::cid_of;

use crate::dag_pb::{link_len, put_data, put_link};
use crate::decode::{DAG_PB, TYPE_DIRECTORY, TYPE_SYMLINK};
use crate::error::{Error, ErrorKind};
use crate::hamt;
use crate::name::check_name;
use crate::profile::Profile;
use crate::proto::{put_bytes, put_number};
use crate::{BlockSink, Link};

/// Collects the entries of one directory and writes it: one node, or shards where the node would be larger
/// than the profile's threshold.
///
/// Entries may be added in any order; the result does not depend on it.
#[derive(Debug)]
#[must_use = "the directory has no root until `finish` has returned it"]
pub struct DirectoryBuilder {
    profile: Profile,
    entries: BTreeMap<Box<str>, Link>,
    encoded_len: usize,
}

impl DirectoryBuilder {
    /// An empty directory.
    pub fn new(profile: &Profile) -> Self {
        Self { profile: profile.clone(), entries: BTreeMap::new(), encoded_len: DATA.len() + 2 }
    }

    /// Adds an entry. Refused, without effect: a name that [`check_name`] refuses, and one that is there.
    pub fn add(&mut self, name: &str, link: Link) -> Result<(), Error> {
        check_name(name.as_bytes()).map_err(|fault| Error::new(ErrorKind::BadName(fault)))?;
        match self.entries.entry(name.into()) {
            Entry::Occupied(_) => Err(Error::new(ErrorKind::DuplicateName)),
            Entry::Vacant(vacant) => {
                vacant.insert(link);
                self.encoded_len += link_len(&link.cid, name.len(), link.tsize);
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
        self.encoded_len > self.profile.shard_threshold()
    }

    /// Writes the directory and returns the link to it.
    ///
    /// [`ErrorKind::HashCollision`]: two names share all 64 bits of their hash (which takes an attacker) in
    /// a directory that must be sharded.
    pub fn finish(self, sink: &mut BlockSink<'_>) -> io::Result<Link> {
        if self.is_sharded() {
            let entries = self.entries.iter().map(|(name, link)| (&**name, link));
            return Ok(hamt::build(self.profile.shard_fanout(), entries, sink)?);
        }
        let (mut block, mut total) = (Vec::with_capacity(self.encoded_len), 0_u64);
        for (name, link) in &self.entries {
            put_link(&mut block, &link.cid, &[name.as_bytes()], link.tsize);
            total = total.checked_add(link.tsize).ok_or_else(|| Error::new(ErrorKind::TooLarge))?;
        }
        put_data(&mut block, &DATA);
        debug_assert_eq!(block.len(), self.encoded_len, "the threshold is compared with this");
        emit(&block, total, sink)
    }
}

/// Writes a symlink that points to `target` and returns the link to it.
pub fn symlink(target: &[u8], sink: &mut BlockSink<'_>) -> io::Result<Link> {
    let (mut data, mut block) = (Vec::new(), Vec::new());
    put_number(&mut data, 1, TYPE_SYMLINK);
    put_bytes(&mut data, 2, target);
    put_data(&mut block, &data);
    emit(&block, 0, sink)
}

fn emit(block: &[u8], below: u64, sink: &mut BlockSink<'_>) -> io::Result<Link> {
    let cid = cid_of(DAG_PB, block);
    let tsize =
        below.checked_add(block.len() as u64).ok_or_else(|| Error::new(ErrorKind::TooLarge))?;
    sink(&cid, block)?;
    Ok(Link { cid, tsize })
}

/// The UnixFS data of a directory: its type and nothing else.
const DATA: [u8; 2] = [8, TYPE_DIRECTORY as u8];
