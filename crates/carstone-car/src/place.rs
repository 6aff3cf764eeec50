//! Where a block lies in a file, and its data read there.

use crate::Cid;
use crate::error::{Error, ErrorKind, Part, Result};
use crate::options::ReaderOptions;
use crate::read_at::{ReadAt, read_full};
use crate::section::{self, Section};

/// Where a block lies, counted from the start of the payload and from that of the file. The counterpart of `BlockIndex` in @ipld/car, whose
/// offsets are those in the file, and of `BlockMetadata` in go-car, which has both.
///
/// ```
/// use std::io::Cursor;
/// use carstone_car::{CarFileWriter, CarReader, ReaderOptions, codec};
/// let mut writer = CarFileWriter::new(Cursor::new(Vec::new()), &[])?;
/// writer.write_data(codec::RAW, b"hello")?;
/// let file = writer.finish()?.into_inner();
///
/// let place = CarReader::open(&file[..])?.into_places().next().expect("a block")?;
/// assert_eq!((place.offset(), place.file_offset()), (18, 51 + 18));
/// assert_eq!((place.len(), place.data_len()), (1 + 36 + 5, 5));
/// assert_eq!(&file[place.file_data_offset() as usize..][..place.data_len()], b"hello");
/// assert_eq!(place.read(&file, ReaderOptions::default())?, b"hello");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlockPlace {
    /// The section in the payload.
    pub section: Section,
    /// Where the payload starts in the file: 0 for a CARv1.
    pub payload_start: u64,
}

impl BlockPlace {
    /// The CID of the block.
    pub fn cid(&self) -> &Cid {
        &self.section.cid
    }

    /// Length of the whole section: length varint, CID and data.
    #[expect(
        clippy::len_without_is_empty,
        reason = "a section always has a length varint and a CID"
    )]
    pub fn len(&self) -> u64 {
        self.section.len()
    }

    /// Offset of the section in the payload.
    pub fn offset(&self) -> u64 {
        self.section.offset
    }

    /// Offset of the section in the file.
    pub fn file_offset(&self) -> u64 {
        self.payload_start.saturating_add(self.section.offset)
    }

    /// Length of the data in bytes.
    pub fn data_len(&self) -> usize {
        self.section.data_len
    }

    /// Offset of the data in the payload.
    pub fn data_offset(&self) -> u64 {
        self.section.data_offset
    }

    /// Offset of the data in the file.
    pub fn file_data_offset(&self) -> u64 {
        self.payload_start.saturating_add(self.section.data_offset)
    }

    /// Reads the data, verified as the options say, in one read. `source` may be shared by threads. The counterpart of `readRaw` in @ipld/car.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`] if `source` ends before the data does; else what is wrong with the block.
    pub fn read<R: ReadAt + ?Sized>(&self, source: &R, options: ReaderOptions) -> Result<Vec<u8>> {
        let size = source.size().map_err(|error| self.error(ErrorKind::Io(error)))?;
        self.read_inside(source, size, &options)
    }

    /// The same in a file of which nothing from `end` on belongs to the payload.
    pub(crate) fn read_inside<R: ReadAt + ?Sized>(
        &self,
        source: &R,
        end: u64,
        options: &ReaderOptions,
    ) -> Result<Vec<u8>> {
        let (offset, data_len) = (self.file_data_offset(), self.section.data_len);
        if offset.saturating_add(data_len as u64) > end {
            return Err(self.error(ErrorKind::Truncated(Part::Data)));
        }
        if data_len > options.limits.section {
            return Err(self.error(section::too_large(data_len as u64, &options.limits)));
        }
        let mut data = vec![0; data_len]; // The file is as long as that.
        match read_full(source, &mut data, offset) {
            Ok(read) if read == data.len() => {}
            Ok(_) => return Err(self.error(ErrorKind::Truncated(Part::Data))),
            Err(error) => return Err(self.error(ErrorKind::Io(error))),
        }
        section::check(&self.section, &data, options.checks())
            .map_err(|error| error.with_base(self.payload_start))?;
        Ok(data)
    }

    fn error(&self, kind: ErrorKind) -> Error {
        Error::at(kind, self.section.offset).with_base(self.payload_start)
    }
}
