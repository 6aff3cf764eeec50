//! Files for what is yet to get its name.

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use carstone_car::ReadAt;
use futures::TryStreamExt;
use futures::stream::BoxStream;

use super::disk::{Disk, DiskFile};
use super::local::blocking;
use crate::error::{Error, Result};
use crate::hasher::{HashFunction, Hasher};
use crate::name::Hash;

/// A file that has no name in the store, and is gone with this value unless it is [kept](super::Objects::create).
#[derive(Debug)]
pub struct Spool {
    file: Box<dyn DiskFile>,
    /// Where it stands, if it has a name at all.
    place: Option<Place>,
    len: u64,
    /// What all of it hashes to, once it has been hashed.
    hash: Option<Hash>,
}

struct Place {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    /// The file has another name now.
    is_kept: bool,
}

impl Spool {
    /// One in the directory for temporary files of the system, without a name: for objects that are kept elsewhere than in files.
    ///
    /// # Errors
    /// None can be made there.
    pub fn unnamed() -> Result<Self> {
        let file = tempfile::tempfile().map_err(|error| Error::from(error).of(UNNAMED))?;
        Ok(Self { file: Box::new(file), place: None, len: 0, hash: None })
    }

    /// One in this directory.
    pub(super) fn named(disk: &Arc<dyn Disk>, directory: &Path) -> Result<Self> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let path = directory.join(format!("{PREFIX}{:032x}", u128::from_le_bytes(random)));
        let file = disk.create(&path).map_err(|error| Error::from(error).of(path.display()))?;
        Ok(Self {
            file,
            place: Some(Place { disk: Arc::clone(disk), path, is_kept: false }),
            len: 0,
            hash: None,
        })
    }

    /// Bytes that have been written.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Gives all bytes to `take`, piece by piece.
    pub(crate) fn for_each(&self, take: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        let (mut piece, mut at) = (vec![0; PIECE], 0);
        while at < self.len {
            match self.file.read_at(&mut piece, at)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => {
                    take(&piece[..n]);
                    at += n as u64;
                }
            }
        }
        Ok(())
    }

    /// The same, with what comes behind it.
    pub(crate) async fn filled(
        mut self,
        mut pieces: BoxStream<'static, Result<Bytes>>,
    ) -> Result<Self> {
        while let Some(piece) = pieces.try_next().await? {
            self = blocking(move || {
                self.write_all(&piece)?;
                Ok(self)
            })
            .await?;
        }
        Ok(self)
    }

    /// The same, of which somebody has found out that all of it hashes to this.
    pub(crate) fn verified_as(self, hash: Hash) -> Self {
        Self { hash: Some(hash), ..self }
    }

    /// The same, with what all of it hashes to.
    pub(crate) fn hashed(mut self, function: HashFunction) -> Result<Self> {
        self.hash = Some(self.hash_of(function)?);
        Ok(self)
    }

    /// What all of it hashes to.
    pub(crate) fn hash_of(&self, function: HashFunction) -> Result<Hash> {
        let mut hasher = Hasher::new(function);
        self.for_each(&mut |piece| hasher.update(piece)).map_err(|error| self.told(error))?;
        Ok(hasher.finish())
    }

    /// What all of it hashes to, if that is known.
    pub(crate) fn hash(&self) -> Option<&Hash> {
        self.hash.as_ref()
    }

    /// Whether none has been.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Writes over what has been written: what is known only now.
    pub(crate) fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let end = offset.saturating_add(bytes.len() as u64);
        if end > self.len {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        self.hash = None;
        self.file.write_at(bytes, offset).map_err(|error| self.told(error).into())
    }

    /// Writes behind what has been written. Whoever calls this knows what to call the object.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.append(bytes)?;
        self.hash = None;
        self.len = self.len.saturating_add(bytes.len() as u64);
        Ok(())
    }

    /// An error of the file, which has no key yet: it is told by where the file stands.
    pub(crate) fn told(&self, error: io::Error) -> Error {
        match &self.place {
            Some(place) => Error::from(error).of(place.path.display()),
            None => Error::from(error).of(UNNAMED),
        }
    }

    /// Begins early with making the content durable, where it is to stay in this file.
    pub(crate) fn sync_ahead(&self) -> Result<()> {
        match self.place {
            Some(_) => self.file.sync().map_err(|error| self.told(error)),
            None => Ok(()),
        }
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    /// Gives the file this name for good.
    pub(super) fn rename(mut self, to: &Path) -> io::Result<()> {
        let Some(place) = &mut self.place else {
            return Err(io::Error::other("the file has no name to begin with"));
        };
        place.disk.rename(&place.path, to)?;
        place.is_kept = true;
        Ok(())
    }

    /// Whether it can be renamed in this directory.
    pub(super) fn is_in(&self, directory: &Path) -> bool {
        self.place.as_ref().is_some_and(|place| place.path.parent() == Some(directory))
    }
}

impl Write for Spool {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.append(buf).map_err(|error| self.told(error))?;
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ReadAt for Spool {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buf, offset)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.len)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.is_kept {
            // What cannot be removed now is a leftover, which is cleaned later.
            let _ = self.disk.remove(&self.path);
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.fmt(f)
    }
}

/// What the names of spools begin with, so that leftovers can be told from objects.
pub(super) const PREFIX: &str = ".spool-";
/// What a file without a name is called.
const UNNAMED: &str = "a temporary file";
/// Bytes that are read at a time: few enough to stay near the processor.
const PIECE: usize = 256 << 10;
