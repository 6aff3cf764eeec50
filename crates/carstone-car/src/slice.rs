//! Reading a CAR that lies in memory, without copying blocks.

use std::iter::FusedIterator;
use std::ops::Range;

use crate::Cid;
use crate::error::{Error, ErrorKind, Part, Result};
use crate::header::{self, First, Header};
#[cfg(feature = "fs")]
use crate::index::Index;
use crate::open::{self, Opened};
use crate::options::{Checks, ReaderOptions};
use crate::section::{self, BlockRef, Head, Section};
use crate::v2::{V2_PRAGMA, V2Header};
use crate::varint::{self, Varint};

/// A CAR in memory. Blocks borrow their data from it. The counterpart of `CarBufferReader` in @ipld/car, as far as it goes over blocks.
///
/// Of a CARv2, which must be there from its first byte to its last, all offsets are those in the payload.
///
/// ```
/// use carstone_car::{CarSlice, CarWriter, codec};
/// let mut writer = CarWriter::new(Vec::new(), &[])?;
/// writer.write_data(codec::RAW, b"hello")?;
/// let bytes = writer.finish()?;
///
/// for item in CarSlice::parse(&bytes)? {
///     let (section, block) = item?;
///     assert_eq!((section.offset, block.data), (18, &b"hello"[..]));
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct CarSlice<'a> {
    file: &'a [u8],
    /// The payload.
    bytes: &'a [u8],
    opened: Opened,
    first: usize,
    options: ReaderOptions,
}

/// The blocks of a [`CarSlice`], in their order, verified.
///
/// A [block error](Error::is_block_error) does not end the iteration, all others do.
#[derive(Clone, Debug)]
pub struct SliceBlocks<'a> {
    bytes: &'a [u8],
    at: usize,
    base: u64,
    options: ReaderOptions,
}

/// Where the blocks of a [`CarSlice`] lie, in their order. Nothing is verified. An error ends the iteration.
#[derive(Clone, Debug)]
pub struct SliceSections<'a>(SliceBlocks<'a>);

impl<'a> CarSlice<'a> {
    /// Reads the header at the start of `bytes`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        CarSlice::with_options(bytes, ReaderOptions::default())
    }

    /// Reads the header at the start of `bytes`, with options.
    pub fn with_options(bytes: &'a [u8], options: ReaderOptions) -> Result<Self> {
        let (first, at) = read_header(bytes, &options)?;
        let v2 = match first {
            First::V1(header) => {
                open::check_roots(&header, &options)?;
                let opened = Opened { header, v2: None };
                return Ok(CarSlice { file: bytes, bytes, opened, first: at, options });
            }
            First::V2 if options.only_v1 => {
                return Err(Error::at(ErrorKind::UnsupportedVersion(2), 0));
            }
            First::V2 => {
                let rest = bytes.get(at..).unwrap_or_default();
                open::parse_v2_header(rest, V2_PRAGMA.len() as u64, Some(bytes.len() as u64))?
            }
        };
        // Inside of the slice, whose length the header has been compared with.
        let payload = &bytes[v2.data_offset as usize..v2.data_end() as usize];
        let header = read_header(payload, &options)
            .and_then(|(first, at)| Ok((open::inner(first, &options)?, at)))
            .map_err(|error| error.with_base(v2.data_offset));
        let (header, first) = header?;
        let opened = Opened { header, v2: Some(v2) };
        Ok(CarSlice { file: bytes, bytes: payload, opened, first, options })
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.opened.header
    }

    /// The version of the format: 1 or 2.
    pub fn version(&self) -> u64 {
        self.opened.version()
    }

    /// The header of a CARv2, `None` for a CARv1.
    pub fn v2_header(&self) -> Option<&V2Header> {
        self.opened.v2.as_ref()
    }
    /// The index that a CARv2 has inside. `None` if it has none. The counterpart of `IndexReader` in go-car.
    #[cfg(feature = "fs")]
    pub fn index(&self) -> Result<Option<Index<&'a [u8]>>> {
        let Some((v2, offset)) = self.opened.v2.and_then(|v2| Some((v2, v2.index_offset?))) else {
            return Ok(None);
        };
        let range = offset..self.file.len() as u64;
        let legacy = self.options.legacy_index;
        Index::read(self.file, range, Some(v2.data_size), legacy).map(Some)
    }

    /// Where the payload starts in the slice: 0 for a CARv1.
    pub fn payload_start(&self) -> u64 {
        self.opened.payload_start()
    }

    /// The payload: a CARv1. The counterpart of `DataReader` in go-car.
    pub fn payload(&self) -> &'a [u8] {
        self.bytes
    }

    /// The roots, as the header has them. They need not be among the blocks.
    pub fn roots(&self) -> &[Cid] {
        &self.opened.header.roots
    }

    /// The blocks, in their order, verified.
    pub fn blocks(&self) -> SliceBlocks<'a> {
        SliceBlocks::new(self.bytes, self.first, self.payload_start(), self.options)
    }

    /// Where the blocks lie, in their order. Nothing is verified.
    pub fn sections(&self) -> SliceSections<'a> {
        SliceSections::new(self.blocks())
    }

    /// What was found at the start, where the payload lies, and the offset of the first section in it.
    pub(crate) fn into_parts(self) -> (Opened, Range<usize>, usize) {
        let start = self.opened.v2.map_or(0, |v2| v2.data_offset as usize); // Inside of the slice.
        (self.opened, start..start.saturating_add(self.bytes.len()), self.first)
    }

    /// The block of the section at this offset, verified, or `None` if the CAR ends there.
    ///
    /// That a section starts there is for the caller to know; only the hash vouches for it.
    pub fn block_at(&self, offset: u64) -> Result<Option<(Section, BlockRef<'a>)>> {
        let Ok(at) = usize::try_from(offset) else {
            return Ok(None);
        };
        let checked = read(self.bytes, at, &self.options).and_then(|found| {
            if let Some((section, block)) = &found {
                section::check(section, block.data, self.options.checks())?;
            }
            Ok(found)
        });
        checked.map_err(|error| error.with_base(self.payload_start()))
    }
}

impl<'a> IntoIterator for CarSlice<'a> {
    type Item = Result<(Section, BlockRef<'a>)>;
    type IntoIter = SliceBlocks<'a>;

    fn into_iter(self) -> SliceBlocks<'a> {
        self.blocks()
    }
}

impl<'a> IntoIterator for &CarSlice<'a> {
    type Item = Result<(Section, BlockRef<'a>)>;
    type IntoIter = SliceBlocks<'a>;

    fn into_iter(self) -> SliceBlocks<'a> {
        self.blocks()
    }
}

impl<'a> SliceBlocks<'a> {
    /// The blocks of a payload that starts at `base` in the file, from `at` on.
    pub(crate) fn new(payload: &'a [u8], at: usize, base: u64, options: ReaderOptions) -> Self {
        SliceBlocks { bytes: payload, at, base, options }
    }

    /// The offset of the next section, in bytes from the start of the payload.
    pub fn offset(&self) -> u64 {
        self.at as u64
    }

    /// Leaves the verification that was asked for to the caller.
    pub(crate) fn leave_unverified(&mut self) -> Checks {
        let checks = self.options.checks();
        self.options = self.options.danger_skip_verification();
        checks
    }
}

impl<'a> Iterator for SliceBlocks<'a> {
    type Item = Result<(Section, BlockRef<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        match read(self.bytes, self.at, &self.options) {
            Ok(Some((section, block))) => {
                self.at = section.end() as usize; // Inside of the slice.
                let checked = section::check(&section, block.data, self.options.checks());
                let checked = checked.map_err(|error| error.with_base(self.base));
                Some(checked.map(|()| (section, block)))
            }
            Ok(None) => {
                self.bytes = &[];
                None
            }
            Err(error) => {
                self.bytes = &[];
                Some(Err(error.with_base(self.base)))
            }
        }
    }
}

impl FusedIterator for SliceBlocks<'_> {}

impl<'a> SliceSections<'a> {
    pub(crate) fn new(mut blocks: SliceBlocks<'a>) -> Self {
        blocks.leave_unverified();
        SliceSections(blocks)
    }
}

impl Iterator for SliceSections<'_> {
    type Item = Result<Section>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|item| item.map(|(section, _)| section))
    }
}

impl FusedIterator for SliceSections<'_> {}

/// Reads the header of either version at the start of `bytes`, and says where it ends.
fn read_header(bytes: &[u8], options: &ReaderOptions) -> Result<(First, usize)> {
    let truncated = || Error::at(ErrorKind::Truncated(Part::Header), bytes.len() as u64);
    let (len, at) = match varint::decode_with(bytes, options.padded_varints) {
        Varint::Value(len, at) => (len, at),
        Varint::Incomplete => return Err(truncated()),
        Varint::Malformed => return Err(Error::at(ErrorKind::BadVarint(Part::Header), 0)),
    };
    let len = header::check_len(len, &options.limits)?;
    let body = bytes.get(at..).and_then(|rest| rest.get(..len)).ok_or_else(truncated)?;
    Ok((header::decode_first(body, &options.limits)?, at + len))
}

/// Reads the section at `at`, without verifying it.
pub(crate) fn read<'a>(
    bytes: &'a [u8],
    at: usize,
    options: &ReaderOptions,
) -> Result<Option<(Section, BlockRef<'a>)>> {
    let rest = match bytes.get(at..) {
        None | Some([]) => return Ok(None),
        Some(rest) => rest,
    };
    let end = bytes.len() as u64;
    match section::parse_head(rest, options) {
        Head::Complete(head) => {
            let section = Section::new(&head, at as u64);
            let data = rest
                .get(head.head_len..)
                .and_then(|rest| rest.get(..head.data_len))
                .ok_or_else(|| Error::at(ErrorKind::Truncated(Part::Data), end))?;
            let block = BlockRef { cid: head.cid, data };
            Ok(Some((section, block)))
        }
        Head::NeedMore(_) if options.ignore_trailing_bytes => Ok(None),
        Head::NeedMore(_) => Err(Error::at(section::truncated_head(rest), end)),
        Head::Bad(kind) if section::is_end(&kind, options) => Ok(None),
        Head::Bad(kind) => Err(Error::at(kind, at as u64)),
    }
}
