//! Reads files, and finds out whether they changed meanwhile.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

use crate::fs::metadata::Stat;
use crate::fs::walk::{TreeOptions, reach};

/// Opens and reads a file of at most `most` bytes that was `expected` when the tree was walked. Gives its content, and
/// whether it changed since.
pub(super) fn read_small(path: &Path, expected: &Stat, most: usize) -> io::Result<(Vec<u8>, bool)> {
    let mut file = open(path)?;
    let size = usize::try_from(expected.size).unwrap_or(most).min(most);
    // One byte more shows without another call whether the file is longer.
    let mut data = vec![0; size + 1];
    let mut len = 0;
    let whole = loop {
        if len == data.len() {
            if len > most {
                break false;
            }
            data.resize((len * 2).max(GROW).min(most + 1), 0);
        }
        match file.read(&mut data[len..]) {
            Ok(0) => break true,
            Ok(n) => {
                len += n;
                // The expected size and no more: the end, unless the look at the file below says otherwise.
                if len == size {
                    break true;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    };
    data.truncate(len.min(most));
    Ok((data, !whole || !expected.is_unchanged(&look(&file)?)))
}

/// A file that is read piece by piece; no more than its size when it was opened, however fast it grows.
pub(super) struct LargeFile<'a> {
    file: File,
    stat: Stat,
    given: u64,
    failed: bool,
    options: &'a TreeOptions,
}

impl<'a> LargeFile<'a> {
    pub(super) fn open(path: &Path, options: &'a TreeOptions) -> io::Result<Self> {
        let file = open(path)?;
        let stat = look(&file)?;
        Ok(Self { file, stat, given: 0, failed: false, options })
    }

    /// What the file was when it was opened.
    pub(super) fn stat(&self) -> &Stat {
        &self.stat
    }

    /// Bytes given out.
    pub(super) fn given(&self) -> u64 {
        self.given
    }

    /// Whether a read failed, or was stopped on request.
    pub(super) fn has_failed(&self) -> bool {
        self.failed
    }

    /// Whether what was given out may not be what the file was when it was opened.
    pub(super) fn has_changed(&self) -> bool {
        self.given != self.stat.size
            || !look(&self.file).is_ok_and(|now| self.stat.is_unchanged(&now))
    }
}

impl Read for LargeFile<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.stat.size.saturating_sub(self.given)).unwrap_or(usize::MAX);
        let most = left.min(buf.len());
        let result = self.options.check_cancelled().and_then(|()| self.file.read(&mut buf[..most]));
        match &result {
            Ok(n) => self.given += *n as u64,
            Err(error) => self.failed = error.kind() != io::ErrorKind::Interrupted,
        }
        result
    }
}

/// Opens a regular file; neither a symlink nor a pipe that took its place since it was looked at.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    OpenOptions::new().read(true).custom_flags(flags).open(reach(path)?.path())
}

fn look(file: &File) -> io::Result<Stat> {
    let metadata = file.metadata()?;
    match metadata.is_file() {
        true => Ok(Stat::of(&metadata)),
        false => Err(io::Error::other("it is no regular file any more")),
    }
}

/// A file that turns out longer than expected is read in pieces of at least so many bytes.
const GROW: usize = 64 << 10;
