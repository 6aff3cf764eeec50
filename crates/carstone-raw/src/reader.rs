//! Strict reading: header and trailer must be there and agree before the first byte is given.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use carstone_layer::{ReadAt, SeekSource, read_full};

use crate::container::MAGIC;
use crate::trailer::{OUTSIDE, TRAILER_LEN, Trailer};
use crate::{Appendix, Container, Error, ErrorKind, appendix};

/// Reads what stands between container header and trailer; offset 0 is the first byte behind the header.
///
/// It is read in order, at any offset by one reader, or at any offset by many ([`ReadAt`]). Clones share the
/// source and have a position of their own.
#[derive(Clone, Debug)]
pub struct RawReader<R> {
    source: R,
    container: Container,
    appendices: Vec<Appendix>,
    /// Offset of the first framed byte in `source`.
    first: u64,
    len: u64,
    pos: u64,
}

impl<R: Read + Seek> RawReader<SeekSource<R>> {
    /// Opens the pack that starts where `inner` stands and ends, appendices included, at the end of `inner`.
    ///
    /// # Errors
    /// See [`ErrorKind`]; nothing is read before header and trailer agree.
    pub fn open(mut inner: R) -> Result<Self, Error> {
        let start = inner.stream_position().map_err(|error| Error::io(error, 0))?;
        Self::open_range(SeekSource::new(inner), start..u64::MAX)
    }
}

impl<R: ReadAt> RawReader<R> {
    /// Opens the pack that fills `source`.
    ///
    /// # Errors
    /// As [`open`](RawReader::open).
    pub fn open_at(source: R) -> Result<Self, Error> {
        Self::open_range(source, 0..u64::MAX)
    }

    /// Opens the pack that fills this range of bytes of `source`. A range that goes past the end of `source` stops there.
    ///
    /// # Errors
    /// As [`open`](RawReader::open).
    pub fn open_range(source: R, range: Range<u64>) -> Result<Self, Error> {
        let size = source.size().map_err(|error| Error::io(error, 0))?;
        let end = range.end.min(size);
        let start = range.start.min(end);
        let mut front = [0; Container::LEN];
        let room = usize::try_from(end - start).unwrap_or(usize::MAX).min(front.len());
        let there = read_full(&source, &mut front[..room], start);
        let there = there.map_err(|error| Error::io(error, 0))?;
        let container = decode_front(&front, there)?;

        let appendices = appendix::step_back(&source, start, end)?;
        let pack_len = appendices.first().map_or(end - start, |first| first.range.start);
        if pack_len < OUTSIDE {
            return Err(Error::new(ErrorKind::TrailerMissing, pack_len));
        }
        let trailer_at = pack_len - TRAILER_LEN as u64;
        let mut bytes = [0; TRAILER_LEN];
        source
            .read_exact_at(&mut bytes, start + trailer_at)
            .map_err(|error| Error::io(error, trailer_at))?;
        Trailer::decode(&bytes)
            .and_then(|trailer| {
                trailer.agrees_with(&front)?;
                let stated = trailer.stored_len;
                if stated != pack_len {
                    let kind = ErrorKind::StoredLength { stated, found: pack_len };
                    return Err(Error::new(kind, 0));
                }
                Ok(())
            })
            .map_err(|error| error.moved(trailer_at))?;
        let first = start + Container::LEN as u64;
        Ok(Self { source, container, appendices, first, len: pack_len - OUTSIDE, pos: 0 })
    }
}

impl<R> RawReader<R> {
    /// What the header states.
    pub fn container(&self) -> &Container {
        &self.container
    }

    /// Bytes between header and trailer.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing stands between header and trailer.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes from the first of the header to the last of the trailer; appendices begin there.
    pub fn stored_len(&self) -> u64 {
        self.len + OUTSIDE
    }

    /// What stands behind the trailer, in stored order.
    pub fn appendices(&self) -> &[Appendix] {
        &self.appendices
    }

    /// The source below.
    pub fn get_ref(&self) -> &R {
        &self.source
    }

    /// Gives the source back.
    pub fn into_inner(self) -> R {
        self.source
    }

    /// How many of `wanted` bytes there are from `offset` on.
    fn clip(&self, wanted: usize, offset: u64) -> usize {
        let rest = self.len.saturating_sub(offset);
        usize::try_from(rest).unwrap_or(usize::MAX).min(wanted)
    }
}

impl<R: ReadAt> ReadAt for RawReader<R> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        match self.clip(buf.len(), offset) {
            0 => Ok(0),
            n => self.source.read_at(&mut buf[..n], self.first + offset),
        }
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.len)
    }
}

impl<R: ReadAt> Read for RawReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.read_at(buf, self.pos)?;
        self.pos += n as u64;
        Ok(n)
    }
}

impl<R> Seek for RawReader<R> {
    /// Any position from 0 on is good; reads behind the end give nothing.
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
            SeekFrom::Current(by) => self.pos.checked_add_signed(by),
        };
        self.pos = target.ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "seek to a negative or too large offset")
        })?;
        Ok(self.pos)
    }
}

/// Reads the container header at the front of a stream, and nothing behind it.
///
/// # Errors
/// [`ErrorKind::Empty`], [`ErrorKind::NotAPack`] or [`ErrorKind::ShortHeader`] when there is none; else as [`Container::decode`].
pub fn read_container<R: Read>(mut reader: R) -> Result<Container, Error> {
    let mut front = [0; Container::LEN];
    let there = read_front(&mut reader, &mut front).map_err(|error| Error::io(error, 0))?;
    decode_front(&front, there)
}

/// Fills `front` as far as the stream goes.
pub(crate) fn read_front<R: Read>(
    reader: &mut R,
    front: &mut [u8; Container::LEN],
) -> io::Result<usize> {
    let mut there = 0;
    while there < front.len() {
        match reader.read(&mut front[there..]) {
            Ok(0) => break,
            Ok(n) => there = front.len().min(there + n),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(there)
}

/// Reads the header of which the first `there` bytes exist.
fn decode_front(front: &[u8; Container::LEN], there: usize) -> Result<Container, Error> {
    let known = there.min(MAGIC.len());
    let kind = match there {
        0 => ErrorKind::Empty,
        _ if front[..known] != MAGIC[..known] => ErrorKind::NotAPack,
        Container::LEN => return Container::decode(front),
        _ => ErrorKind::ShortHeader { len: there as u64 },
    };
    Err(Error::new(kind, 0))
}
