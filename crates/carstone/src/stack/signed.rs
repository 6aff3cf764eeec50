//! The bytes of a pack that a signature is over: `docs/format.md`, section *Signatures*.

use std::io::{self, Read};
use std::ops::Range;

use carstone_layer::{PackId, ReadAt};
use carstone_raw::RawReader;

use super::{Error, ErrorKind};

/// Reads a pack as it is stored, from the first byte of the container header to the last of the trailer. Appendices are left out.
///
/// Header and trailer are checked, what lies between them is not.
#[derive(Clone, Debug)]
pub struct SignedBytes<R> {
    raw: RawReader<R>,
    start: u64,
    at: u64,
}

impl<R: ReadAt> SignedBytes<R> {
    /// Opens the pack that fills this range of bytes of `source`, appendices included. A range that goes past the end of `source` stops there.
    ///
    /// # Errors
    /// [`ErrorKind::Raw`]: nobody can say where the pack ends.
    pub fn open(source: R, range: Range<u64>) -> Result<Self, Error> {
        let start = range.start;
        let raw = RawReader::open_range(source, range);
        let raw = raw.map_err(|error| Error::new(ErrorKind::Raw(error)))?;
        Ok(Self { raw, start, at: 0 })
    }
}

impl<R> SignedBytes<R> {
    /// The id in the header.
    pub fn pack_id(&self) -> PackId {
        self.raw.container().pack_id
    }

    /// How many bytes are covered.
    pub fn len(&self) -> u64 {
        self.raw.stored_len()
    }

    /// Never: there is always a header.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes of appendices stand behind the trailer, which are not covered.
    pub fn uncovered(&self) -> u64 {
        let end = self.raw.appendices().last().map_or(self.len(), |last| last.range.end);
        end.saturating_sub(self.len())
    }
}

impl<R: ReadAt> Read for SignedBytes<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(self.len() - self.at).unwrap_or(usize::MAX);
        let room = buf.len().min(rest);
        let n = match buf.get_mut(..room) {
            Some(room) if !room.is_empty() => {
                self.raw.get_ref().read_at(room, self.start + self.at)?
            }
            _ => return Ok(0),
        };
        if n == 0 {
            // The source has become shorter.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += n as u64;
        Ok(n)
    }
}
