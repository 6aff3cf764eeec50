//! Reaches files whose path is longer than the system takes in one piece.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, openat};

/// A path that the system takes, and what keeps it valid.
pub(in crate::fs) struct Reach<'a> {
    path: std::borrow::Cow<'a, Path>,
    _anchor: Option<OwnedFd>,
}

impl Reach<'_> {
    pub(in crate::fs) fn path(&self) -> &Path {
        &self.path
    }
}

/// Gives the path itself, or one through an open directory on the way where it is too long.
///
/// # Errors
/// A directory on the way cannot be opened.
pub(in crate::fs) fn reach(path: &Path) -> io::Result<Reach<'_>> {
    let mut rest = path.as_os_str().as_bytes();
    if rest.len() <= LONGEST {
        return Ok(Reach { path: path.into(), _anchor: None });
    }
    let mut anchor: Option<OwnedFd> = None;
    while rest.len() > LONGEST {
        let cut = rest[..LONGEST].iter().rposition(|&byte| byte == b'/');
        // At the very start the slash is the path itself.
        let cut = cut.map(|cut| cut.max(1)).ok_or(io::ErrorKind::InvalidFilename)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let piece = OsStr::from_bytes(&rest[..cut]);
        anchor = Some(match &anchor {
            Some(above) => openat(above, piece, flags, Mode::empty())?,
            None => openat(CWD, piece, flags, Mode::empty())?,
        });
        rest = &rest[cut..];
        while let [b'/', below @ ..] = rest {
            rest = below;
        }
    }
    let number = anchor.as_ref().map_or(0, AsRawFd::as_raw_fd);
    let path = PathBuf::from(format!("/proc/self/fd/{number}")).join(OsStr::from_bytes(rest));
    Ok(Reach { path: path.into(), _anchor: anchor })
}

/// The system takes 4,095 bytes; names are joined to what is reached.
const LONGEST: usize = 3500;
