//! Strict reading: the footer must be there and agree before the first byte is given.

use std::io::{self, Read, Seek, SeekFrom};

use carstone_layer::{PackId, ReadAt, SeekSource};

use crate::footer::{FOOTER_LEN, Footer};
use crate::{Error, ErrorKind};

/// Reads the plain bytes before a position footer.
///
/// They are read in order, at any offset by one reader, or at any offset by many ([`ReadAt`]). Clones share the source and
/// have a position of their own.
#[derive(Clone, Debug)]
pub struct PositionReader<R> {
    source: R,
    footer: Footer,
    pos: u64,
}

impl<R: Read + Seek> PositionReader<SeekSource<R>> {
    /// Opens the stream that fills `inner`, wherever `inner` stands now.
    ///
    /// # Errors
    /// See [`ErrorKind`]; nothing is read before the footer is known to be right.
    pub fn open(inner: R) -> Result<Self, Error> {
        Self::open_at(SeekSource::new(inner))
    }
}

impl<R: ReadAt> PositionReader<R> {
    /// Opens the stream that fills `source`.
    ///
    /// # Errors
    /// As [`open`](PositionReader::open).
    pub fn open_at(source: R) -> Result<Self, Error> {
        let size = source.size().map_err(|error| Error::io(error, 0))?;
        let Some(len) = size.checked_sub(FOOTER_LEN as u64) else {
            return Err(Error::new(ErrorKind::FooterMissing, size));
        };
        let mut bytes = [0; FOOTER_LEN];
        source.read_exact_at(&mut bytes, len).map_err(|error| Error::io(error, len))?;
        let footer = Footer::decode(&bytes, len).map_err(|error| error.moved(len))?;
        Ok(Self { source, footer, pos: 0 })
    }
}

impl<R> PositionReader<R> {
    /// Plain bytes in the stream.
    pub fn len(&self) -> u64 {
        self.footer.len
    }

    /// Whether there are no plain bytes.
    pub fn is_empty(&self) -> bool {
        self.footer.len == 0
    }

    /// Plain offset that the writer marked: where the tail record of a pack stands.
    pub fn mark(&self) -> Option<u64> {
        self.footer.mark
    }

    /// The id in the footer.
    pub fn pack_id(&self) -> PackId {
        self.footer.pack
    }

    /// The source below.
    pub fn get_ref(&self) -> &R {
        &self.source
    }

    /// Gives the source back.
    pub fn into_inner(self) -> R {
        self.source
    }
}

impl<R: ReadAt> ReadAt for PositionReader<R> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(self.len().saturating_sub(offset)).unwrap_or(usize::MAX);
        match rest.min(buf.len()) {
            0 => Ok(0),
            n => self.source.read_at(&mut buf[..n], offset),
        }
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.len())
    }
}

impl<R: ReadAt> Read for PositionReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.read_at(buf, self.pos)?;
        self.pos += n as u64;
        Ok(n)
    }
}

impl<R> Seek for PositionReader<R> {
    /// Any position from 0 on is good; reads behind the end give nothing.
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.len().checked_add_signed(by),
            SeekFrom::Current(by) => self.pos.checked_add_signed(by),
        };
        self.pos = target.ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "seek to a negative or too large offset")
        })?;
        Ok(self.pos)
    }
}
