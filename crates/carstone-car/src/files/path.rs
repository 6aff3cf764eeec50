//! Between the two versions, from one path to another or to the same one.

use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter};
use std::path::Path;

use tempfile::NamedTempFile;

use super::edit::{Editable, io_error};
use super::payload::{extract_payload, wrap};
use crate::error::{Error, ErrorKind, Result};
use crate::options::ReaderOptions;
use crate::v2::{FileOptions, V2Header};

/// Makes a CARv2 of the CARv1 in a file, as [`wrap`] does. `target` may be the same file. The counterpart of `WrapV1File` in go-car.
///
/// What is made is written next to `target` and takes its place when it is complete and on the disk: a crash leaves what was there. Where
/// `target` is a symbolic link, the file that it leads to is replaced.
///
/// # Errors
/// As with [`wrap`], and [`ErrorKind::Locked`] if a [`CarStore`](crate::CarStore) has `target` open; then that is as it was.
pub fn wrap_file(
    source: impl AsRef<Path>,
    target: impl AsRef<Path>,
    options: FileOptions,
    reader: ReaderOptions,
) -> Result<V2Header> {
    replace(source.as_ref(), target.as_ref(), |source, sink| wrap(source, sink, options, reader))
}

/// Makes a CARv1 of the CARv2 in a file, as [`extract_payload`] does. `target` may be the same file. The counterpart of `ExtractV1File` in
/// go-car, which then moves the payload inside of the file, where a crash leaves neither.
///
/// # Errors
/// As with [`extract_payload`], and [`ErrorKind::Locked`] if a [`CarStore`](crate::CarStore) has `target` open; then that is as it was.
pub fn unwrap_file(source: impl AsRef<Path>, target: impl AsRef<Path>) -> Result<V2Header> {
    replace(source.as_ref(), target.as_ref(), |source, sink| extract_payload(source, sink))
}

/// Has `make` write a file of a source, in place of `target`.
fn replace(
    source: &Path,
    target: &Path,
    make: impl FnOnce(&File, &mut BufWriter<&File>) -> Result<V2Header>,
) -> Result<V2Header> {
    // What is replaced must not be open, so the source is closed before that.
    write_whole(target, |sink| make(&File::open(source).map_err(io_error)?, sink))
}

/// Has `make` write a file next to `target` and flush it, and puts it in its place. A crash leaves what was there.
pub(crate) fn write_whole<T>(
    target: &Path,
    make: impl FnOnce(&mut BufWriter<&File>) -> Result<T>,
) -> Result<T> {
    // A link stays what it is.
    let target = &fs::canonicalize(target).unwrap_or_else(|_| target.to_owned());
    let held = hold(target)?;
    let made = next_to(target).map_err(io_error)?;
    let value = make(&mut BufWriter::with_capacity(BUF_LEN, made.as_file()))?;
    // Where names and files are apart, it stays held.
    let _held = held.filter(|_| cfg!(unix));
    place(made, target).map_err(io_error)?;
    Ok(value)
}

/// Keeps stores away from a file that is to be replaced: what they put into the old one would be lost. `None` if there is no file, or nobody
/// can lock it.
fn hold(target: &Path) -> Result<Option<File>> {
    // To open a pipe is to wait for its other end.
    let is_file = fs::metadata(target).is_ok_and(|found| found.is_file());
    let Some(file) = is_file.then(|| File::open(target).ok()).flatten() else {
        return Ok(None);
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(Error::new(ErrorKind::Locked)),
        Err(TryLockError::Error(_)) => Ok(None),
    }
}

fn next_to(target: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".car-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)); // As far as the user lets new files have them.
    builder.tempfile_in(folder(target))
}

fn place(made: NamedTempFile, target: &Path) -> io::Result<()> {
    match fs::metadata(target) {
        Ok(before) => made.as_file().set_permissions(before.permissions())?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    made.as_file().sync_all()?;
    made.persist(target).map_err(|error| error.error)?;
    #[cfg(unix)]
    File::open(folder(target))?.sync_all()?; // The name, too.
    Ok(())
}

fn folder(target: &Path) -> &Path {
    match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

const BUF_LEN: usize = 256 << 10;

impl Editable for File {
    fn set_len(&mut self, len: u64) -> io::Result<()> {
        File::set_len(self, len)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

impl Editable for &File {
    fn set_len(&mut self, len: u64) -> io::Result<()> {
        File::set_len(self, len)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}
