//! The reader of blocks by their CIDs.

use std::fmt;
use std::io::Read;
use std::ops::Range;
use std::sync::{Mutex, OnceLock, PoisonError};

use super::lookup::{Made, Stored};
use crate::error::{Error, ErrorKind, Result};
use crate::found::{AHEAD, Found, HEAD_LEN};
use crate::header::Header;
use crate::index::{Index, IndexCodec, Table};
use crate::open::Opened;
use crate::options::ReaderOptions;
use crate::place::BlockPlace;
use crate::read_at::{AtReader, ReadAt};
use crate::scan::ScanOptions;
use crate::section::Section;
use crate::v2::V2Header;
use crate::{CarReader, Cid, hash_code};

/// Finds blocks in a CAR by their CIDs, for as many threads as share it.
/// The counterpart of `CarIndexedReader` in @ipld/car, and of `blockstore.ReadOnly` in go-car.
///
/// It uses the index in a CARv2, or one that is [brought along](Self::with_index). Without a usable one, the first search goes over the payload
/// once, without reading the data of blocks, and makes one.
///
/// A stored index is not believed: what it gives is a hint. At each place the CID is compared and the data verified, also where only the
/// [size](Self::size) is asked for, since the bytes of a CID can stand in other places than the start of its section. When it leads to
/// anything else, a scan says what is there, and an index that has lied is [found stale](Self::index_fault) and not used any more. Only
/// when it knows nothing of a CID is that taken for the truth; to rely on a scan alone, open with
/// [`ignoring_index`](Self::ignoring_index), and [`check_index`](Self::check_index) compares every entry with the payload.
///
/// A scan goes from section to section, so its places are right without a look at the data. Whoever asks for many sizes does better to
/// [`scan`](Self::scan) first: once the whole payload has been gone over, the stored index is left aside.
///
/// Blocks are found by their multihash, so that a CIDv0 and CIDs of other codecs are found too, unless [`whole_cids`](Self::whole_cids) are asked
/// for. An identity CID holds its data itself: it is always there.
///
/// ```
/// use std::io::Cursor;
/// use carstone_car::{CarFileWriter, IndexedCar, cid_of, codec};
/// let mut writer = CarFileWriter::new(Cursor::new(Vec::new()), &[])?;
/// let cid = writer.write_data(codec::RAW, b"hello")?.cid;
/// let file = writer.finish()?.into_inner();
///
/// let car = IndexedCar::open(file)?; // Or a `File`, or `SeekSource::new` of anything that seeks.
/// assert_eq!(car.get(&cid)?.as_deref(), Some(&b"hello"[..]));
/// assert!(!car.has(&cid_of(codec::RAW, b"absent"))?);
/// assert!(car.index_fault().is_none());
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct IndexedCar<R> {
    pub(super) source: R,
    opened: Opened,
    /// Where the payload lies in the source.
    pub(super) payload: Range<u64>,
    pub(super) options: ReaderOptions,
    pub(super) whole_cids: bool,
    stored: Option<Stored>,
    /// What makes the stored index unusable.
    pub(super) fault: OnceLock<Error>,
    pub(super) made: OnceLock<Made>,
    /// Held while an index is made, so that one thread does it.
    making: Mutex<()>,
}

impl<R: ReadAt> IndexedCar<R> {
    /// Reads the header, which starts at the first byte of `source`, and the heads of the index, if there is one.
    /// The counterpart of `fromFile` in @ipld/car, and of `OpenReadOnly` in go-car.
    pub fn open(source: R) -> Result<Self> {
        IndexedCar::with_options(source, ReaderOptions::default())
    }

    /// Like [`open`](Self::open), with options.
    pub fn with_options(source: R, options: ReaderOptions) -> Result<Self> {
        let mut car = IndexedCar::ignoring_index(source, options)?;
        let Some((v2, offset)) = car.opened.v2.and_then(|v2| Some((v2, v2.index_offset?))) else {
            return Ok(car);
        };
        let size = car.source.size().map_err(|error| Error::at(ErrorKind::Io(error), 0))?;
        let read = match options.legacy_index {
            true => Table::read_legacy,
            false => Table::read,
        };
        match read(&car.source, offset..size, Some(v2.data_size)) {
            Ok(table) => car.stored = Some(Stored { table, source: None }),
            Err(error) if matches!(error.kind(), ErrorKind::Io(_)) => return Err(error),
            Err(error) => car.fault = OnceLock::from(error),
        }
        Ok(car)
    }

    /// Reads the header, and uses an index that is stored elsewhere. One that is stored inside is not looked at.
    /// The counterpart of `NewReadOnly` in go-car with an index.
    pub fn with_index<I>(source: R, options: ReaderOptions, index: Index<I>) -> Result<Self>
    where
        I: ReadAt + Send + Sync + 'static,
    {
        let mut car = IndexedCar::ignoring_index(source, options)?;
        let (source, table) = index.into_parts();
        let source: Box<dyn ReadAt + Send + Sync> = Box::new(source);
        car.stored = Some(Stored { table, source: Some(source) });
        Ok(car)
    }

    /// Reads the header, and uses no stored index: the first search makes one.
    pub fn ignoring_index(source: R, options: ReaderOptions) -> Result<Self> {
        let size = source.size().map_err(|error| Error::at(ErrorKind::Io(error), 0))?;
        let opened = CarReader::open_seekable(AtReader::new(&source), options)?.into_parts().opened;
        let payload = opened.v2.map_or(0..size, |v2| v2.data_offset..v2.data_end());
        Ok(IndexedCar {
            source,
            opened,
            payload,
            options,
            whole_cids: false,
            stored: None,
            fault: OnceLock::new(),
            made: OnceLock::new(),
            making: Mutex::new(()),
        })
    }

    /// Sets whether a block is found only under the CID that it is stored with. The counterpart of `UseWholeCIDs` in go-car.
    #[must_use]
    pub fn whole_cids(mut self, yes: bool) -> Self {
        self.whole_cids = yes;
        self
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.opened.header
    }

    /// The roots, as the header has them. They need not be among the blocks.
    /// The counterpart of `getRoots` in @ipld/car, and of `Roots` in go-car.
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

    /// Where the payload starts in the source: 0 for a CARv1.
    pub fn payload_start(&self) -> u64 {
        self.payload.start
    }

    /// The data of a block, verified, or `None` if there is no such block. Where the block is there several times, one that is
    /// intact is enough. A block of up to 16 KiB takes one read, beside those of an index that is stored; a larger one takes two. The counterpart
    /// of `get` in @ipld/car, and of `Get` in go-car.
    pub fn get(&self, cid: &Cid) -> Result<Option<Vec<u8>>> {
        if cid.hash().code() == hash_code::IDENTITY {
            return Ok(Some(cid.hash().digest().to_vec()));
        }
        self.find(cid, |found| self.data_of(found), |found| self.data_of(found), AHEAD)
    }

    /// Whether there is a block of this CID, as [`section`](Self::section) finds it.
    /// The counterpart of `has` in @ipld/car, and of `Has` in go-car.
    pub fn has(&self, cid: &Cid) -> Result<bool> {
        Ok(self.size(cid)?.is_some())
    }

    /// Length of the data of a block, as [`section`](Self::section) finds it. The counterpart of `GetSize` in go-car.
    pub fn size(&self, cid: &Cid) -> Result<Option<usize>> {
        if cid.hash().code() == hash_code::IDENTITY {
            return Ok(Some(usize::from(cid.hash().size())));
        }
        Ok(self.section(cid)?.map(|section| section.data_len))
    }

    /// Where a block lies in the payload: the section there has its CID. `None` if there is no such block, and for identity CIDs.
    ///
    /// The data is read and verified where a stored index gives the place, and not looked at where a scan does. A section whose data is
    /// damaged is there.
    pub fn section(&self, cid: &Cid) -> Result<Option<Section>> {
        if cid.hash().code() == hash_code::IDENTITY {
            return Ok(None);
        }
        let by_index = |found: Found| {
            let section = found.section;
            self.data_of(found).map(|_| section)
        };
        self.find(cid, by_index, |found| Ok(found.section), HEAD_LEN)
    }

    /// The data of a section that [`section`](Self::section) has found, verified. The counterpart of `readRaw` in @ipld/car.
    pub fn read(&self, section: &Section) -> Result<Vec<u8>> {
        self.place(section).read_inside(&self.source, self.payload.end, &self.options)
    }

    /// The data of a section as a stream, unverified, for blocks that are not to be held in memory. The counterpart of `GetStream` in go-car.
    ///
    /// A section that is not there gives whatever stands in its place, up to the end of the payload.
    pub fn danger_read_stream(&self, section: &Section) -> impl Read + '_ {
        let place = self.place(section);
        let start = place.file_data_offset().min(self.payload.end);
        let end = start.saturating_add(section.data_len as u64).min(self.payload.end);
        AtReader::starting_at(&self.source, start).take(end - start)
    }

    /// Where a section that [`section`](Self::section) has found lies in the source.
    pub fn place(&self, section: &Section) -> BlockPlace {
        BlockPlace { section: *section, payload_start: self.payload.start }
    }

    /// A reader of all blocks, in the order in which they are stored.
    /// The counterpart of `blocks` in @ipld/car, and of `AllKeysChan` in go-car.
    pub fn reader(&self) -> Result<CarReader<AtReader<&R>>> {
        CarReader::open_seekable(AtReader::new(&self.source), self.options)
    }

    /// The format of the stored index that is in use.
    pub fn index_codec(&self) -> Option<IndexCodec> {
        self.stored_table().map(|table| table.codec())
    }

    /// What is wrong with the stored index, once that has been found: it cannot be read, or has led to a place that is no section of the
    /// block ([`ErrorKind::StaleIndex`]). Then it is not used any more.
    pub fn index_fault(&self) -> Option<&Error> {
        self.fault.get()
    }

    /// Whether an index has been made by going over the payload.
    pub fn is_scanned(&self) -> bool {
        self.made.get().is_some()
    }

    /// What has ended the scan before the payload did: blocks behind it are not found.
    pub fn scan_fault(&self) -> Option<&Error> {
        self.made.get().and_then(|made| made.stopped.as_ref())
    }

    /// Goes over the payload now and makes an index, if that has not been done.
    pub fn scan(&self) -> Result<()> {
        self.made().map(drop)
    }

    /// The same on [several threads](ScanOptions::threads), which is faster where a file is large.
    pub fn scan_with(&self, settings: ScanOptions) -> Result<()>
    where
        R: Sync,
    {
        let start = self.payload_start();
        self.made_by(|| Made::scan_with(&self.source, start, self.options, settings)).map(drop)
    }

    /// Gives the source back.
    pub fn into_inner(self) -> R {
        self.source
    }

    /// The stored index, if it is usable as far as is known.
    pub(super) fn stored(&self) -> Option<&Stored> {
        self.stored.as_ref().filter(|_| self.fault.get().is_none())
    }

    pub(super) fn source_of<'a>(&'a self, stored: &'a Stored) -> &'a (dyn ReadAt + 'a) {
        match &stored.source {
            Some(source) => source,
            None => &self.source,
        }
    }

    fn stored_table(&self) -> Option<&Table> {
        self.stored().map(|stored| &stored.table)
    }

    pub(super) fn made(&self) -> Result<&Made> {
        self.made_by(|| Made::scan(&self.source, self.options))
    }

    fn made_by(&self, make: impl FnOnce() -> Result<Made>) -> Result<&Made> {
        // One that panicked has left nothing behind.
        let _one = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        match self.made.get() {
            Some(made) => Ok(made),
            None => {
                let made = make()?;
                Ok(self.made.get_or_init(|| made))
            }
        }
    }
}

impl<R> fmt::Debug for IndexedCar<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IndexedCar")
            .field("header", &self.opened.header)
            .field("v2_header", &self.opened.v2)
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}
