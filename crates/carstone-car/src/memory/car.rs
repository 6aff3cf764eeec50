//! The reader of blocks in memory by their CIDs.

use std::fmt;
use std::ops::Range;

use super::places::Places;
use crate::Cid;
use crate::error::Result;
use crate::header::Header;
use crate::open::Opened;
use crate::options::ReaderOptions;
use crate::section::{self, BlockRef, Head, Section};
use crate::slice::{self, CarSlice, SliceBlocks, SliceSections};
use crate::v2::V2Header;

/// A CAR in memory, owned (`Vec<u8>`, `Arc<[u8]>`) or borrowed (`&[u8]`), whose blocks are found by their CIDs, by as many threads as
/// share it. The counterpart of `CarReader` and `CarBufferReader` in @ipld/car.
///
/// All heads are read once, when it is made, into a table of some 20 to 45 bytes for each block. Data is neither copied nor looked at
/// then: a block is verified each time that it is handed out. What the CAR says of itself is right from then on, so that only blocks
/// can still be at fault.
///
/// Blocks are found by their multihash, so that a CIDv0 and CIDs of other codecs are found too, unless [`whole_cids`](Self::whole_cids) are
/// asked for. Where a block is there several times, the first one counts. The block of an identity CID is found only if it is there: who
/// has the CID has the data.
///
/// A [`CarSlice`] goes over the blocks without a table, and an [`IndexedCar`](crate::IndexedCar) reads files.
///
/// ```
/// use carstone_car::{CarWriter, MemoryCar, cid_of, codec};
/// let cid = cid_of(codec::RAW, b"hello");
/// let mut writer = CarWriter::new(Vec::new(), &[cid])?;
/// writer.write_block(&cid, b"hello")?;
///
/// let car = MemoryCar::parse(writer.finish()?)?;
/// assert_eq!((car.version(), car.roots(), car.len()), (1, &[cid][..], 1));
/// assert!(car.has(&cid) && !car.has(&cid_of(codec::RAW, b"absent")));
/// assert_eq!(car.get(&cid)?.expect("present").data, b"hello");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct MemoryCar<B> {
    bytes: B,
    opened: Opened,
    payload: Range<usize>,
    /// Offset of the first section in the payload.
    first: usize,
    options: ReaderOptions,
    places: Places,
    /// The number of sections.
    len: usize,
}

impl<B: AsRef<[u8]>> MemoryCar<B> {
    /// Reads the header at the start of `bytes`, and the heads of all sections. The counterpart of `fromBytes` in @ipld/car.
    ///
    /// # Errors
    /// All that a reader without verification finds: what is no section, or is cut short.
    pub fn parse(bytes: B) -> Result<Self> {
        MemoryCar::with_options(bytes, ReaderOptions::default())
    }

    /// The same with options.
    ///
    /// # Errors
    /// As with [`parse`](Self::parse).
    pub fn with_options(bytes: B, options: ReaderOptions) -> Result<Self> {
        let (opened, payload, first) =
            CarSlice::with_options(bytes.as_ref(), options)?.into_parts();
        let places = Places::default();
        let mut car = MemoryCar { bytes, opened, payload, first, options, places, len: 0 };
        (car.places, car.len) = car.survey(false)?;
        Ok(car)
    }

    /// Sets whether a block is found only under the CID that it is stored with. All heads are read again where that changes.
    #[must_use]
    pub fn whole_cids(mut self, yes: bool) -> Self {
        // The same bytes have been gone over without an error.
        if yes != self.places.by_whole_cids()
            && let Ok((places, len)) = self.survey(yes)
        {
            (self.places, self.len) = (places, len);
        }
        self
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.opened.header
    }

    /// The roots, as the header has them. They need not be among the blocks. The counterpart of `getRoots` in @ipld/car.
    pub fn roots(&self) -> &[Cid] {
        &self.opened.header.roots
    }

    /// The version of the format: 1 or 2. The counterpart of `version` in @ipld/car.
    pub fn version(&self) -> u64 {
        self.opened.version()
    }

    /// The header of a CARv2, `None` for a CARv1.
    pub fn v2_header(&self) -> Option<&V2Header> {
        self.opened.v2.as_ref()
    }

    /// Where the payload starts in the bytes: 0 for a CARv1.
    pub fn payload_start(&self) -> u64 {
        self.opened.payload_start()
    }

    /// The payload: a CARv1.
    pub fn payload(&self) -> &[u8] {
        self.bytes.as_ref().get(self.payload.clone()).unwrap_or_default()
    }

    /// The number of blocks, duplicates included.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no blocks.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number of blocks without duplicates: of multihashes, or of CIDs where [those](Self::whole_cids) count.
    pub fn distinct(&self) -> usize {
        self.places.len()
    }

    /// Whether there is a block of this CID. Nothing is verified. The counterpart of `has` in @ipld/car.
    pub fn has(&self, cid: &Cid) -> bool {
        self.offset_of(cid).is_some()
    }

    /// The first block of this CID, verified, or `None` if there is none. It bears the CID that it is stored with.
    /// The counterpart of `get` in @ipld/car.
    ///
    /// # Errors
    /// A [block error](crate::Error::is_block_error) if the data is not what the CID says.
    pub fn get(&self, cid: &Cid) -> Result<Option<BlockRef<'_>>> {
        let Some((section, block)) = self.first_of(cid) else {
            return Ok(None);
        };
        section::check(&section, block.data, self.options.checks())
            .map_err(|error| error.with_base(self.payload_start()))?;
        Ok(Some(block))
    }

    /// Where the first block of this CID lies in the payload. Nothing is verified.
    pub fn section(&self, cid: &Cid) -> Option<Section> {
        self.first_of(cid).map(|(section, _)| section)
    }

    /// Length of the data of the first block of this CID. Nothing is verified.
    pub fn size(&self, cid: &Cid) -> Option<usize> {
        self.section(cid).map(|section| section.data_len)
    }

    /// All blocks, in their order, duplicates included, verified. The counterpart of `blocks` in @ipld/car.
    pub fn blocks(&self) -> SliceBlocks<'_> {
        SliceBlocks::new(self.payload(), self.first, self.payload_start(), self.options)
    }

    /// Where all blocks lie, in their order, duplicates included. Nothing is verified.
    pub fn sections(&self) -> impl Iterator<Item = Section> + '_ {
        SliceSections::new(self.blocks()).map_while(Result::ok) // They have been gone over without an error.
    }

    /// The CIDs of all blocks, in their order, duplicates included. Nothing is verified. The counterpart of `cids` in @ipld/car.
    pub fn cids(&self) -> impl Iterator<Item = Cid> + '_ {
        self.sections().map(|section| section.cid)
    }

    /// Gives the bytes back.
    pub fn into_inner(self) -> B {
        self.bytes
    }

    /// Reads all heads.
    fn survey(&self, whole_cids: bool) -> Result<(Places, usize)> {
        let (mut places, mut len) = (Places::new(whole_cids), 0);
        for section in SliceSections::new(self.blocks()) {
            let section = section?;
            places.add(&section.cid, section.offset, |offset| self.cid_at(offset));
            len += 1;
        }
        Ok((places, len))
    }

    fn offset_of(&self, cid: &Cid) -> Option<u64> {
        self.places.find(cid, |offset| self.cid_at(offset))
    }

    fn first_of(&self, cid: &Cid) -> Option<(Section, BlockRef<'_>)> {
        let at = usize::try_from(self.offset_of(cid)?).ok()?;
        slice::read(self.payload(), at, &self.options).ok().flatten()
    }

    fn cid_at(&self, offset: u64) -> Option<Cid> {
        let rest = self.payload().get(usize::try_from(offset).ok()?..)?;
        match section::parse_head(rest, &self.options) {
            Head::Complete(head) => Some(head.cid),
            _ => None,
        }
    }
}

impl<'a, B: AsRef<[u8]>> IntoIterator for &'a MemoryCar<B> {
    type Item = Result<(Section, BlockRef<'a>)>;
    type IntoIter = SliceBlocks<'a>;

    fn into_iter(self) -> SliceBlocks<'a> {
        self.blocks()
    }
}

impl<B> fmt::Debug for MemoryCar<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryCar")
            .field("header", &self.opened.header)
            .field("v2_header", &self.opened.v2)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}
