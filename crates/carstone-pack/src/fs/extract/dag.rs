//! Extraction from blocks alone: plain CARs, stores, whoever made them.

use std::collections::HashSet;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use carstone_unixfs::{
    BlockSource, Cid, Entry, EntryKind as Found, ErrorKind as Fault, FileReader, Limits, State,
    Step, walk,
};

use super::{ExtractOptions, ExtractReport, Selection, Tally, cancelled};
use crate::entry::{Metadata, Timestamp};
use crate::error::{Error, ErrorKind};
use crate::fs::restore::{
    NewFile, RestoreError, RestoreErrorKind, RestoreEvent, RestoreObserver, Restorer,
};

/// Restores what is selected of the trees under `roots`. `observer` hears of each entry.
///
/// The entries of one root that is a directory stand at the top of the target. One root that is a file or symlink is named
/// `name`, or `unknown`. Several roots stand under the texts of their CIDs; equal ones are one, and so do [loose](ExtractOptions::loose_roots) ones. Blocks are believed, as
/// [`BlockSource`] says: the source must have compared them with their CIDs. Mode and time are restored where the DAG states them.
///
/// # Errors
/// The target cannot be used. Missing and damaged blocks are told to `observer`; a failing source, or a tree over the limits, is in
/// [`ExtractReport::stopped`].
pub fn extract_dag<S: BlockSource>(
    source: &S,
    roots: &[Cid],
    name: Option<&[u8]>,
    target: impl AsRef<Path>,
    selection: &Selection,
    options: &ExtractOptions,
    observer: &mut RestoreObserver,
) -> Result<ExtractReport, RestoreError> {
    let restorer = Restorer::new(target, options.restore.clone())?;
    let mut observer = |event| observer(event);
    let mut tally = Tally::new(&mut observer);
    let loose = options.loose.iter().map(|root| {
        let prefix = root.to_string().into_bytes();
        (*root, Names { prefix, single: b"" })
    });
    for (root, names) in named(roots, name).into_iter().chain(loose) {
        let walked = walk(source, &root, &Limits::default(), &mut |entry| {
            if options.is_cancelled() {
                return Ok(Step::Stop);
            }
            let path = names.of(&entry);
            if selection.selects(&path) {
                restore(&restorer, source, entry, &path, options, &mut tally);
            }
            Ok(Step::Into)
        });
        if let Err(error) = walked {
            tally.report.stopped = Some(Error::new(ErrorKind::UnixFs(error), 0));
            break;
        }
    }
    if options.is_cancelled() {
        tally.report.stopped = Some(cancelled());
    }
    restorer.finish(&mut |event| tally.tell(event));
    tally.report.unmatched = selection.unmatched();
    Ok(tally.report)
}

/// The roots, each once, and how the entries below it are called.
pub(in crate::fs) fn named<'a>(roots: &[Cid], name: Option<&'a [u8]>) -> Vec<(Cid, Names<'a>)> {
    let (mut roots, mut seen) = (roots.to_vec(), HashSet::new());
    roots.retain(|root| seen.insert(*root));
    let several = roots.len() > 1;
    let names = |root: &Cid| Names {
        prefix: if several { root.to_string().into_bytes() } else { Vec::new() },
        single: name.unwrap_or(b"unknown"),
    };
    roots.iter().map(|root| (*root, names(root))).collect()
}

/// Where the entries of a DAG stand.
pub(in crate::fs) struct Names<'a> {
    /// Name of the root among several.
    pub(in crate::fs) prefix: Vec<u8>,
    /// Name of a root that is no directory.
    pub(in crate::fs) single: &'a [u8],
}

impl Names<'_> {
    pub(in crate::fs) fn of(&self, entry: &Entry) -> Vec<u8> {
        let below = !entry.path.is_empty();
        match (self.prefix.is_empty(), below) {
            (true, true) => entry.path.clone(),
            // A part of a directory has the path of the whole.
            (true, false) if matches!(entry.kind, Found::Directory | Found::Shard) => Vec::new(),
            (true, false) => self.single.to_vec(),
            (false, true) => [&self.prefix, entry.path.as_slice()].join(&b'/'),
            (false, false) => self.prefix.clone(),
        }
    }
}

fn restore<S: BlockSource>(
    restorer: &Restorer,
    source: &S,
    entry: Entry,
    path: &[u8],
    options: &ExtractOptions,
    tally: &mut Tally<'_>,
) {
    let mut told = |event| tally.tell(event);
    if let Some(error) = fault(entry.state, &entry.kind, &entry.cid) {
        restorer.claim(path, &mut told);
        return told_problem(&mut told, path, error);
    }
    let metadata = Metadata {
        mode: entry.mode.map(|mode| mode & 0o7777),
        mtime: entry.mtime.map(|(seconds, nanos)| Timestamp { seconds, nanos }),
        ..Metadata::default()
    };
    match &entry.kind {
        Found::Directory => {
            restorer.directory(path, &metadata, &mut told);
        }
        Found::Symlink { target } => {
            restorer.symlink(path, target, &metadata, &mut told);
        }
        _ => {
            let Some(file) = restorer.create(path, &metadata, &mut told) else { return };
            let mut content = match FileReader::open(source, &entry.cid) {
                Ok(content) => content,
                Err(error) => return told_problem(&mut told, path, error.into()),
            };
            match copy(&mut content, &file, options, &mut told) {
                Ok(Copied::All(size)) => {
                    restorer.place(file, &metadata, size, &mut told);
                }
                Ok(Copied::Parts(missing)) => {
                    let mut file = file;
                    let is_worth = missing.iter().map(|hole| hole.end - hole.start).sum::<u64>()
                        < content.len();
                    let kept = is_worth && restorer.place_partial(&mut file, &metadata, &mut told);
                    let error = match kept {
                        true => RestoreError::kept(Some(content.len()), missing, Vec::new()),
                        false => RestoreError::incomplete(Some(content.len()), missing),
                    };
                    told_problem(&mut told, path, error);
                }
                Ok(Copied::Cancelled) => {}
                Err(error) => told_problem(&mut told, path, error),
            }
        }
    }
}

/// What has come of a file.
enum Copied {
    /// All of it, so many bytes.
    All(u64),
    /// All but this.
    Parts(Vec<Range<u64>>),
    Cancelled,
}

/// Writes the content of a file, and where parts are to be kept, what stands behind those that cannot be read.
fn copy<S: BlockSource>(
    content: &mut FileReader<S>,
    file: &NewFile,
    options: &ExtractOptions,
    told: &mut RestoreObserver,
) -> Result<Copied, RestoreError> {
    let (mut piece, mut offset, mut missing) = (vec![0; PIECE], 0, Vec::<Range<u64>>::new());
    loop {
        if options.is_cancelled() {
            return Ok(Copied::Cancelled);
        }
        match content.read(&mut piece) {
            Ok(0) if missing.is_empty() => return Ok(Copied::All(offset)),
            Ok(0) => return Ok(Copied::Parts(missing)),
            Ok(n) => {
                let wrote = file.write_at(&piece[..n], offset);
                offset += n as u64;
                told(RestoreEvent::Progress { bytes: n as u64 });
                wrote.map_err(|error| RestoreError::system("write the file", error))?;
            }
            Err(error) => {
                let error = carstone_unixfs::Error::from(error);
                let hole = content.unreadable();
                if !options.partial || matches!(error.kind(), Fault::Io(_)) || hole.is_empty() {
                    return Err(error.into());
                }
                let to = content.seek(SeekFrom::Start(hole.end));
                offset = to.map_err(|error| RestoreError::system("read on", error))?;
                match missing.last_mut() {
                    Some(last) if last.end == hole.start => last.end = hole.end,
                    _ => missing.push(hole),
                }
            }
        }
    }
}

fn told_problem(told: &mut RestoreObserver, path: &[u8], error: RestoreError) {
    told(RestoreEvent::Problem { path: path.to_vec(), error });
}

/// Why an entry cannot be restored.
pub(in crate::fs) fn fault(state: State, kind: &Found, cid: &Cid) -> Option<RestoreError> {
    let unsupported = |what| Some(RestoreError::new(RestoreErrorKind::Unsupported(what)));
    match (state, kind) {
        (State::Present, Found::File | Found::Directory | Found::Symlink { .. }) => None,
        (State::Present, _) => unsupported("the block is neither file nor directory nor symlink"),
        (State::Missing, _) => {
            Some(RestoreError::new(RestoreErrorKind::MissingBlock(Box::new(*cid))))
        }
        (State::Damaged(error), _) => Some(error.into()),
        (State::BadName(_), _) => unsupported("the name must not reach a file system"),
        (State::Duplicate, _) => unsupported("another entry of the directory has the same name"),
        _ => unsupported("it stands where nobody would find it by its name"),
    }
}

const PIECE: usize = 1 << 20;
