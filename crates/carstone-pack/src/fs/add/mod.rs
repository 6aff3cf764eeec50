//! Adds trees of the file system to a pack.

mod dry;
mod event;
mod source;

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

pub use dry::dry_run_tree;
pub use event::{SkipReason, TreeSummary, WalkEvent};

use super::metadata::{MetadataReader, Stat};
use super::walk::{Found, TreeOptions, What, reach, walk};
use crate::entry::{EntryKind, Metadata};
use crate::sink::{EntrySink, SmallFile};
use crate::writer::{EntryId, Problem, ProblemKind};
use source::LargeFile;

/// Adds files and directories of the file system to a pack or a plain CAR.
///
/// A single input that is a directory becomes the root: its content stands at the top, its metadata under the empty path. Several
/// inputs stand under their paths as given, without `/` and `./` in front.
///
/// Symlinks are never followed, not even those that are inputs. Sockets, pipes and devices are passed over. What cannot be read is
/// told to `observer` and left out; what changes while it is read is told, and what was read is kept. Of files with several hard
/// links the first is packed, the others link to it. The same tree gives the same bytes, whatever order the file system lists it in.
///
/// The tree is walked first, then packed; what was found spills to a temporary file. Once this returns, all is written and all
/// problems are told. [`dry_run_tree`] tells all of this and adds nothing.
///
/// ```no_run
/// use std::path::PathBuf;
/// use carstone_pack::PlainWriter;
/// use carstone_pack::fs::{TreeOptions, WalkEvent, add_tree};
///
/// let mut writer = PlainWriter::new(std::fs::File::create("src.car")?)?;
/// let options = TreeOptions::default().exclude("*.o")?;
/// let told = add_tree(&mut writer, &[PathBuf::from("src")], &options, &mut |event| {
///     if let WalkEvent::Unreadable { path, error } = event {
///         eprintln!("{}: {error}", path.display());
///     }
/// })?;
/// let (_, summary) = writer.finish()?;
/// println!("{} files under {}", told.files, summary.root);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// An input with a component `..` that has to stand under its name; [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled); whatever
/// the sink gives.
pub fn add_tree<S: EntrySink + ?Sized>(
    sink: &mut S,
    inputs: &[PathBuf],
    options: &TreeOptions,
    observer: &mut dyn FnMut(WalkEvent<'_>),
) -> io::Result<TreeSummary> {
    add(sink, inputs, options, observer, false)
}

/// Adds a tree, or, `dry`, only looks whether it could be.
fn add<S: EntrySink + ?Sized>(
    sink: &mut S,
    inputs: &[PathBuf],
    options: &TreeOptions,
    observer: &mut dyn FnMut(WalkEvent<'_>),
    dry: bool,
) -> io::Result<TreeSummary> {
    let walked = walk(inputs, options, observer)?;
    observer(WalkEvent::Total {
        entries: walked.count(),
        files: walked.files,
        bytes: walked.bytes,
    });
    let summary =
        TreeSummary { skipped: walked.skipped, unreadable: walked.failed, ..Default::default() };
    let mut adder = Adder {
        sink,
        options,
        dry,
        observer,
        metadata: MetadataReader::new(options),
        links: HashMap::new(),
        summary,
        since_problems: 0,
    };
    walked.for_each(|found, disk| adder.entry(found, disk))?;
    adder.sink.settle()?;
    adder.problems();
    Ok(adder.summary)
}

struct Adder<'a, S: ?Sized> {
    sink: &'a mut S,
    options: &'a TreeOptions,
    /// Content is not read.
    dry: bool,
    observer: &'a mut dyn FnMut(WalkEvent<'_>),
    metadata: MetadataReader,
    /// Entries of which more names may come, by device and inode.
    links: HashMap<(u64, u64), Original>,
    summary: TreeSummary,
    since_problems: u32,
}

struct Original {
    id: EntryId,
    path: Vec<u8>,
    /// Names that have not come yet.
    left: u64,
}

impl<S: EntrySink + ?Sized> Adder<'_, S> {
    fn entry(&mut self, found: Found, disk: PathBuf) -> io::Result<()> {
        self.options.check_cancelled()?;
        self.since_problems += 1;
        if self.since_problems == PROBLEMS_EVERY {
            self.problems();
        }
        if !self.sink.holds(&found.path) {
            self.problem(Problem { path: found.path, kind: ProblemKind::NotUtf8 });
            return Ok(());
        }
        if found.what != What::Directory && self.hard_link(&found)? {
            return Ok(());
        }
        let added = match found.what {
            What::Directory => self.directory(&found, &disk)?,
            What::Symlink => self.symlink(&found, &disk)?,
            What::File if self.dry => self.look(&found, &disk)?,
            What::File if found.stat.size <= self.sink.chunk_size() as u64 => {
                self.small(&found, disk)?
            }
            What::File => self.large(&found, &disk)?,
        };
        if let Some(id) = added
            && found.what == What::Symlink
            && self.has_more_names(&found.stat)
        {
            self.expect_links(id, found);
        }
        Ok(())
    }

    /// Adds one more name of something that is already there; `false` if it is not.
    fn hard_link(&mut self, found: &Found) -> io::Result<bool> {
        if !self.has_more_names(&found.stat) {
            return Ok(false);
        }
        let key = (found.stat.device, found.stat.inode);
        let Some(original) = self.links.get_mut(&key) else { return Ok(false) };
        let metadata = self.metadata.plain(&found.stat);
        self.sink.add_hard_link(&found.path, original.id, &original.path, metadata)?;
        original.left = original.left.saturating_sub(1);
        if original.left == 0 {
            self.links.remove(&key);
        }
        self.summary.hard_links += 1;
        self.tell(&found.path, EntryKind::HardLink, 0);
        Ok(true)
    }

    fn directory(&mut self, found: &Found, disk: &Path) -> io::Result<Option<EntryId>> {
        let Some(metadata) = self.full_metadata(found, disk) else { return Ok(None) };
        let id = self.sink.add_directory(&found.path, metadata)?;
        self.summary.directories += 1;
        self.tell(&found.path, EntryKind::Directory, 0);
        Ok(Some(id))
    }

    fn symlink(&mut self, found: &Found, disk: &Path) -> io::Result<Option<EntryId>> {
        let target = match reach(disk).and_then(|at| fs::read_link(at.path())) {
            Ok(target) => target,
            Err(error) => return Ok(self.unreadable(disk, error)),
        };
        let metadata = self.metadata.plain(&found.stat);
        let id = self.sink.add_symlink(&found.path, target.as_os_str().as_bytes(), metadata)?;
        self.summary.symlinks += 1;
        self.tell(&found.path, EntryKind::Symlink, 0);
        Ok(Some(id))
    }

    /// A worker opens and reads the file, unless it has more names.
    fn small(&mut self, found: &Found, disk: PathBuf) -> io::Result<Option<EntryId>> {
        let Some(metadata) = self.full_metadata(found, &disk) else { return Ok(None) };
        let (expected, most) = (found.stat, self.sink.chunk_size());
        let size = usize::try_from(expected.size).unwrap_or(most);
        let has_more_names = self.has_more_names(&expected);
        let open: SmallFile = if has_more_names {
            // Read here and now: where this name fails, the next one of the same file takes its place.
            match source::read_small(&disk, &expected, most) {
                Ok(content) => Box::new(move || Ok(content)),
                Err(error) => return Ok(self.unreadable(&disk, error)),
            }
        } else {
            Box::new(move || source::read_small(&disk, &expected, most))
        };
        let id = self.sink.add_small_file(&found.path, metadata, size, open)?;
        if has_more_names {
            self.expect_links(id, found.clone());
        }
        self.file(&found.path, expected.size);
        (self.observer)(WalkEvent::Content { bytes: expected.size });
        Ok(Some(id))
    }

    fn large(&mut self, found: &Found, disk: &Path) -> io::Result<Option<EntryId>> {
        let mut file = match LargeFile::open(disk, self.options) {
            Ok(file) => file,
            Err(error) => return Ok(self.unreadable(disk, error)),
        };
        let mut fresh = found.clone();
        fresh.stat = *file.stat();
        let Some(metadata) = self.full_metadata(&fresh, disk) else { return Ok(None) };
        self.tell(&found.path, EntryKind::File, file.stat().size);
        let id = self.sink.start_entry(&found.path, metadata)?;
        let observer = &mut *self.observer;
        let mut seen = |bytes: usize| observer(WalkEvent::Content { bytes: bytes as u64 });
        if let Err(error) = self.sink.fill_entry(id, &mut file, &mut seen) {
            // Only the file's own failures leave the sink usable.
            if !file.has_failed() {
                return Err(error);
            }
            self.sink.abandon_entry(id)?;
            self.options.check_cancelled()?;
            return Ok(self.unreadable(disk, error));
        }
        if self.has_more_names(&fresh.stat) {
            self.expect_links(id, fresh);
        }
        self.summary.files += 1;
        self.summary.bytes += file.given();
        match file.has_changed() {
            true => self.sink.end_changed_entry(id)?,
            false => self.sink.end_entry(id)?,
        }
        Ok(Some(id))
    }

    /// Opens the file as it would be opened to be read.
    fn look(&mut self, found: &Found, disk: &Path) -> io::Result<Option<EntryId>> {
        if let Err(error) = LargeFile::open(disk, self.options) {
            return Ok(self.unreadable(disk, error));
        }
        let Some(metadata) = self.full_metadata(found, disk) else { return Ok(None) };
        let id = self.sink.start_entry(&found.path, metadata)?;
        if self.has_more_names(&found.stat) {
            self.expect_links(id, found.clone());
        }
        self.file(&found.path, found.stat.size);
        Ok(Some(id))
    }

    /// Whether other names of the entry may come, which are to be packed as links to it.
    fn has_more_names(&self, stat: &Stat) -> bool {
        stat.links > 1 && self.options.fixed.is_none()
    }

    /// What the file system tells of the entry; attributes that cannot be read are told, and left out.
    fn full_metadata(&mut self, found: &Found, disk: &Path) -> Option<Metadata> {
        let mut metadata = self.metadata.plain(&found.stat);
        let device = found.stat.device;
        match reach(disk).and_then(|at| self.metadata.user_xattrs(at.path(), device)) {
            Ok(xattrs) => metadata.xattrs = xattrs,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return self.unreadable(disk, error);
            }
            Err(error) => {
                let kind = ProblemKind::AttributesLost(error);
                self.problem(Problem { path: found.path.clone(), kind });
            }
        }
        Some(metadata)
    }

    fn expect_links(&mut self, id: EntryId, found: Found) {
        self.sink.expect_hard_links(id);
        let original = Original { id, path: found.path, left: found.stat.links - 1 };
        self.links.insert((found.stat.device, found.stat.inode), original);
    }

    fn file(&mut self, path: &[u8], size: u64) {
        self.summary.files += 1;
        self.summary.bytes += size;
        self.tell(path, EntryKind::File, size);
    }

    fn tell(&mut self, path: &[u8], kind: EntryKind, size: u64) {
        (self.observer)(WalkEvent::Entry { path, kind, size });
    }

    fn unreadable<T>(&mut self, path: &Path, error: io::Error) -> Option<T> {
        self.summary.unreadable += 1;
        (self.observer)(WalkEvent::Unreadable { path, error });
        None
    }

    fn problems(&mut self) {
        self.since_problems = 0;
        for problem in self.sink.take_problems() {
            self.problem(problem);
        }
    }

    fn problem(&mut self, problem: Problem) {
        self.summary.problems += 1;
        let lost = match problem.kind {
            ProblemKind::Unreadable(_) => &mut self.summary.files,
            ProblemKind::LostOriginal => &mut self.summary.hard_links,
            _ => &mut 0,
        };
        *lost = lost.saturating_sub(1);
        (self.observer)(WalkEvent::Problem(problem));
    }
}

/// After so many entries the sink is asked for problems.
const PROBLEMS_EVERY: u32 = 256;
