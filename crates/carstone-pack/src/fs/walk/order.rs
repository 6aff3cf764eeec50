//! What the walk found, and the key it is sorted by.

use std::io;

use super::Order;
use crate::fs::metadata::Stat;
use crate::path::split_path;
use crate::sorter::{Sorted, Sorter};
use crate::writer::directories::sort_key;

/// What an entry is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::fs) enum What {
    File,
    Directory,
    Symlink,
}

impl What {
    /// `None` for sockets, pipes and devices.
    pub(in crate::fs) fn of(stat: &Stat) -> Option<Self> {
        match stat.mode & TYPE_MASK {
            0o100_000 => Some(Self::File),
            0o040_000 => Some(Self::Directory),
            0o120_000 => Some(Self::Symlink),
            _ => None,
        }
    }
}

/// An entry that is to be packed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::fs) struct Found {
    /// Number of the input it was reached from.
    pub(super) source: u32,
    pub(in crate::fs) what: What,
    pub(in crate::fs) stat: Stat,
    /// Path in the pack.
    pub(in crate::fs) path: Vec<u8>,
}

impl Found {
    /// A key whose bytewise order is the order of the pack, but for what [`regroup`] does. No two paths have the same.
    pub(super) fn key(&self, order: Order) -> Vec<u8> {
        let path = sort_key(&self.path);
        match order {
            Order::Path => path,
            Order::Given => [&self.source.to_be_bytes()[..], &path].concat(),
            Order::Type if self.what != What::File => [&[0][..], &path].concat(),
            Order::Type => {
                let name = self.name();
                [&[1][..], extension(name), &[0], name, &[0], &path].concat()
            }
        }
    }

    fn name(&self) -> &[u8] {
        split_path(&self.path).map_or(&b""[..], |(_, name)| name)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FIXED + self.path.len());
        out.extend_from_slice(&self.source.to_le_bytes());
        self.stat.encode(&mut out);
        out.extend_from_slice(&self.path);
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (source, rest) = bytes.split_first_chunk()?;
        let (stat, path) = Stat::decode(rest)?;
        let (source, path) = (u32::from_le_bytes(*source), path.to_vec());
        Some(Self { source, what: What::of(&stat)?, stat, path })
    }
}

/// Completes [`Order::Type`] for entries that are sorted by their keys. Files of a name that several directories have stay together,
/// since they are alike; all others of an extension stand by path, since neighbours are.
pub(super) fn regroup(sorted: &Sorted, budget: usize) -> io::Result<Sorted> {
    let mut regrouped = Sorter::new(budget);
    let mut group = Group::default();
    let mut entries = sorted.iter()?;
    while let Some((key, value)) = entries.next()? {
        let found = Found::decode(value).ok_or(io::ErrorKind::InvalidData)?;
        if found.what != What::File {
            regrouped.push(key, value)?;
            continue;
        }
        if found.name() != group.name {
            group.end(&mut regrouped)?;
            group = Group { name: found.name().to_vec(), ..Group::default() };
        }
        group.add(found, &mut regrouped)?;
    }
    group.end(&mut regrouped)?;
    regrouped.finish()
}

/// Files of one name.
#[derive(Default)]
struct Group {
    name: Vec<u8>,
    /// Until there are so many that they stay together.
    waiting: Vec<Found>,
    stays: bool,
}

impl Group {
    fn add(&mut self, found: Found, to: &mut Sorter) -> io::Result<()> {
        self.waiting.push(found);
        self.stays |= self.waiting.len() == SEVERAL;
        if self.stays { self.end(to) } else { Ok(()) }
    }

    fn end(&mut self, to: &mut Sorter) -> io::Result<()> {
        for found in self.waiting.drain(..) {
            let (extension, path) = (extension(&self.name), sort_key(&found.path));
            let size = found.stat.size.to_be_bytes();
            let key = match self.stays {
                true => [&[1][..], extension, &[0, 0], &self.name, &[0], &size, &path].concat(),
                false => [&[1][..], extension, &[0, 1], &path].concat(),
            };
            to.push(&key, &found.encode())?;
        }
        Ok(())
    }
}

/// What follows the last dot, unless the name starts with it.
fn extension(name: &[u8]) -> &[u8] {
    match name.iter().rposition(|&byte| byte == b'.') {
        None | Some(0) => b"",
        Some(dot) => &name[dot + 1..],
    }
}

/// The bits of a mode that say what a file is; the numbers are the same on every Unix.
const TYPE_MASK: u32 = 0o170_000;
/// In how many directories a name must stand for its files to stay together.
const SEVERAL: usize = 3;
const FIXED: usize = 4 + Stat::LEN;

#[cfg(test)]
mod tests {
    use super::*;

    fn found(mode: u32, size: u64, path: &[u8]) -> Found {
        let stat = Stat { mode, size, ..Stat::default() };
        Found { source: 0, what: What::of(&stat).expect("a kind"), stat, path: path.to_vec() }
    }

    #[test]
    fn like_stands_near_like() {
        let in_order = [
            found(0o040_755, 9, b"z"),
            found(0o120_777, 1, b"z/link"),
            found(0o100_644, 5, b"z/.hidden"),
            found(0o100_644, 1, b"z/Makefile"),
            // A name that three directories have, by size.
            found(0o100_644, 3, b"b/x.c"),
            found(0o100_644, 300, b"a/x.c"),
            found(0o100_644, 300, b"b-/x.c"),
            found(0o100_644, 300, b"c/x.c"),
            // All others by path.
            found(0o100_644, 9, b"a/y.c"),
            found(0o100_644, 1, b"a/z.c"),
            found(0o100_644, 1, b"b/y.c"),
            found(0o100_644, 1, b"a/a.h"),
        ];
        for budget in [0, 1 << 20] {
            let mut sorter = Sorter::new(budget);
            for entry in in_order.iter().rev() {
                sorter.push(&entry.key(Order::Type), &entry.encode()).expect("memory");
            }
            let sorted = regroup(&sorter.finish().expect("memory"), budget).expect("memory");
            let mut entries = sorted.iter().expect("memory");
            for expected in &in_order {
                let (_, value) = entries.next().expect("memory").expect("as many as went in");
                assert_eq!(Found::decode(value).as_ref(), Some(expected));
            }
            assert!(entries.next().expect("memory").is_none());
        }
    }

    #[test]
    fn what_was_found_is_kept_whole() {
        let mut entry = found(0o100_755, 1 << 40, b"a/\xff");
        entry.source = 7;
        entry.stat.seconds = -1;
        assert_eq!(Found::decode(&entry.encode()), Some(entry));
        assert_eq!(Found::decode(&[0; FIXED - 1]), None);
    }
}
