//! Starting a new file.

use std::io;
use std::path::Path;

use super::car_store::CarStore;
use super::disk::{Disk, copy_range};
use super::file_disk::FileDisk;
use super::options::{StoreOptions, SyncPolicy};
use super::scan::{Catalog, Scanned};
use super::writer::{Stage, Unfinished};
use crate::error::{Error, ErrorKind, Result};
use crate::read_at::read_full;
use crate::v2::{V2_PRAGMA, V2Header, payload_start};
use crate::{Cid, header, writer};

impl CarStore {
    /// Makes a file with these roots, of which there may be none. The file must not be there yet.
    /// The counterpart of `OpenReadWrite` in go-car for a new file.
    ///
    /// Roots that are known only at the end are put in by [`replace_roots`](crate::replace_roots) when the file is finished.
    pub fn create(path: impl AsRef<Path>, roots: &[Cid], options: StoreOptions) -> Result<Self> {
        check_options(roots, &options)?;
        CarStore::create_on(Box::new(FileDisk::create(path.as_ref())?), roots, options)
    }

    /// Goes on with a file, which must have these roots in any order, or makes it if it is not there: what go-car's `OpenReadWrite` does.
    pub fn open_or_create(
        path: impl AsRef<Path>,
        roots: &[Cid],
        options: StoreOptions,
    ) -> Result<Self> {
        let path = path.as_ref();
        match FileDisk::open(path) {
            Ok(disk) => CarStore::resume_or_start(Box::new(disk), roots, options),
            Err(error) if is_absent(&error) => CarStore::create(path, roots, options),
            Err(error) => Err(error),
        }
    }

    pub(super) fn create_on(
        disk: Box<dyn Disk>,
        roots: &[Cid],
        options: StoreOptions,
    ) -> Result<Self> {
        match write_start(&*disk, roots, &options) {
            Ok(()) => Ok(CarStore::started(disk, roots, options)),
            Err(error) => {
                let _ = disk.remove(); // Nobody else has had it, since it is still locked. The first error counts.
                Err(error)
            }
        }
    }

    pub(super) fn resume_or_start(
        disk: Box<dyn Disk>,
        roots: &[Cid],
        options: StoreOptions,
    ) -> Result<Self> {
        check_options(roots, &options)?;
        if is_hardly_begun(&*disk, roots, &options)? {
            write_start(&*disk, roots, &options)?;
            return Ok(CarStore::started(disk, roots, options));
        }
        CarStore::resume(disk, Some(roots), options)
    }

    /// The store of a file that has what stands before the first section.
    fn started(disk: Box<dyn Disk>, roots: &[Cid], options: StoreOptions) -> Self {
        let end = header::encode(roots).len() as u64;
        let is_synced = options.sync != SyncPolicy::Never;
        let scanned = Scanned { roots: roots.to_vec(), catalog: Catalog::new(&options), end };
        let unfinished = Unfinished {
            is_cut: true,
            has_journal: false,
            has_name: is_synced,
            is_relied_on: is_synced,
        };
        let unsynced = if is_synced { 0 } else { end };
        CarStore::new(disk, options, scanned, Stage::Unfinished(unfinished), unsynced)
    }
}

/// Writes what stands before the first section.
fn write_start(disk: &dyn Disk, roots: &[Cid], options: &StoreOptions) -> Result<()> {
    let io = |error| Error::at(ErrorKind::Io(error), 0);
    if disk.journal().map_err(io)?.is_some() {
        return Err(Error::new(ErrorKind::BadJournal("its CAR is gone")));
    }
    disk.write_at(&frame(), 0)
        .and_then(|()| disk.write_at(&header::encode(roots), payload_start(&options.file)))
        .map_err(io)?;
    match options.sync {
        SyncPolicy::Never => Ok(()),
        _ => disk.sync().and_then(|()| disk.sync_name()).map_err(io),
    }
}

/// Refuses what could not be read again.
fn check_options(roots: &[Cid], options: &StoreOptions) -> Result<()> {
    check_version(options)?;
    writer::check_roots(roots, &options.file.limits)
}

/// Refuses the options of a CARv1.
pub(super) fn check_version(options: &StoreOptions) -> Result<()> {
    match options.file.version() {
        2 => Ok(()),
        version => Err(Error::new(ErrorKind::UnsupportedVersion(version))),
    }
}

/// Pragma, and a header that says nothing.
fn frame() -> Vec<u8> {
    [&V2_PRAGMA[..], &[0; V2Header::LEN]].concat()
}

/// Whether whoever made the file was stopped before it could take a block.
fn is_hardly_begun(disk: &dyn Disk, roots: &[Cid], options: &StoreOptions) -> Result<bool> {
    let io = |error| Error::at(ErrorKind::Io(error), 0);
    let len = disk.size().map_err(io)?;
    let (start, header) = (payload_start(&options.file), header::encode(roots));
    if len >= start.saturating_add(header.len() as u64) {
        return Ok(false);
    }
    let starts_with = |at: u64, expected: &[u8]| -> io::Result<bool> {
        let mut there = vec![0; expected.len()];
        let read = read_full(disk, &mut there, at)?;
        Ok(there.get(..read) == expected.get(..read))
    };
    let mut is_ours = starts_with(0, &frame()).map_err(io)?;
    is_ours &= starts_with(start, &header).map_err(io)?;
    copy_range(disk, V2Header::DATA_OFFSET.min(len), start.min(len), |padding| {
        is_ours &= padding.iter().all(|&byte| byte == 0);
        Ok(())
    })
    .map_err(io)?;
    Ok(is_ours)
}

fn is_absent(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Io(error) if error.kind() == io::ErrorKind::NotFound)
}
