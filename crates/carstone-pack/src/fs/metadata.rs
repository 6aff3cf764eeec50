//! What the file system knows of a file besides its content.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{lgetxattr, llistxattr};
use rustix::io::Errno;

use super::walk::{Fixed, TreeOptions, What};
use crate::entry::{Metadata, Timestamp};

/// What one look at a file tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) nanos: u32,
    pub(super) seconds: i64,
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) links: u64,
    pub(super) size: u64,
}

impl Stat {
    /// Encoded length in bytes.
    pub(super) const LEN: usize = 4 * 4 + 5 * 8;

    pub(super) fn of(metadata: &fs::Metadata) -> Self {
        Self {
            mode: metadata.mode(),
            uid: metadata.uid(),
            gid: metadata.gid(),
            nanos: u32::try_from(metadata.mtime_nsec()).unwrap_or(0),
            seconds: metadata.mtime(),
            device: metadata.dev(),
            inode: metadata.ino(),
            links: metadata.nlink(),
            size: metadata.size(),
        }
    }

    /// Whether it is the same file, and was not written to in between.
    pub(super) fn is_unchanged(&self, later: &Self) -> bool {
        let key = |stat: &Self| (stat.device, stat.inode, stat.size, stat.seconds, stat.nanos);
        key(self) == key(later)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        for word in [self.mode, self.uid, self.gid, self.nanos] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        out.extend_from_slice(&self.seconds.to_le_bytes());
        for word in [self.device, self.inode, self.links, self.size] {
            out.extend_from_slice(&word.to_le_bytes());
        }
    }

    /// Gives what follows, too.
    pub(super) fn decode(mut bytes: &[u8]) -> Option<(Self, &[u8])> {
        let mut word = || {
            let (word, rest) = bytes.split_first_chunk()?;
            bytes = rest;
            Some(u32::from_le_bytes(*word))
        };
        let (mode, uid, gid, nanos) = (word()?, word()?, word()?, word()?);
        let mut long = || {
            let (long, rest) = bytes.split_first_chunk()?;
            bytes = rest;
            Some(*long)
        };
        let seconds = i64::from_le_bytes(long()?);
        let mut long = || long().map(u64::from_le_bytes);
        let (device, inode, links, size) = (long()?, long()?, long()?, long()?);
        Some((Self { mode, uid, gid, nanos, seconds, device, inode, links, size }, bytes))
    }
}

/// Reads metadata, and remembers what is the same for many files.
pub(super) struct MetadataReader {
    owners: bool,
    xattrs: bool,
    fixed: Option<Fixed>,
    users: HashMap<u32, Option<Vec<u8>>>,
    groups: HashMap<u32, Option<Vec<u8>>>,
    /// Devices whose file system has no extended attributes.
    without_xattrs: Vec<u64>,
    names: Vec<u8>,
}

impl MetadataReader {
    pub(super) fn new(options: &TreeOptions) -> Self {
        Self {
            owners: options.owners,
            xattrs: options.xattrs && options.fixed.is_none(),
            fixed: options.fixed,
            users: HashMap::new(),
            groups: HashMap::new(),
            without_xattrs: Vec::new(),
            names: Vec::new(),
        }
    }

    /// What `stat` tells, and the names of the owners.
    pub(super) fn plain(&mut self, stat: &Stat) -> Metadata {
        if let Some(fixed) = self.fixed {
            return Metadata {
                mode: Some(fixed_mode(stat)),
                mtime: fixed.mtime,
                ..Metadata::default()
            };
        }
        let mtime = Timestamp { seconds: stat.seconds, nanos: stat.nanos };
        let mut metadata = Metadata::new(stat.mode, mtime);
        if self.owners {
            let user = |id| uzers::get_user_by_uid(id).map(|user| user.name().as_bytes().to_vec());
            let group =
                |id| uzers::get_group_by_gid(id).map(|group| group.name().as_bytes().to_vec());
            metadata.uid = Some(stat.uid);
            metadata.gid = Some(stat.gid);
            metadata.user = self.users.entry(stat.uid).or_insert_with_key(|&id| user(id)).clone();
            metadata.group =
                self.groups.entry(stat.gid).or_insert_with_key(|&id| group(id)).clone();
        }
        metadata
    }

    /// The `user.` attributes of a file or directory. Symlinks have none.
    pub(super) fn user_xattrs(
        &mut self,
        path: &Path,
        device: u64,
    ) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut found = Vec::new();
        if !self.xattrs || self.without_xattrs.contains(&device) {
            return Ok(found);
        }
        self.names.resize(NAMES_MAX, 0);
        let len = match llistxattr(path, self.names.as_mut_slice()) {
            Ok(len) => len.min(NAMES_MAX),
            Err(error) if error == Errno::OPNOTSUPP => {
                self.without_xattrs.push(device);
                return Ok(found);
            }
            Err(error) => return Err(error.into()),
        };
        let mut total = 0;
        let names = self.names[..len].split(|&byte| byte == 0);
        for name in names.filter(|name| name.starts_with(b"user.")) {
            let mut value = vec![0; VALUE_MAX];
            match lgetxattr(path, name, value.as_mut_slice()) {
                Ok(len) => value.truncate(len),
                // Gone since the names were listed.
                Err(error) if error == Errno::NODATA => continue,
                Err(error) => return Err(error.into()),
            }
            value.shrink_to_fit();
            total += name.len() + value.len();
            if total > TOTAL_MAX {
                return Err(io::Error::other("extended attributes of more than 512 KiB"));
            }
            found.push((name.to_vec(), value));
        }
        found.sort();
        Ok(found)
    }
}

/// The mode of an entry wherever it lies: no umask, no file system that knows no modes makes a difference.
fn fixed_mode(stat: &Stat) -> u32 {
    match What::of(stat) {
        Some(What::Symlink) => 0o777,
        Some(What::File) if stat.mode & 0o100 == 0 => 0o644,
        _ => 0o755,
    }
}

/// The most bytes of names and of one value that the system gives.
const NAMES_MAX: usize = 64 << 10;
const VALUE_MAX: usize = 64 << 10;
/// The most that one entry keeps; an entry must fit into a record.
const TOTAL_MAX: usize = 512 << 10;
