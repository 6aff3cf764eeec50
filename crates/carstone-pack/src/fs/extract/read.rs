//! What the pool does for an extraction at random: reads from the pack and writes to the target.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use carstone_layer::ReadAt;

use super::output::{Output, Piece};
use crate::entry::{Announced, EntryKind, Listed};
use crate::error::{Error, ErrorKind};
use crate::fs::restore::{RestoreEvent, Restorer};
use crate::reader::PackReader;

/// An entry of a batch.
pub(super) struct Item {
    pub(super) id: u64,
    pub(super) path: Vec<u8>,
    /// Where its leaf stands, if it is a file that has one.
    pub(super) leaf: Option<u64>,
}

pub(super) enum Job {
    /// Entries of the batch at `record`.
    Batch { record: u64, items: Vec<Item> },
    /// A part of a long file.
    Piece { piece: Piece, file: Arc<Listed>, offset: u64, len: usize },
    /// The end of a long file.
    End { output: Arc<Output>, id: Option<u64>, size: u64, sha256: [u8; 32] },
}

/// What came of a job.
#[derive(Default)]
pub(super) struct Done {
    pub(super) events: Vec<RestoreEvent>,
    pub(super) restored: Vec<u64>,
}

/// What the pool does.
pub(super) fn work<R: ReadAt + Clone>(
    reader: &PackReader<R>,
    restorer: &Restorer,
    job: Job,
) -> Done {
    let mut done = Done::default();
    match job {
        Job::Batch { record, items } => restore_batch(reader, restorer, record, &items, &mut done),
        Job::Piece { piece, file, offset, len } => match read_piece(reader, &file, offset, len) {
            Ok(data) => {
                if piece.write(Arc::new(data), offset) {
                    done.events.push(RestoreEvent::Progress { bytes: len as u64 });
                }
            }
            Err(error) => piece.fail(Error::from(error).into()),
        },
        Job::End { output, id, size, sha256 } => {
            let Done { events, restored } = &mut done;
            if output.finish(restorer, size, Some(&sha256), &mut |event| events.push(event)) {
                restored.extend(id);
            }
        }
    }
    done
}

fn read_piece<R: ReadAt + Clone>(
    reader: &PackReader<R>,
    file: &Listed,
    offset: u64,
    len: usize,
) -> io::Result<Vec<u8>> {
    let mut content = reader.open_file(file)?;
    content.seek(SeekFrom::Start(offset))?;
    let mut data = vec![0; len];
    content.read_exact(&mut data)?;
    Ok(data)
}

/// Restores directories, symlinks and whole files that one batch announces.
fn restore_batch<R: ReadAt>(
    reader: &PackReader<R>,
    restorer: &Restorer,
    record: u64,
    items: &[Item],
    done: &mut Done,
) {
    let (batch, mut fault) = match reader.batch(record) {
        Ok(batch) => (Some(batch), None),
        Err(fault) => (None, Some(fault)),
    };
    let mut data = Vec::new();
    for item in items {
        let found = match &batch {
            Some(batch) => find(&batch.entries, item, record),
            // The first entry tells what is wrong with the batch, and where.
            None => Err(fault.take().unwrap_or_else(|| {
                Error::new(ErrorKind::BadRecord("its entry batch is damaged"), record)
            })),
        };
        let found = found.and_then(|entry| {
            if entry.kind == EntryKind::File {
                read_leaf(reader, entry, item.leaf, &mut data)?;
            }
            Ok(entry)
        });
        let Done { events, restored } = done;
        let mut told = |event| events.push(event);
        let there = match found {
            Err(error) => {
                let path = item.path.clone();
                told(RestoreEvent::Problem { path, error: error.into() });
                false
            }
            Ok(entry) => {
                let (path, metadata) = (entry.path.as_slice(), &entry.metadata);
                match entry.kind {
                    EntryKind::File => {
                        let there = restorer.file(path, metadata, &data, &mut told);
                        told(RestoreEvent::Progress { bytes: data.len() as u64 });
                        there
                    }
                    EntryKind::Symlink => {
                        let target = entry.target.as_deref().unwrap_or_default();
                        restorer.symlink(path, target, metadata, &mut told)
                    }
                    EntryKind::Directory => restorer.directory(path, metadata, &mut told),
                    EntryKind::HardLink => false,
                }
            }
        };
        if there {
            restored.push(item.id);
        }
    }
}

/// The content of a file of one leaf, which must be its root.
fn read_leaf<R: ReadAt>(
    reader: &PackReader<R>,
    entry: &Announced,
    position: Option<u64>,
    data: &mut Vec<u8>,
) -> Result<(), Error> {
    let at = position.unwrap_or_default();
    let found = match position {
        Some(position) => reader.leaf(position, data)?.map(|section| section.cid),
        None => None,
    };
    let (root, size) = match entry.root {
        Some(root) => (Some(root), entry.size),
        // The batch was written before its content was known; the directory links to it.
        None => {
            let listed = reader.find(&entry.path)?;
            let link = listed.as_ref().map(|listed| reader.link(listed)).transpose()?;
            (link.flatten(), listed.and_then(|listed| listed.size))
        }
    };
    match root.is_some() && found == root && Some(data.len() as u64) == size {
        true => Ok(()),
        false => Err(Error::mismatch(&entry.path, "its leaf", at)),
    }
}

pub(super) fn find<'a>(
    entries: &'a [Announced],
    item: &Item,
    record: u64,
) -> Result<&'a Announced, Error> {
    let found = entries.iter().find(|entry| entry.id == item.id && entry.path == item.path);
    found.ok_or_else(|| Error::mismatch(&item.path, "its entry in the batch", record))
}
