//! A plain CAR of either version in a file: its blocks by CID.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use anyhow::bail;
use carstone::car::{
    self, AtReader, Cid, ErrorKind, Header, Index, IndexedCar, ReaderOptions, ScanOptions,
    V2Header, codec, hash_code,
};
use carstone::layer;
use carstone::repair::{CarItem, CarSalvage};
use carstone::unixfs::BlockSource;

use crate::input::searched::{Keep, Places, Searched, places, search};
use crate::input::stored::{Stored, Stretches};
use crate::signals;
use crate::source::Watched;

/// The blocks of a CAR, found by the index of a CARv2, else by one pass over the heads of its sections.
pub(crate) struct PlainCar {
    file: Stored,
    /// What is accepted.
    reading: ReaderOptions,
    blocks: IndexedCar<Stored>,
    /// Each root once.
    pub(super) roots: Vec<Cid>,
    /// The same without its index, for blocks that the index does not have.
    scanned: OnceLock<IndexedCar<Stored>>,
    /// Whether there were such blocks.
    pub(super) incomplete: AtomicBool,
    /// Lengths that were asked for.
    sizes: AtomicUsize,
    /// The header of a CARv2.
    v2: Option<V2Header>,
    /// Why a CARv2 that is cut, or has a damaged header, is read like a CARv1 that is cut.
    cut: Option<car::Error>,
    /// The header of the CARv2 is damaged: nothing but the start of the payload is known.
    is_front_lost: bool,
    /// Where the payload ends, or perhaps ends.
    payload_end: u64,
    /// Blocks to which none links: see [`loose`](Self::loose).
    pub(super) loose: OnceLock<Vec<Cid>>,
    /// What was found by its content, behind damage that ends a walk over the sections.
    pub(super) searched: Option<Searched>,
    /// What was searched behind a fault, and was no more than its end.
    cut_short: Option<Searched>,
    /// The header names no roots: those blocks that no other links to stand for them.
    pub(super) implied: bool,
    /// Why there is no header: the roots are those blocks that no other links to.
    pub(super) headless: Option<car::Error>,
    /// A CARv2 that is longer than its header says, as it says.
    stated: Option<IndexedCar<Stored>>,
}

impl PlainCar {
    /// Reads the header, and finds all blocks where no index does. A CAR that is cut keeps the blocks before the cut, and has
    /// [`faults`](Self::faults); behind other damage blocks are found by their content. It may have no roots.
    pub(crate) fn open(file: File, reading: ReaderOptions) -> anyhow::Result<Self> {
        let end = layer::ReadAt::size(&file)?;
        let file = Stored { file: Arc::new(file), front: Arc::from([]), start: 0, end };
        let mut is_front_lost = false;
        let (blocks, v2, cut) = match IndexedCar::with_options(file.clone(), reading) {
            Ok(blocks) => {
                let v2 = blocks.v2_header().copied();
                (blocks, v2, None)
            }
            Err(error) => match file.cut_v2()?.or_else(|| {
                is_front_lost = true;
                file.headless_v2()
            }) {
                Some(v2) => {
                    let (start, end) = (v2.data_offset, v2.data_end().min(end));
                    let payload = Stored { start, end, ..file.clone() };
                    match IndexedCar::with_options(payload, reading) {
                        Ok(blocks) => (blocks, Some(v2), Some(error)),
                        Err(error) => return Self::without_header(file, reading, error),
                    }
                }
                None => return Self::without_header(file, reading, error),
            },
        };
        let (mut roots, mut seen) = (blocks.roots().to_vec(), HashSet::new());
        roots.retain(|root| !is_no_root(root) && seen.insert(*root));
        if blocks.index_codec().is_none() {
            blocks.scan_with(ScanOptions::default())?;
        }
        let payload_end = file.payload_end(v2.as_ref().filter(|_| cut.is_none()), reading);
        let mut car = Self {
            file,
            reading,
            blocks,
            is_front_lost,
            payload_end,
            loose: OnceLock::new(),
            roots,
            scanned: OnceLock::new(),
            incomplete: AtomicBool::new(false),
            sizes: AtomicUsize::new(0),
            v2,
            cut,
            searched: None,
            cut_short: None,
            implied: false,
            headless: None,
            stated: None,
        };
        if car.blocks.scan_fault().is_some() || car.goes_on_behind_its_end()? {
            let payload = car.payload();
            let Places { searched, index, tops, loose } =
                places(payload.clone(), 0, Keep { mismatches: true, tops: true })?;
            let is_past_damage = searched.goes_past_damage();
            let is_past_end = car.v2.is_some_and(|v2| searched.end_of_blocks() > v2.data_size);
            let searched = Some(searched.without_index(&payload, car.v2.as_ref()));
            if is_past_damage || is_past_end {
                let blocks = IndexedCar::with_index(payload, reading, index)?;
                let stated = std::mem::replace(&mut car.blocks, blocks);
                car.stated = is_past_end.then_some(stated);
                car.searched = searched;
            } else {
                car.cut_short = searched;
            }
            car.imply(tops, loose);
        } else if car.roots.is_empty() {
            let Places { tops, loose, .. } = places(car.payload(), 0, Keep::TOPS)?;
            car.imply(tops, loose);
        }
        Ok(car)
    }

    /// All blocks that can be found by their content, where `error` says what is wrong with the header.
    fn without_header(
        file: Stored,
        reading: ReaderOptions,
        error: car::Error,
    ) -> anyhow::Result<Self> {
        if matches!(error.kind(), ErrorKind::Io(_) | ErrorKind::UnsupportedVersion(_)) {
            return Err(error.into());
        }
        // A CARv1 without roots, made of all that is there.
        let front = Header::default().encode();
        let v2 = file.v2_header()?.filter(|v2| v2.data_offset < file.end);
        let payload = Stored { start: v2.map_or(0, |v2| v2.data_offset), ..file };
        let places = places(payload.clone(), front.len() as u64, Keep::TOPS)?;
        let Places { searched, index, tops, loose } = places;
        let searched = searched.without_index(&payload, v2.as_ref());
        if searched.blocks == 0 {
            return Err(error.into());
        }
        let file = Stored { front: front.into(), ..payload };
        let payload_end = file.end;
        let blocks = IndexedCar::with_index(file.clone(), reading, index)?;
        Ok(Self {
            file,
            reading,
            blocks,
            is_front_lost: false,
            payload_end,
            loose: OnceLock::from(loose),
            roots: tops,
            scanned: OnceLock::new(),
            incomplete: AtomicBool::new(false),
            sizes: AtomicUsize::new(0),
            v2,
            cut: None,
            searched: Some(searched),
            cut_short: None,
            implied: false,
            headless: Some(error),
            stated: None,
        })
    }

    /// The bytes of the CARv1, and whatever follows: where bytes were lost or added, its stated length is wrong.
    pub(super) fn payload(&self) -> Stored {
        let start = self.v2.map_or(self.file.start, |v2| v2.data_offset);
        Stored { front: Arc::from([]), start, end: self.payload_end, ..self.file.clone() }
    }

    /// Whether a sound block stands where the payload of a CARv2 is to end, and no index where the header says: bytes were put in.
    fn goes_on_behind_its_end(&self) -> anyhow::Result<bool> {
        let Some(v2) = self.v2.filter(|_| self.cut.is_none() && self.index().is_none()) else {
            return Ok(false);
        };
        let rest = Stored { start: v2.data_end(), ..self.payload() };
        let first = CarSalvage::new(AtReader::new(rest)).next()?;
        Ok(matches!(first, Some(CarItem::Block { section, .. }) if section.offset == 0))
    }

    /// Goes over all bytes of the payload, and past all damage, unless that has been done.
    pub(crate) fn search(&self) -> anyhow::Result<Cow<'_, Searched>> {
        if let Some(searched) = self.searched.as_ref().or(self.cut_short.as_ref()) {
            return Ok(Cow::Borrowed(searched));
        }
        let payload = self.payload();
        Ok(Cow::Owned(search(&payload)?.without_index(&payload, self.v2.as_ref())))
    }

    /// Reads the payload past all damage, without a search through the gaps that are known.
    pub(crate) fn salvage(&self, searched: &Searched) -> CarSalvage<impl Read + use<>> {
        CarSalvage::new(Watched(Stretches::between(self.payload(), &searched.gaps)))
    }

    /// Where the payload starts in the file.
    pub(crate) fn payload_start(&self) -> u64 {
        self.payload().start
    }

    /// Why a CARv2 is not read as one.
    pub(super) fn cut_fault(&self) -> Option<&car::Error> {
        self.cut.as_ref()
    }

    /// Why there is no header.
    pub(crate) fn headless(&self) -> Option<&car::Error> {
        self.headless.as_ref()
    }

    /// The same, to read files out of it.
    ///
    /// # Errors
    /// It has no roots.
    pub(crate) fn with_files(file: File, reading: ReaderOptions) -> anyhow::Result<Self> {
        let car = Self::open(file, reading)?;
        match car.roots.is_empty() {
            true => bail!("the CAR has no root, so it holds no files"),
            false => Ok(car),
        }
    }

    /// The root CIDs, each once.
    pub(crate) fn roots(&self) -> &[Cid] {
        &self.roots
    }

    /// The root CIDs as the header has them.
    pub(crate) fn stored_roots(&self) -> &[Cid] {
        self.blocks.roots()
    }

    /// The header of a CARv2, if it is left.
    pub(crate) fn v2(&self) -> Option<&V2Header> {
        self.v2.as_ref().filter(|_| !self.is_front_lost)
    }

    /// 1 or 2, if the header is left that tells it.
    pub(crate) fn version(&self) -> Option<u8> {
        let has_header = self.headless.is_none();
        self.v2.map(|_| 2).or(has_header.then_some(1))
    }

    /// How many sections there are, up to the first that is damaged, or how many good ones where they had to be searched for.
    pub(crate) fn count(&self) -> anyhow::Result<u64> {
        if let Some(searched) = &self.searched {
            return Ok(searched.blocks);
        }
        let (mut reader, mut count) = (self.blocks.reader()?, 0);
        loop {
            match reader.skip_section() {
                Ok(Some(_)) => count += 1,
                Ok(None) => return Ok(count),
                Err(error) if matches!(error.kind(), ErrorKind::Io(_)) => return Err(error.into()),
                Err(_) => return Ok(count),
            }
        }
    }

    /// The index of a CARv2 that has one that can be read.
    pub(crate) fn index(&self) -> Option<Index<impl car::ReadAt>> {
        let v2 = self.v2.filter(|_| self.cut.is_none() && self.headless.is_none())?;
        let place = v2.index_offset?..self.file.end;
        self.file.index(place, Some(v2.data_size), self.reading).ok()
    }

    /// Compares the index with the blocks; `None` where there is no index to compare.
    pub(crate) fn check_index(&self) -> car::Result<Option<car::IndexReport>> {
        self.blocks.check_index()
    }

    /// What is known to be wrong: with the index, as far as it was used, and with what had to be read instead.
    pub(crate) fn faults(&self) -> impl Iterator<Item = &car::Error> {
        let blocks = match (&self.cut, &self.searched) {
            (None, None) => Some(&self.blocks),
            _ => self.stated.as_ref(),
        };
        let inner = blocks.map_or([None, None], |car| [car.index_fault(), car.scan_fault()]);
        self.cut.iter().chain(inner.into_iter().flatten())
    }

    /// Looks a block up by the index, and where the index does not have it, by going over all blocks once.
    fn look<T>(
        &self,
        look: impl Fn(&IndexedCar<Stored>) -> car::Result<Option<T>>,
    ) -> io::Result<Option<T>> {
        signals::check()?;
        let found = as_found(look(&self.blocks))?;
        let is_searched = self.searched.is_some() || self.cut_short.is_some();
        // An index that was found to lie is no longer used; what was scanned instead may end early.
        let may_hide = self.blocks.index_codec().is_some() || self.blocks.scan_fault().is_some();
        if found.is_some() || is_searched || !may_hide {
            return Ok(found);
        }
        let found = as_found(look(self.scanned()?))?;
        if found.is_some() && self.blocks.index_fault().is_none() {
            self.incomplete.store(true, Ordering::Relaxed);
        }
        Ok(found)
    }

    fn scanned(&self) -> io::Result<&IndexedCar<Stored>> {
        if let Some(scanned) = self.scanned.get() {
            return Ok(scanned);
        }
        let mut car = IndexedCar::ignoring_index(self.file.clone(), self.reading)?;
        car.scan_with(ScanOptions::default())?;
        if car.scan_fault().is_some() {
            let payload = self.payload();
            let keep = Keep { mismatches: true, tops: false };
            let places = places(payload.clone(), 0, keep).map_err(io::Error::other)?;
            car = IndexedCar::with_index(payload, self.reading, places.index)?;
        }
        Ok(self.scanned.get_or_init(|| car))
    }
}

impl BlockSource for PlainCar {
    fn block(&self, cid: &Cid) -> io::Result<Option<Vec<u8>>> {
        self.look(|car| car.get(cid))
    }

    fn size(&self, cid: &Cid) -> io::Result<Option<u64>> {
        signals::check()?;
        // By a stored index each length costs the hash of its block; a pass over all heads soon costs less.
        let is_many = self.sizes.fetch_add(1, Ordering::Relaxed) >= SIZES;
        let can_scan = self.searched.is_none();
        let size = match is_many && can_scan && self.blocks.index_codec().is_some() {
            true => as_found(self.scanned()?.size(cid))?,
            false => self.look(|car| car.size(cid))?,
        };
        Ok(size.map(|size| size as u64))
    }
}

/// Lengths that are found by the stored index.
const SIZES: usize = 64;

/// A block that could only be behind the fault that ends the CAR is missing; the fault is told by itself.
fn as_found<T>(found: car::Result<Option<T>>) -> io::Result<Option<T>> {
    match found {
        Err(error) if matches!(error.kind(), ErrorKind::NotAllScanned) => Ok(None),
        found => Ok(found?),
    }
}

/// Gateways write this root, an identity CID of no bytes, where none is known.
fn is_no_root(root: &Cid) -> bool {
    root.codec() == codec::RAW
        && root.hash().code() == hash_code::IDENTITY
        && root.hash().size() == 0
}
