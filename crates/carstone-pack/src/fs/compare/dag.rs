//! Blocks against a directory: kinds, content and link targets.

use std::io::Read;
use std::path::Path;

use carstone_unixfs::{
    BlockSource, Cid, Entry, EntryKind as Found, FileReader, Limits, Step, walk,
};

use super::levels::{Levels, is_kind, open, size_of, target};
use super::{CompareObserver, CompareReport, DifferenceKind, Tally};
use crate::entry::EntryKind;
use crate::error::{Error, ErrorKind};
use crate::fs::extract::{fault, named};
use crate::fs::restore::{Directories, RestoreError, open_file};
use crate::path::split_path;

/// Compares `directory` with the trees under `roots`, which stand as [`extract_dag`](crate::fs::extract_dag) would put them.
/// `observer` hears each difference.
///
/// # Errors
/// The directory cannot be opened. What stops the comparison otherwise is in [`CompareReport::stopped`].
pub fn compare_dag<S: BlockSource>(
    source: &S,
    roots: &[Cid],
    name: Option<&[u8]>,
    directory: impl AsRef<Path>,
    observer: &mut CompareObserver,
) -> Result<CompareReport, RestoreError> {
    let directories = open(directory.as_ref())?;
    let mut observer = |difference| observer(difference);
    let mut tally = Tally { observer: &mut observer, report: CompareReport::default() };
    let mut levels = Levels::new(&directories);
    let mut top = false;
    for (root, names) in named(roots, name) {
        let walked = walk(source, &root, &Limits::default(), &mut |entry| {
            let path = names.of(&entry);
            if !top && !path.is_empty() {
                levels.enter(b"")?; // Several roots, or one that is no directory.
            }
            top = true;
            tally.report.entries += 1;
            if let Err(kind) = compare(source, &directories, &mut levels, entry, &path, &mut tally)
            {
                tally.tell(&path, kind);
            }
            Ok(Step::Into)
        });
        if let Err(error) = walked {
            tally.report.stopped = Some(Error::new(ErrorKind::UnixFs(error), 0));
            return Ok(tally.report);
        }
    }
    levels.finish(&mut |path, kind| tally.tell(path, kind));
    Ok(tally.report)
}

fn compare<S: BlockSource>(
    source: &S,
    directories: &Directories,
    levels: &mut Levels<'_>,
    entry: Entry,
    path: &[u8],
    tally: &mut Tally<'_>,
) -> Result<(), DifferenceKind> {
    let unreadable = DifferenceKind::Unreadable;
    let expected = match &entry.kind {
        Found::Directory => EntryKind::Directory,
        Found::Symlink { .. } => EntryKind::Symlink,
        _ => EntryKind::File,
    };
    let found = levels.take(path, &mut |path, kind| tally.tell(path, kind));
    if let Some(error) = fault(entry.state, &entry.kind, &entry.cid) {
        return Err(DifferenceKind::Source(error));
    }
    let stat = found.map_err(unreadable)?.ok_or(DifferenceKind::Missing)?;
    if !is_kind(&stat, expected) {
        return Err(DifferenceKind::Kind { expected });
    }
    match &entry.kind {
        Found::Directory => levels.enter(path).map_err(unreadable),
        Found::Symlink { target: expected } => {
            let found = target(directories, path).map_err(unreadable)?;
            match found == *expected {
                true => Ok(()),
                false => Err(DifferenceKind::Target { expected: expected.clone(), found }),
            }
        }
        _ => {
            if let Some(expected) = entry.size.filter(|&size| size != size_of(&stat)) {
                return Err(DifferenceKind::Size { expected, found: size_of(&stat) });
            }
            let (parent, name) = split_path(path).unwrap_or_default();
            let parent = directories.open(parent).map_err(unreadable)?;
            let mut file = open_file(&parent, name).map_err(unreadable)?;
            let broken = |error: carstone_unixfs::Error| DifferenceKind::Source(error.into());
            let mut content = FileReader::open(source, &entry.cid).map_err(broken)?;
            compare_content(&mut content, &mut file, tally)
        }
    }
}

fn compare_content(
    expected: &mut impl Read,
    found: &mut impl Read,
    tally: &mut Tally<'_>,
) -> Result<(), DifferenceKind> {
    let (mut ours, mut theirs) = (vec![0; PIECE], vec![0; PIECE]);
    loop {
        let n = expected
            .read(&mut ours)
            .map_err(|error| DifferenceKind::Source(carstone_unixfs::Error::from(error).into()))?;
        if n == 0 {
            // The sizes were the same, unless the file is just growing.
            return Ok(());
        }
        match found.read_exact(&mut theirs[..n]) {
            Ok(()) if ours[..n] == theirs[..n] => tally.report.bytes += n as u64,
            Ok(()) => return Err(DifferenceKind::Content),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                return Err(DifferenceKind::Content);
            }
            Err(error) => {
                let error = RestoreError::system("read the file", error);
                return Err(DifferenceKind::Unreadable(error));
            }
        }
    }
}

const PIECE: usize = 256 << 10;
