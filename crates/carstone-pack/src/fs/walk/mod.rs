//! Finds what is to be packed, and puts it in order.

mod arguments;
mod exclude;
mod options;
mod order;
mod reach;

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

pub use arguments::read_names;
pub use options::{FileId, Order, TreeOptions};

pub(super) use options::Fixed;
pub(super) use order::{Found, What};
pub(super) use reach::reach;

use super::add::{SkipReason, WalkEvent};
use super::metadata::Stat;
use crate::error::Error;
use crate::sorter::{Sorted, Sorter};
use arguments::Argument;
use exclude::ExcludeSet;

/// What was found, in the order in which it is to be packed.
pub(super) struct Walked {
    entries: Sorted,
    /// For each argument, where it lies on disk, and the length of its path in the pack.
    sources: Vec<(PathBuf, usize)>,
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) skipped: u64,
    pub(super) failed: u64,
}

impl Walked {
    pub(super) fn count(&self) -> u64 {
        self.entries.count()
    }

    /// Gives what was found one by one, with its place on disk.
    pub(super) fn for_each(
        &self,
        mut each: impl FnMut(Found, PathBuf) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut entries = self.entries.iter()?;
        while let Some((_, value)) = entries.next()? {
            let found = Found::decode(value).ok_or(io::ErrorKind::InvalidData)?;
            let (disk, prefix) =
                self.sources.get(found.source as usize).ok_or(io::ErrorKind::InvalidData)?;
            let below = found.path.get(*prefix..).unwrap_or_default();
            let below = below.strip_prefix(b"/").unwrap_or(below);
            let disk = if below.is_empty() { disk.clone() } else { disk.join(bytes_path(below)) };
            each(found, disk)?;
        }
        Ok(())
    }
}

/// Walks all inputs.
pub(super) fn walk(
    inputs: &[PathBuf],
    options: &TreeOptions,
    observer: &mut dyn FnMut(WalkEvent<'_>),
) -> io::Result<Walked> {
    let arguments = arguments::resolve(inputs, options, observer)?;
    let visited = arguments.iter().map(|argument| (argument.pack.clone(), false)).collect();
    let mut walker = Walker {
        options,
        excludes: options.exclude_set()?,
        observer,
        visited,
        entries: Sorter::new(WALK_BUDGET),
        found: Walked {
            entries: Sorter::new(0).finish()?,
            sources: Vec::new(),
            files: 0,
            bytes: 0,
            skipped: 0,
            failed: 0,
        },
    };
    for argument in arguments {
        walker.argument(argument)?;
    }
    let mut entries = walker.entries.finish()?;
    if options.order == Order::Type {
        entries = order::regroup(&entries, WALK_BUDGET)?;
    }
    Ok(Walked { entries, ..walker.found })
}

struct Walker<'a> {
    options: &'a TreeOptions,
    excludes: ExcludeSet,
    observer: &'a mut dyn FnMut(WalkEvent<'_>),
    /// The path of each argument, and whether it has been reached; only through these can a path be reached twice.
    visited: HashMap<Vec<u8>, bool>,
    entries: Sorter,
    found: Walked,
}

/// A directory yet to be read.
struct Pending {
    path: Vec<u8>,
    disk: PathBuf,
}

impl Walker<'_> {
    fn argument(&mut self, argument: Argument) -> io::Result<()> {
        let stat = match reach(&argument.disk).and_then(|at| fs::symlink_metadata(at.path())) {
            Ok(metadata) => Stat::of(&metadata),
            Err(error) => {
                self.failed(&argument.given, error);
                return Ok(());
            }
        };
        let source = u32::try_from(self.found.sources.len()).map_err(io::Error::other)?;
        self.found.sources.push((argument.disk.clone(), argument.pack.len()));
        let mut pending = Vec::new();
        let device = stat.device;
        self.entry(source, argument.pack, argument.disk, stat, device, &mut pending)?;
        while let Some(directory) = pending.pop() {
            self.options.check_cancelled()?;
            if let Err(error) = self.directory(source, &directory, device, &mut pending)? {
                self.failed(&directory.disk, error);
            }
        }
        Ok(())
    }

    /// Looks at everything in a directory. The inner error is of the directory, the outer one of the walk.
    fn directory(
        &mut self,
        source: u32,
        directory: &Pending,
        device: u64,
        pending: &mut Vec<Pending>,
    ) -> io::Result<io::Result<()>> {
        let listing = match reach(&directory.disk).and_then(|at| {
            let listing = fs::read_dir(at.path())?;
            Ok((listing, at))
        }) {
            Ok(listing) => listing,
            Err(error) => return Ok(Err(error)),
        };
        // The anchor of a long path lives as long as the listing, which looks its entries up below it.
        let (listing, _anchor) = listing;
        for entry in listing {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => return Ok(Err(error)),
            };
            let name = entry.file_name();
            let disk = directory.disk.join(&name);
            let mut path = Vec::with_capacity(directory.path.len() + 1 + name.len());
            path.extend_from_slice(&directory.path);
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(name.as_bytes());
            if self.excludes.matches(&path) {
                continue;
            }
            match entry.metadata() {
                Ok(metadata) => {
                    self.entry(source, path, disk, Stat::of(&metadata), device, pending)?
                }
                Err(error) => self.failed(&disk, error),
            }
        }
        Ok(Ok(()))
    }

    fn entry(
        &mut self,
        source: u32,
        path: Vec<u8>,
        disk: PathBuf,
        stat: Stat,
        device: u64,
        pending: &mut Vec<Pending>,
    ) -> io::Result<()> {
        if let Some(visited) = self.visited.get_mut(&path)
            && std::mem::replace(visited, true)
        {
            return Ok(());
        }
        if let Err(fault) = crate::path::check_path(&path) {
            self.failed(&disk, Error::bad_path(&path, fault, 0).into());
            return Ok(());
        }
        let Some(what) = What::of(&stat) else {
            self.skipped(&disk, SkipReason::Special);
            return Ok(());
        };
        if self.options.own.iter().any(|own| (own.device, own.inode) == (stat.device, stat.inode)) {
            self.skipped(&disk, SkipReason::OwnOutput);
            return Ok(());
        }
        let found = Found { source, what, stat, path };
        self.entries.push(&found.key(self.options.order), &found.encode())?;
        match what {
            What::File => {
                self.found.files += 1;
                self.found.bytes = self.found.bytes.saturating_add(found.stat.size);
            }
            What::Directory if !self.options.recurse => {}
            What::Directory if self.options.one_file_system && found.stat.device != device => {
                self.skipped(&disk, SkipReason::OtherFileSystem);
            }
            What::Directory => pending.push(Pending { path: found.path, disk }),
            What::Symlink => {}
        }
        Ok(())
    }

    fn failed(&mut self, path: &Path, error: io::Error) {
        self.found.failed += 1;
        (self.observer)(WalkEvent::Unreadable { path, error });
    }

    fn skipped(&mut self, path: &Path, reason: SkipReason) {
        self.found.skipped += u64::from(reason == SkipReason::Special);
        (self.observer)(WalkEvent::Skipped { path, reason });
    }
}

/// A path of these bytes.
pub(super) fn bytes_path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(std::ffi::OsString::from_vec(bytes.to_vec()))
}

/// Memory for what was found, before it spills to a temporary file.
const WALK_BUDGET: usize = 8 << 20;
