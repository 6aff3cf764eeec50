//! A pack against a directory.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use carstone_layer::{Ordered, Pool, ReadAt};
use rustix::fs::Stat;
use sha2::{Digest, Sha256};
use xattr::FileExt;

use super::levels::{Levels, is_kind, open, size_of, target};
use super::{CompareObserver, CompareOptions, CompareReport, DifferenceKind, Tally};
use crate::entry::{Announced, EntryKind, Listed};
use crate::error::{Error, ErrorKind};
use crate::fs::restore::{Directories, RestoreError, look, mtime_of, open_file};
use crate::path::split_path;
use crate::reader::PackReader;
use crate::sorter::Sorter;

/// Compares `directory` with the pack; `observer` hears each difference. Content is compared by SHA-256, which is computed of
/// the directory's files; whether the pack's own content is sound is for [`PackReader::verify`].
///
/// # Errors
/// The directory cannot be opened, or a temporary file fails. What stops the comparison otherwise is in
/// [`CompareReport::stopped`].
pub fn compare_tree<R>(
    reader: &PackReader<R>,
    directory: impl AsRef<Path>,
    options: &CompareOptions,
    observer: &mut CompareObserver,
) -> Result<CompareReport, RestoreError>
where
    R: ReadAt + Clone + Send + Sync + 'static,
{
    let directories = Arc::new(open(directory.as_ref())?);
    let mut observer = |difference| observer(difference);
    let mut tally = Tally { observer: &mut observer, report: CompareReport::default() };
    let mut deep = Sorter::new(SORT_BUDGET);
    let spilled = |error| RestoreError::system("sort the entries", error);

    let mut levels = Levels::new(&directories);
    for entry in reader.entries() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                tally.report.stopped = Some(error);
                break;
            }
        };
        tally.report.entries += 1;
        if shallow(&directories, &mut levels, &entry, options, &mut tally)
            && let (Some(record), Some(id)) = (entry.record, entry.id)
        {
            let key = [record.to_be_bytes(), id.to_be_bytes()].concat();
            let mut value = vec![u8::from(entry.sha256.is_some())];
            value.extend_from_slice(&entry.sha256.unwrap_or_default());
            value.extend_from_slice(&entry.path);
            deep.push(&key, &value).map_err(spilled)?;
        }
    }
    if tally.report.stopped.is_none() {
        levels.finish(&mut |path, kind| tally.tell(path, kind));
    }

    let (reading, shared, metadata) = (reader.clone(), Arc::clone(&directories), options.metadata);
    let pool = Pool::new(options.threads, move |job| work(&reading, &shared, metadata, job));
    let mut queue = Ordered::new(pool, BUDGET);
    let deep = deep.finish().map_err(spilled)?;
    let mut deep = deep.iter().map_err(spilled)?;
    let mut job = Job::default();
    while let Some((key, value)) = deep.next().map_err(spilled)? {
        let Some((record, item)) = read_plan(key, value) else { continue };
        if record != job.record || job.items.len() >= MOST_ITEMS {
            push(
                &mut queue,
                std::mem::replace(&mut job, Job { record, items: Vec::new() }),
                &mut tally,
            );
        }
        job.items.push(item);
    }
    push(&mut queue, job, &mut tally);
    while let Some(done) = queue.pop() {
        settle(done, &mut tally);
    }
    Ok(tally.report)
}

/// Compares what the manifest and the file system's directories tell. Gives whether content and attributes are still to be compared.
fn shallow(
    directories: &Directories,
    levels: &mut Levels<'_>,
    entry: &Listed,
    options: &CompareOptions,
    tally: &mut Tally<'_>,
) -> bool {
    let path = &entry.path;
    let found = levels.take(path, &mut |path, kind| tally.tell(path, kind));
    let stat = match found {
        Ok(Some(stat)) if is_kind(&stat, entry.kind) => stat,
        Ok(Some(_)) => {
            tally.tell(path, DifferenceKind::Kind { expected: entry.kind });
            return false;
        }
        Ok(None) => {
            tally.tell(path, DifferenceKind::Missing);
            return false;
        }
        Err(error) => {
            tally.tell(path, DifferenceKind::Unreadable(error));
            return false;
        }
    };
    if options.metadata {
        compare_metadata(directories, entry, &stat, tally);
    }
    match entry.kind {
        EntryKind::Directory => {
            if let Err(error) = levels.enter(path) {
                tally.tell(path, DifferenceKind::Unreadable(error));
                return false;
            }
            options.metadata
        }
        EntryKind::File => match entry.size {
            Some(expected) if expected != size_of(&stat) => {
                let found = size_of(&stat);
                tally.tell(path, DifferenceKind::Size { expected, found });
                false
            }
            _ => true,
        },
        EntryKind::Symlink => {
            match target(directories, path) {
                Ok(found) if Some(&found) != entry.target.as_ref() => {
                    let expected = entry.target.clone().unwrap_or_default();
                    tally.tell(path, DifferenceKind::Target { expected, found });
                }
                Ok(_) => {}
                Err(error) => tally.tell(path, DifferenceKind::Unreadable(error)),
            }
            false
        }
        EntryKind::HardLink => {
            let original = entry.target.clone().unwrap_or_default();
            if options.metadata && !same_file(directories, &original, &stat) {
                tally.tell(path, DifferenceKind::HardLink { original });
            }
            // Where it is a file of its own, its content still tells something.
            true
        }
    }
}

fn compare_metadata(directories: &Directories, entry: &Listed, stat: &Stat, tally: &mut Tally<'_>) {
    // The mode of a symlink means nothing, and that of a hard link is its original's.
    let has_mode = matches!(entry.kind, EntryKind::File | EntryKind::Directory);
    let found = stat.st_mode & 0o7777;
    if let Some(expected) = entry.mode.filter(|&mode| has_mode && mode != found) {
        tally.tell(&entry.path, DifferenceKind::Mode { expected, found });
    }
    let found = mtime_of(stat);
    if let Some(expected) = entry.mtime
        && expected != found
        && !(entry.kind == EntryKind::HardLink
            && same_file(directories, entry.target.as_deref().unwrap_or_default(), stat))
    {
        tally.tell(&entry.path, DifferenceKind::Mtime { expected, found });
    }
}

fn same_file(directories: &Directories, path: &[u8], stat: &Stat) -> bool {
    let Some((parent, name)) = split_path(path) else { return false };
    let original = directories.open(parent).and_then(|parent| look(&parent, name));
    matches!(original, Ok(Some(original))
        if (original.st_dev, original.st_ino) == (stat.st_dev, stat.st_ino))
}

/// Entries of one batch whose content or attributes are to be compared.
#[derive(Default)]
struct Job {
    record: u64,
    items: Vec<Item>,
}

struct Item {
    id: u64,
    path: Vec<u8>,
    sha256: Option<[u8; 32]>,
}

#[derive(Default)]
struct Done {
    differences: Vec<(Vec<u8>, DifferenceKind)>,
    bytes: u64,
}

fn push(queue: &mut Ordered<Job, Done>, job: Job, tally: &mut Tally<'_>) {
    if job.items.is_empty() {
        return;
    }
    while !queue.has_room(JOB_COST) {
        match queue.pop() {
            Some(done) => settle(done, tally),
            None => break,
        }
    }
    queue.push(job, JOB_COST);
}

fn settle(done: Result<Done, carstone_layer::Error>, tally: &mut Tally<'_>) {
    match done {
        Ok(done) => {
            tally.report.bytes += done.bytes;
            done.differences.into_iter().for_each(|(path, kind)| tally.tell(&path, kind));
        }
        Err(error) => {
            let error = Error::new(ErrorKind::Io(error.into()), 0);
            tally.tell(b"", DifferenceKind::Source(error.into()));
        }
    }
}

fn work<R: ReadAt>(
    reader: &PackReader<R>,
    directories: &Directories,
    metadata: bool,
    job: Job,
) -> Done {
    let mut done = Done::default();
    let batch = reader.batch(job.record);
    let entries = batch.as_ref().map_or(&[][..], |batch| &batch.entries);
    for item in job.items {
        let found = entries.iter().find(|entry| entry.id == item.id && entry.path == item.path);
        let Some(entry) = found else {
            let error = Error::mismatch(&item.path, "its entry in the batch", job.record);
            done.differences.push((item.path, DifferenceKind::Source(error.into())));
            continue;
        };
        if let Err(kind) = deep(reader, directories, metadata, entry, &item, &mut done) {
            done.differences.push((item.path, kind));
        }
    }
    done
}

/// Compares content and attributes of one entry.
fn deep<R: ReadAt>(
    reader: &PackReader<R>,
    directories: &Directories,
    metadata: bool,
    entry: &Announced,
    item: &Item,
    done: &mut Done,
) -> Result<(), DifferenceKind> {
    let unreadable = DifferenceKind::Unreadable;
    let source = |error: Error| DifferenceKind::Source(error.into());
    let path = &item.path;
    let (parent, name) = split_path(path).unwrap_or_default();
    let file = match entry.kind {
        EntryKind::Directory => directories.open(path).map_err(unreadable)?,
        _ => {
            let parent = directories.open(parent).map_err(unreadable)?;
            if entry.kind == EntryKind::HardLink {
                // A link to a symlink has no content.
                match look(&parent, name).map_err(unreadable)? {
                    Some(stat) if is_kind(&stat, EntryKind::File) => {}
                    _ => return Ok(()),
                }
            }
            Arc::new(open_file(&parent, name).map_err(unreadable)?)
        }
    };
    if metadata && entry.kind != EntryKind::HardLink {
        let same = same_xattrs(&file, entry).map_err(|error| {
            DifferenceKind::Unreadable(RestoreError::system("list the attributes", error))
        })?;
        if !same {
            done.differences.push((path.clone(), DifferenceKind::Xattrs));
        }
    }
    let expected = match (entry.kind, item.sha256, entry.root) {
        (EntryKind::Directory | EntryKind::Symlink, ..) => return Ok(()),
        (_, Some(sha256), _) => Some(sha256),
        (EntryKind::HardLink, ..) | (_, None, None) => {
            let listed = reader.find(path).map_err(source)?;
            let sha256 = listed.map(|listed| reader.sha256(&listed)).transpose();
            sha256.map_err(source)?.flatten()
        }
        (_, None, root) => root.and_then(|root| root.hash().digest().try_into().ok()),
    };
    let (mut hasher, mut piece) = (Sha256::new(), vec![0; PIECE]);
    loop {
        let n = (&*file).read(&mut piece).map_err(|error| {
            DifferenceKind::Unreadable(RestoreError::system("read the file", error))
        })?;
        if n == 0 {
            break;
        }
        done.bytes += n as u64;
        hasher.update(&piece[..n]);
    }
    match Some(<[u8; 32]>::from(hasher.finalize())) == expected {
        true => Ok(()),
        false => Err(DifferenceKind::Content),
    }
}

/// Whether the attributes of users are the same.
fn same_xattrs(file: &std::fs::File, entry: &Announced) -> std::io::Result<bool> {
    use std::os::unix::ffi::OsStrExt;
    let names = match file.list_xattr() {
        Ok(names) => names.collect(),
        Err(error) if error.kind() == std::io::ErrorKind::Unsupported => Vec::new(),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for name in names.iter().filter(|name| name.as_bytes().starts_with(b"user.")) {
        let value = file.get_xattr(name)?.unwrap_or_default();
        found.push((name.as_bytes().to_vec(), value));
    }
    found.sort();
    let expected = entry.metadata.xattrs.iter().filter(|(name, _)| name.starts_with(b"user."));
    Ok(expected.eq(found.iter()))
}

fn read_plan(key: &[u8], value: &[u8]) -> Option<(u64, Item)> {
    let (record, id) = key.split_first_chunk::<8>()?;
    let (has, value) = value.split_first()?;
    let (sha256, path) = value.split_first_chunk::<32>()?;
    let id = u64::from_be_bytes(id.try_into().ok()?);
    let sha256 = Some(*sha256).filter(|_| *has != 0);
    Some((u64::from_be_bytes(*record), Item { id, path: path.to_vec(), sha256 }))
}

const SORT_BUDGET: usize = 16 << 20;
/// What a job holds in memory: a batch and a piece of a file.
const JOB_COST: usize = 2 << 20;
const BUDGET: usize = 32 << 20;
const PIECE: usize = 256 << 10;
/// Entries in one job.
const MOST_ITEMS: usize = 64;
