//! Going on with a file that is there.

use std::path::Path;

use super::car_store::CarStore;
use super::create::check_version;
use super::disk::Disk;
use super::file_disk::FileDisk;
use super::journal::Journal;
use super::options::StoreOptions;
use super::scan::{Trust, scan};
use super::window::Window;
use super::writer::{Stage, Unfinished};
use crate::error::{Error, ErrorKind, Part, Result};
use crate::read_at::{AtReader, read_full};
use crate::v2::{V2_PRAGMA, V2Header, payload_start};
use crate::{CarReader, Cid, ReaderOptions};

impl CarStore {
    /// Opens a file to put more blocks into it: a finished CARv2, or one that was not finished, by this crate or by go-car.
    ///
    /// Nothing is written, unless a [journal](CarStore#the-journal) says that something has to be undone. Until the first put the file
    /// stays byte for byte what it is.
    ///
    /// Of an unfinished file all blocks are hashed, and a section that is torn at the end is left out; of a finished one the heads of
    /// sections are read; of one that was finished before, the blocks that were put since are hashed ([`StoreOptions`] say otherwise).
    /// A fault before the torn end is an error that says where, and so is a section that is bad while sound ones follow
    /// ([`ErrorKind::NotTorn`]).
    pub fn open(path: impl AsRef<Path>, options: StoreOptions) -> Result<Self> {
        check_version(&options)?;
        CarStore::resume(Box::new(FileDisk::open(path.as_ref())?), None, options)
    }

    /// Makes a file what it was when it was last finished, as [`discard`](Self::discard) does, without a look at what has been put since:
    /// for files that cannot be opened. `false` if it is finished, or has never been.
    pub fn restore(path: impl AsRef<Path>) -> Result<bool> {
        CarStore::restore_on(&FileDisk::open(path.as_ref())?)
    }

    pub(super) fn restore_on(disk: &dyn Disk) -> Result<bool> {
        let (_, frame) = read_frame(disk)?;
        match settle(disk, &frame)? {
            Some(State::Written(journal)) => journal.restore(disk).map(|()| true),
            Some(State::Restored(_)) => Ok(true),
            Some(State::Finished(_)) | None => Ok(false),
        }
    }

    pub(super) fn resume(
        disk: Box<dyn Disk>,
        roots: Option<&[Cid]>,
        mut options: StoreOptions,
    ) -> Result<Self> {
        let (len, frame) = read_frame(&*disk)?;
        let state = match settle(&*disk, &frame)? {
            Some(state) => Some(state),
            None if frame == [0; V2Header::LEN] => None,
            None => Some(State::Finished(V2Header::decode(&frame, Some(len))?)),
        };
        let len = disk.size().map_err(io)?;
        let start = match &state {
            Some(State::Finished(header) | State::Restored(header)) => header.data_offset,
            Some(State::Written(journal)) => journal.header.data_offset,
            None => payload_start(&options.file),
        };
        options.file.data_padding = start.saturating_sub(V2Header::DATA_OFFSET);
        let payload_len = match &state {
            Some(State::Finished(header) | State::Restored(header)) => {
                check_end(header, len)?;
                header.data_size
            }
            _ => len.saturating_sub(start),
        };
        let trust = match &state {
            Some(State::Finished(_) | State::Restored(_)) => Trust::in_all(payload_len, &options),
            Some(State::Written(journal)) => Trust::in_all(journal.header.data_size, &options),
            None => Trust { sealed: 0, hashed_from: options.hashed_from(payload_len) },
        };
        let payload = Window { source: &*disk, start, len: payload_len };
        let scanned = scan(payload, &options, trust).map_err(|error| error.with_base(start))?;
        check_roots(roots, &scanned.roots)?;
        let unsynced = scanned.end.saturating_sub(trust.sealed);
        let unfinished = |has_journal| {
            let is_cut = scanned.end == payload_len;
            let (has_name, is_relied_on) = (false, true);
            Stage::Unfinished(Unfinished { is_cut, has_journal, has_name, is_relied_on })
        };
        let stage = match state {
            Some(State::Finished(header) | State::Restored(header)) => Stage::Finished(header, len),
            Some(State::Written(journal)) if scanned.end == trust.sealed => {
                journal.restore(&*disk)?; // Nothing has been put.
                Stage::Finished(journal.header, disk.size().map_err(io)?)
            }
            Some(State::Written(_)) => unfinished(true),
            None => unfinished(false),
        };
        Ok(CarStore::new(disk, options, scanned, stage, unsynced))
    }
}

impl Trust {
    /// In a payload that is on disk up to here.
    fn in_all(len: u64, options: &StoreOptions) -> Self {
        Trust { sealed: len, hashed_from: if options.hash_all { 0 } else { len } }
    }
}

/// What a file is that is finished, or was.
enum State {
    Finished(V2Header),
    /// It is so again.
    Restored(V2Header),
    /// Blocks may have been put into it since.
    Written(Journal),
}

/// Does what a journal asks for. `None` if there is none, or none that is needed.
///
/// The journal was there before anything was changed, and goes when all is done, so what the header says is the state of the CAR: the
/// old header that nothing has been synced since, a new one that all is done.
fn settle(disk: &dyn Disk, frame: &[u8; V2Header::LEN]) -> Result<Option<State>> {
    let Some(journal) = Journal::open(disk)? else {
        return Ok(None);
    };
    journal.check_is_of(disk)?;
    let old = journal.header;
    let is_untouched = journal.has_tail_of(disk)?;
    if *frame == old.encode() {
        match is_untouched && journal.has_len_of(disk)? {
            true => disk.remove_journal().map_err(io)?,
            false => journal.restore(disk)?,
        }
        return Ok(Some(State::Restored(old)));
    }
    if let Ok(new) = V2Header::decode(frame, Some(disk.size().map_err(io)?)) {
        disk.remove_journal().map_err(io)?;
        return Ok(Some(State::Finished(new)));
    }
    if is_untouched {
        journal.restore(disk)?;
        return Ok(Some(State::Restored(old)));
    }
    Ok(Some(State::Written(journal)))
}

/// The length of the file, and the header behind its pragma.
fn read_frame(disk: &dyn Disk) -> Result<(u64, [u8; V2Header::LEN])> {
    let len = disk.size().map_err(io)?;
    let mut bytes = [0; V2Header::DATA_OFFSET as usize];
    let read = read_full(disk, &mut bytes, 0).map_err(io)?;
    let (pragma, frame) = bytes.split_at(V2_PRAGMA.len());
    if pragma != V2_PRAGMA {
        // Only a CARv1 opens here.
        CarReader::open_seekable(AtReader::new(disk), ReaderOptions::default())?;
        return Err(Error::at(ErrorKind::UnsupportedVersion(1), 0));
    }
    match frame.first_chunk() {
        Some(frame) if read == bytes.len() => Ok((len, *frame)),
        _ => Err(Error::at(ErrorKind::Truncated(Part::V2Header), len)),
    }
}

/// Refuses a finished file that has bytes which nobody could put back.
fn check_end(header: &V2Header, len: u64) -> Result<()> {
    match header.index_offset.is_none() && header.data_end() < len {
        true => {
            let kind = ErrorKind::BadV2Header("there are bytes behind its data, and no index");
            Err(Error::at(kind, header.data_end()))
        }
        false => Ok(()),
    }
}

/// Compares the roots, whose order has no meaning here.
fn check_roots(expected: Option<&[Cid]>, found: &[Cid]) -> Result<()> {
    let sorted = |roots: &[Cid]| {
        let mut roots = roots.to_vec();
        roots.sort_unstable();
        roots
    };
    match expected {
        Some(expected) if sorted(expected) != sorted(found) => {
            Err(Error::new(ErrorKind::OtherRoots))
        }
        _ => Ok(()),
    }
}

fn io(error: std::io::Error) -> Error {
    Error::at(ErrorKind::Io(error), 0)
}
