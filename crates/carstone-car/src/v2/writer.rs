//! Writing a CAR of either version, with roots and index that are known only at the end.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom, Write};

use super::header::{Characteristics, V2_PRAGMA, V2Header};
use super::options::FileOptions;
use crate::error::{Error, ErrorKind, Result};
use crate::hash::{cid_of, verify};
use crate::index::IndexBuilder;
use crate::section::{Section, section_len};
use crate::{CarWriter, Cid, header, writer};

/// Writes a CAR of either version: a CARv2 with an index, unless [`FileOptions`] say otherwise.
/// The counterpart of `storage.NewWritable` in go-car.
///
/// What is known only at the end is put in at the end, so the sink must be able to seek: the header of a CARv2, and, with
/// [`finish_with_roots`](Self::finish_with_roots), the roots. Until then a CARv2 reads as [unfinished](ErrorKind::Unfinished). For sinks that cannot
/// seek there is [`sized`](Self::sized).
///
/// Nothing is buffered. Memory is that of the index, which is [limited](FileOptions::index_budget).
///
/// ```
/// use std::io::Cursor;
/// use carstone_car::{CarFileWriter, CarSlice, cid_of, codec};
/// let placeholder = cid_of(codec::RAW, b""); // Any CID as long as that of the root.
/// let mut writer = CarFileWriter::new(Cursor::new(Vec::new()), &[placeholder])?;
/// let section = writer.write_data(codec::RAW, b"hello")?;
/// writer.write_data(codec::RAW, b"car")?;
/// let file = writer.finish_with_roots(&[section.cid])?.into_inner();
///
/// let car = CarSlice::parse(&file)?;
/// assert_eq!((car.version(), car.roots()), (2, &[section.cid][..]));
/// let index = car.index()?.expect("there is one");
/// assert_eq!((index.len(), index.find(&section.cid)?), (2, Some(section.offset)));
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "the CAR is complete only when `finish` has returned `Ok`"]
pub struct CarFileWriter<W> {
    car: CarWriter<W>,
    options: FileOptions,
    index: Option<IndexBuilder>,
    ending: Ending<W>,
}

/// What there is to do at the end.
enum Ending<W> {
    /// Headers are put in, in a CAR that starts at `start` in the sink.
    Patch { seek: fn(&mut W, SeekFrom) -> io::Result<u64>, start: u64, header_len: u64 },
    /// The headers are right, if the payload is as long as they say.
    Sized { payload_len: u64 },
}

impl<W: Write + Seek> CarFileWriter<W> {
    /// Starts a CARv2 with these roots, of which there may be none, where the sink stands.
    pub fn new(sink: W, roots: &[Cid]) -> Result<Self> {
        CarFileWriter::with_options(sink, roots, FileOptions::default())
    }

    /// Starts a CAR with these roots where the sink stands, with options.
    pub fn with_options(mut sink: W, roots: &[Cid], options: FileOptions) -> Result<Self> {
        let start = sink.stream_position().map_err(|error| Error::at(ErrorKind::Io(error), 0))?;
        let header_len = header::encode(roots).len() as u64;
        let ending = Ending::Patch { seek: W::seek, start, header_len };
        CarFileWriter::start(sink, roots, options, ending, &[0; V2Header::LEN])
    }
}

impl<W: Write> CarFileWriter<W> {
    /// Starts a CAR with these roots, whose payload will have this length: that of the [header](crate::Header::encoded_len) and of
    /// the [sections](section_len). Then nothing is left to be put in, and any sink will do.
    /// The counterpart of `NewSelectiveWriter` in go-car.
    ///
    /// A section beyond the length is refused, and a payload that falls short of it cannot be finished.
    pub fn sized(sink: W, roots: &[Cid], payload_len: u64, options: FileOptions) -> Result<Self> {
        let ending = Ending::Sized { payload_len };
        let found = header::encode(roots).len() as u64;
        if found > payload_len {
            return Err(Error::at(ErrorKind::PayloadLength { said: payload_len, found }, 0));
        }
        let header = frame(&options, payload_len);
        header.check(None).map_err(|kind| Error::at(kind, 0))?;
        CarFileWriter::start(sink, roots, options, ending, &header.encode())
    }

    fn start(
        mut sink: W,
        roots: &[Cid],
        options: FileOptions,
        ending: Ending<W>,
        v2_header: &[u8; V2Header::LEN],
    ) -> Result<Self> {
        writer::check_roots(roots, &options.limits)?;
        if options.is_v2() {
            sink.write_all(&V2_PRAGMA)
                .and_then(|()| sink.write_all(v2_header))
                .and_then(|()| write_zeros(&mut sink, options.data_padding))
                .map_err(|error| Error::at(ErrorKind::Io(error), 0))?;
        }
        let index = options.index_codec().map(|codec| {
            let builder = IndexBuilder::with_budget(codec, options.index_budget);
            builder.with_identity(options.index_identity)
        });
        let car = CarWriter::with_options(sink, roots, options.of_sections())?;
        Ok(CarFileWriter { car, options, index, ending })
    }

    /// Writes a block, after verifying that its data hashes to its CID. The counterpart of `Put` in go-car with
    /// `AllowDuplicatePuts`.
    ///
    /// An error in the block, or one over a limit, leaves the writer as it was: nothing has been written.
    pub fn write_block(&mut self, cid: &Cid, data: &[u8]) -> Result<Section> {
        verify(cid, data).map_err(|error| error.with_offset(self.position()))?;
        self.danger_write_unverified(cid, data)
    }

    /// Writes a block of this data, under its CIDv1 with sha2-256, and returns it in the section. `codec` is a multicodec code, see
    /// [`codec`](crate::codec).
    pub fn write_data(&mut self, codec: u64, data: &[u8]) -> Result<Section> {
        self.danger_write_unverified(&cid_of(codec, data), data)
    }

    /// Writes a block without hashing its data, for callers who have just made the CID from the data.
    pub fn danger_write_unverified(&mut self, cid: &Cid, data: &[u8]) -> Result<Section> {
        self.check_room(section_len(cid, data.len() as u64))?;
        let section = self.car.danger_write_unverified(cid, data)?;
        if let Some(index) = &mut self.index
            && let Err(error) = index.add(cid, section.offset)
        {
            self.car.break_off(); // The index would lack this section.
            return Err(error.with_offset(section.offset));
        }
        Ok(section)
    }

    /// The offset in the payload at which the next section will start.
    pub fn position(&self) -> u64 {
        self.car.position()
    }

    /// Where the payload starts, counted from the start of the CAR: 0 for a CARv1.
    pub fn payload_start(&self) -> u64 {
        payload_start(&self.options)
    }

    pub(crate) fn car(&self) -> &CarWriter<W> {
        &self.car
    }

    /// The sink.
    pub fn get_ref(&self) -> &W {
        self.car.get_ref()
    }

    /// Flushes the sink.
    pub fn flush(&mut self) -> Result<()> {
        self.car.flush()
    }

    /// Writes the index, puts in the header, and gives back the sink, flushed, which stands at the end of the CAR.
    /// The counterpart of `Finalize` in go-car.
    pub fn finish(self) -> io::Result<W> {
        self.end(None)
    }

    /// Like [`finish`](Self::finish), with other roots than those that were given at the start. Their header must have the same length,
    /// else [`ErrorKind::HeaderLength`] is given. A CAR whose sink does not seek has its roots from the start.
    pub fn finish_with_roots(self, roots: &[Cid]) -> io::Result<W> {
        writer::check_roots(roots, &self.options.limits)?;
        let header = header::encode(roots);
        let (old, new) = match self.ending {
            Ending::Patch { header_len, .. } => (header_len, header.len() as u64),
            Ending::Sized { .. } => return Err(io::ErrorKind::NotSeekable.into()),
        };
        if old != new {
            return Err(Error::at(ErrorKind::HeaderLength { old, new }, 0).into());
        }
        self.end(Some(header))
    }

    /// `header`: the header of the payload, if it changes.
    fn end(self, header: Option<Vec<u8>>) -> io::Result<W> {
        let found = self.car.position();
        if let Ending::Sized { payload_len: said } = self.ending
            && said != found
        {
            return Err(Error::at(ErrorKind::PayloadLength { said, found }, found).into());
        }
        let frame = frame(&self.options, found);
        let index = self.index.map(IndexBuilder::finish).transpose()?;
        let mut sink = self.car.finish()?;
        if let Some(index) = &index {
            write_zeros(&mut sink, self.options.index_padding)?;
            index.write(&mut sink)?;
        }
        if let Ending::Patch { seek, start, .. } = self.ending {
            let end = seek(&mut sink, SeekFrom::Current(0))?;
            let payload_start = payload_start(&self.options);
            if let Some(header) = header {
                seek(&mut sink, SeekFrom::Start(start.saturating_add(payload_start)))?;
                sink.write_all(&header)?;
            }
            if self.options.is_v2() {
                // The last thing that is written, since it says that all the rest is there.
                seek(&mut sink, SeekFrom::Start(start.saturating_add(V2_PRAGMA.len() as u64)))?;
                sink.write_all(&frame.encode())?;
            }
            seek(&mut sink, SeekFrom::Start(end))?;
        }
        sink.flush()?;
        Ok(sink)
    }

    /// Refuses a section that makes the payload longer than was said.
    fn check_room(&self, len: u64) -> Result<()> {
        let found = self.position().saturating_add(len);
        match self.ending {
            Ending::Sized { payload_len: said } if found > said => {
                Err(Error::at(ErrorKind::PayloadLength { said, found }, self.position()))
            }
            _ => Ok(()),
        }
    }
}

impl<W> fmt::Debug for CarFileWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CarFileWriter")
            .field("car", &self.car)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Where the payload starts in a file of this kind.
pub(crate) fn payload_start(options: &FileOptions) -> u64 {
    match options.is_v2() {
        true => V2Header::DATA_OFFSET.saturating_add(options.data_padding),
        false => 0,
    }
}

/// The header of a CARv2 with a payload of this length.
pub(crate) fn frame(options: &FileOptions, payload_len: u64) -> V2Header {
    let data_offset = payload_start(options).max(V2Header::DATA_OFFSET);
    let index = options.index_codec();
    let index_offset = index.map(|_| {
        let end = data_offset.saturating_add(payload_len);
        end.saturating_add(options.index_padding)
    });
    let characteristics = match index {
        Some(_) if options.index_identity => Characteristics::FULLY_INDEXED,
        _ => Characteristics::default(),
    };
    V2Header { characteristics, data_offset, data_size: payload_len, index_offset }
}

pub(crate) fn write_zeros<W: Write>(sink: &mut W, len: u64) -> io::Result<()> {
    io::copy(&mut io::repeat(0).take(len), sink).map(drop)
}
