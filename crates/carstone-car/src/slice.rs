//! Reading a CAR that lies in memory, without copying blocks.

use std::iter::FusedIterator;

use crate::Cid;
use crate::error::{Error, ErrorKind, Part, Result};
use crate::header::{self, Header};
use crate::options::ReaderOptions;
use crate::section::{self, BlockRef, Head, Section};
use crate::varint::{self, Varint};

/// A CARv1 in memory. Blocks borrow their data from it.
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
    bytes: &'a [u8],
    header: Header,
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
    options: ReaderOptions,
}

impl<'a> CarSlice<'a> {
    /// Reads the header at the start of `bytes`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        CarSlice::with_options(bytes, ReaderOptions::default())
    }

    /// Reads the header at the start of `bytes`, with options.
    pub fn with_options(bytes: &'a [u8], options: ReaderOptions) -> Result<Self> {
        let truncated = || Error::at(ErrorKind::Truncated(Part::Header), bytes.len() as u64);
        let (len, at) = match varint::decode(bytes) {
            Varint::Value(0, _) => {
                return Err(Error::at(ErrorKind::BadHeader("its length is zero"), 0));
            }
            Varint::Value(len, at) => (len, at),
            Varint::Incomplete => return Err(truncated()),
            Varint::Malformed => return Err(Error::at(ErrorKind::BadVarint(Part::Header), 0)),
        };
        let len = usize::try_from(len)
            .ok()
            .filter(|&len| len <= options.limits.header)
            .ok_or_else(|| header::too_large(len, &options.limits))?;
        let body = bytes.get(at..).and_then(|rest| rest.get(..len)).ok_or_else(truncated)?;
        Ok(CarSlice {
            bytes,
            header: Header::decode(body, &options.limits)?,
            first: at + len,
            options,
        })
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The roots, as the header has them. They need not be among the blocks.
    pub fn roots(&self) -> &[Cid] {
        &self.header.roots
    }

    /// The blocks, in their order, verified.
    pub fn blocks(&self) -> SliceBlocks<'a> {
        SliceBlocks { bytes: self.bytes, at: self.first, options: self.options }
    }

    /// The block of the section at this offset, verified, or `None` if the CAR ends there.
    ///
    /// That a section starts there is for the caller to know; only the hash vouches for it.
    pub fn block_at(&self, offset: u64) -> Result<Option<(Section, BlockRef<'a>)>> {
        let Ok(at) = usize::try_from(offset) else {
            return Ok(None);
        };
        match read(self.bytes, at, &self.options)? {
            Some((section, block)) => {
                section::check(&section, block.data, self.options.verification())?;
                Ok(Some((section, block)))
            }
            None => Ok(None),
        }
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
    /// The offset of the next section, in bytes from the start of the CAR.
    pub fn offset(&self) -> u64 {
        self.at as u64
    }
}

impl<'a> Iterator for SliceBlocks<'a> {
    type Item = Result<(Section, BlockRef<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        match read(self.bytes, self.at, &self.options) {
            Ok(Some((section, block))) => {
                self.at = section.end() as usize; // Inside of the slice.
                let checked = section::check(&section, block.data, self.options.verification());
                Some(checked.map(|()| (section, block)))
            }
            Ok(None) => {
                self.bytes = &[];
                None
            }
            Err(error) => {
                self.bytes = &[];
                Some(Err(error))
            }
        }
    }
}

impl FusedIterator for SliceBlocks<'_> {}

/// Reads the section at `at`, without verifying it.
fn read<'a>(
    bytes: &'a [u8],
    at: usize,
    options: &ReaderOptions,
) -> Result<Option<(Section, BlockRef<'a>)>> {
    let rest = match bytes.get(at..) {
        None | Some([]) => return Ok(None),
        Some(rest) => rest,
    };
    let end = bytes.len() as u64;
    match section::parse_head(rest, &options.limits) {
        Head::Complete(head) => {
            let section = Section::new(&head, at as u64);
            let data = rest
                .get(head.head_len..)
                .and_then(|rest| rest.get(..head.data_len))
                .ok_or_else(|| Error::at(ErrorKind::Truncated(Part::Data), end))?;
            let block = BlockRef { cid: head.cid, data };
            Ok(Some((section, block)))
        }
        Head::NeedMore(_) => Err(Error::at(section::truncated_head(rest), end)),
        Head::Bad(ErrorKind::EmptySection) if options.zero_section_is_end => Ok(None),
        Head::Bad(kind) => Err(Error::at(kind, at as u64)),
    }
}
