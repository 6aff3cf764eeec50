//! Which paths are taken, so that no two entries get in each other's way.

use std::io;

use carstone_car::{cid_of, codec};
use carstone_pack::{BlockKey, BlockMap, EntryKind, split_path};

/// The paths of entries, and of directories above them.
pub(super) struct Names(BlockMap);

impl Names {
    pub(super) fn new() -> Self {
        Self(BlockMap::new(BUDGET))
    }

    /// Takes `path`, unless it cannot stand beside what is there.
    pub(super) fn take(&mut self, path: &[u8], kind: EntryKind) -> io::Result<bool> {
        let is_directory = kind == EntryKind::Directory;
        let against = if is_directory { OTHER } else { ABOVE };
        if self.has(ENTRY, path)? || self.has(against, path)? {
            return Ok(false);
        }
        let mut above = path;
        while let Some((parent, _)) = split_path(above).filter(|(parent, _)| !parent.is_empty()) {
            if self.has(OTHER, parent)? {
                return Ok(false);
            }
            above = parent;
        }
        self.put(ENTRY, path)?;
        self.put(if is_directory { ABOVE } else { OTHER }, path)?;
        let mut above = path;
        while let Some((parent, _)) = split_path(above).filter(|(parent, _)| !parent.is_empty()) {
            // Those above it are there as well.
            if !self.put(ABOVE, parent)? {
                break;
            }
            above = parent;
        }
        Ok(true)
    }

    fn has(&self, what: u8, path: &[u8]) -> io::Result<bool> {
        Ok(self.0.get(&key(what, path))?.is_some())
    }

    /// Gives whether it is new.
    fn put(&mut self, what: u8, path: &[u8]) -> io::Result<bool> {
        Ok(self.0.insert(key(what, path), 0)?.is_none())
    }
}

fn key(what: u8, path: &[u8]) -> BlockKey {
    let cid = cid_of(codec::RAW, &[&[what], path].concat());
    BlockKey::leaf(cid.hash().digest().try_into().unwrap_or_default())
}

/// An entry stands there.
const ENTRY: u8 = 0;
/// It is a directory, or stands above an entry.
const ABOVE: u8 = 1;
/// It is something that nothing can stand below.
const OTHER: u8 = 2;
const BUDGET: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_entry_stands_in_the_way_of_another() {
        let mut names = Names::new();
        let mut take = |path: &str, kind| names.take(path.as_bytes(), kind).expect("in memory");
        let (file, directory) = (EntryKind::File, EntryKind::Directory);
        assert!(take("a/b/c", file));
        assert!(!take("a/b/c", file) && !take("a/b/c", directory));
        assert!(!take("a/b", file) && !take("a", file));
        assert!(take("a/b", directory) && !take("a/b", directory));
        assert!(!take("a/b/c/d", file) && !take("a/b/c/d/e", directory));
        assert!(take("", directory) && !take("", directory));
        assert!(take("a/b/cc", EntryKind::Symlink) && take("ab", EntryKind::HardLink));
    }
}
