//! Where a block lies in a file.

use crate::Cid;
use crate::section::Section;

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
}
