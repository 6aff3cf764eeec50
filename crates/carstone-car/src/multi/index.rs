//! The index over many CARs, as it is searched where it is stored.

use std::fmt;

use multihash::Multihash;

use super::entries::MultiEntries;
use super::files::{FileEntry, FileTable};
use super::footer::{LEVELS, Shape, TOP_PAGES};
use super::leaf::{Key, Leaf, MultiPlace};
use super::page::{self, Fields, Kind, PAGE, Page, bad_page};
use super::places::MultiPlaces;
use crate::Cid;
use crate::error::{Error, ErrorKind, Result};
use crate::read_at::{ReadAt, read_full};

/// Finds blocks in many CARs, with one index over all of them: which file, where in it, how long.
///
/// A search reads three pages of 4 KiB at most, each in one positional read: none in an index of up to about 20,000 blocks, one up to 6
/// million, two up to two thousand million. What is held in memory is the list of files and at most 1 MiB of search pages;
/// [`open`](Self::open) reads them. Many threads may search at once.
///
/// Every page has a checksum, and one that is damaged is an error that names it, of those searches only that need it. But an index
/// is a claim, by whoever wrote it: the files may be others by now. [`MultiCar`](crate::MultiCar) confirms what it finds.
///
/// Blocks are found by their multihash, whatever codec and version the CID has. A block that is there several times, in one file or in
/// many, has an entry for each.
///
/// ```
/// use carstone_car::{CarWriter, MultiIndex, MultiIndexBuilder, cid_of, codec};
/// let car = |data: &[u8]| -> std::io::Result<_> {
///     let mut writer = CarWriter::new(Vec::new(), &[])?;
///     writer.write_data(codec::RAW, data)?;
///     writer.finish()
/// };
/// let mut builder = MultiIndexBuilder::new();
/// builder.add_car("one.car", &car(b"hello")?)?;
/// builder.add_car("two.car", &car(b"world")?)?;
///
/// let index = MultiIndex::open(builder.write(Vec::new())?)?; // Or a `File`.
/// let place = index.find(&cid_of(codec::RAW, b"world"))?.expect("it is there");
/// assert_eq!((place.file, place.offset, place.len), (1, 18, Some(1 + 36 + 5)));
/// assert_eq!(index.file(place.file)?.name, b"two.car");
/// assert_eq!(index.find(&cid_of(codec::RAW, b"absent"))?, None);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct MultiIndex<R> {
    source: R,
    shape: Shape,
    top: Top,
    files: FileTable,
}

impl<R: ReadAt> MultiIndex<R> {
    /// Opens the index that `source` consists of, and reads the list of files and the highest level of its search pages.
    ///
    /// # Errors
    /// [`ErrorKind::BadIndex`] if this is no such index, [`ErrorKind::UnknownIndexVersion`], [`ErrorKind::Truncated`] if it is not as long as its
    /// pages, [`ErrorKind::BadPage`] if its last page is damaged. Damage in other pages is found by who needs them.
    pub fn open(source: R) -> Result<Self> {
        let size = source.size().map_err(|error| Error::at(ErrorKind::Io(error), 0))?;
        let tail_start = size.saturating_sub(TAIL);
        let mut tail = vec![0; (size - tail_start) as usize];
        let read = read_full(&source, &mut tail, tail_start);
        let read = read.map_err(|error| Error::at(ErrorKind::Io(error), tail_start))?;
        tail.truncate(read);
        let shape = Shape::read(&source, size, &tail)?;
        let mut top = Top { bytes: Vec::new(), firsts: Vec::new() };
        let mut files = FileTable::new(shape.files, shape.files_start());
        let (level, kind) = (shape.top(), Kind::of_level(shape.top()));
        let mut take = |number: u64, bytes: &[u8]| match number < shape.files_start() {
            true => top.add(bytes, level, page::check(bytes, kind, number, &shape.id)),
            false => files.add_page(page::check(bytes, Kind::Files, number, &shape.id)),
        };
        let (mut next, end) = (shape.start(level), shape.footer());
        let mut buf = Vec::new();
        while next < end {
            // Often the end of the file, which has been read, has them all.
            let ready = page::offset(next).checked_sub(tail_start).map(|at| at as usize);
            let ready = ready.and_then(|at| tail.get(at..)).filter(|bytes| bytes.len() >= PAGE);
            let bytes = match ready {
                Some(bytes) => bytes,
                None => {
                    page::read(&source, next, (end - next).min(AHEAD) as usize, &mut buf)?;
                    &buf
                }
            };
            for page in bytes.chunks_exact(PAGE).take((end - next).min(AHEAD) as usize) {
                take(next, page);
                next += 1;
            }
        }
        Ok(MultiIndex { source, shape, top, files })
    }

    /// The number of entries.
    pub fn len(&self) -> u64 {
        self.shape.entries
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The most pages that a search for one place reads, each in one read: three at most.
    pub fn depth(&self) -> usize {
        self.shape.top()
    }

    /// The number of files.
    pub fn files_len(&self) -> u32 {
        self.files.len()
    }

    /// The file of this number.
    ///
    /// # Errors
    /// [`ErrorKind::BadPage`] if the page is damaged on which it stands, [`ErrorKind::BadIndex`] if there is none.
    pub fn file(&self, number: u32) -> Result<&FileEntry> {
        self.files.get(number)
    }

    /// All files, in the order of their numbers, which is that in which they were added.
    pub fn files(&self) -> impl Iterator<Item = Result<&FileEntry>> {
        (0..self.files_len()).map(|number| self.file(number))
    }

    /// Where the block of this CID lies: the first place, if there are several.
    pub fn find(&self, cid: &Cid) -> Result<Option<MultiPlace>> {
        self.find_all(cid)?.next().transpose()
    }

    /// All places of the block of this CID, by file and then by offset. Each page of them is read when it is needed.
    pub fn find_all(&self, cid: &Cid) -> Result<MultiPlaces<'_, R>> {
        self.places(cid.hash())
    }

    /// All places of the block of this hash.
    pub fn places(&self, hash: &Multihash<64>) -> Result<MultiPlaces<'_, R>> {
        MultiPlaces::new(self, Key::new(hash))
    }

    /// All entries, in their order.
    pub fn entries(&self) -> MultiEntries<'_, R> {
        MultiEntries::new(&self.source, &self.shape)
    }

    /// Gives the source back.
    pub fn into_inner(self) -> R {
        self.source
    }

    /// The source.
    pub fn get_ref(&self) -> &R {
        &self.source
    }

    pub(super) fn shape(&self) -> &Shape {
        &self.shape
    }

    pub(super) fn into_parts(self) -> (R, Shape) {
        (self.source, self.shape)
    }

    /// The leaf in which the entries of a key start, if it has any.
    pub(super) fn descend(&self, key: &[u8]) -> Result<Option<Landing>> {
        let level = self.shape.top();
        if self.shape.pages(level) == 0 {
            return Ok(None);
        }
        let known = self.top.firsts.iter().enumerate();
        let known = known.filter_map(|(number, first)| Some((number, first.as_deref()?)));
        let Some((number, _)) = known.take_while(|(_, first)| *first <= key).last() else {
            // The first page starts with what is smaller than every key.
            return Err(match self.top.firsts.first() {
                Some(Some(_)) => bad_page(self.shape.start(level), "its separators are not right"),
                _ => bad_page(self.shape.start(level), DAMAGED),
            });
        };
        let end = match self.top.firsts.get(number + 1) {
            None => End::Known,
            Some(Some(next)) => End::of(next, key),
            Some(None) => End::Damaged(self.shape.start(level) + number as u64 + 1),
        };
        let mut landing = Landing { leaf: number as u64, end };
        let mut buf = Vec::new();
        for level in (1..=level).rev() {
            self.step(level, &mut landing, key, &mut buf)?;
        }
        Ok(Some(landing))
    }

    /// From a page of this level to that of the level below.
    fn step(
        &self,
        level: usize,
        landing: &mut Landing,
        key: &[u8],
        buf: &mut Vec<u8>,
    ) -> Result<()> {
        let number = self.shape.start(level) + landing.leaf;
        let bad = || bad_page(number, "its separators are not right");
        let page = self.page(level, landing.leaf, buf)?;
        let mut fields = Fields(page.body);
        let first = fields.u64().ok_or_else(bad)?;
        let mut below = 0;
        for _ in 0..page.count {
            let item = fields.u8().and_then(|len| fields.bytes(len.into())).ok_or_else(bad)?;
            if item > key {
                landing.end = End::of(item, key);
                break;
            }
            below += 1;
        }
        let child = first.checked_add(below).and_then(|child| child.checked_sub(1));
        let child = child.filter(|&child| below > 0 && child < self.shape.pages(level - 1));
        landing.leaf = child.ok_or_else(bad)?;
        Ok(())
    }

    /// Makes `leaf` the leaf of this number.
    pub(super) fn leaf(&self, number: u64, buf: &mut Vec<u8>) -> Result<Leaf> {
        let page = self.page(0, number, buf)?;
        Leaf::parse(page).map_err(|what| bad_page(self.shape.start(0) + number, what))
    }

    /// A page of a level, read unless it is in memory.
    fn page<'a>(&'a self, level: usize, number: u64, buf: &'a mut Vec<u8>) -> Result<Page<'a>> {
        let bytes = match level == self.shape.top() {
            true => self.top.bytes.get(number as usize * PAGE..).unwrap_or_default(),
            false => {
                page::read(&self.source, self.shape.start(level) + number, 1, buf)?;
                buf
            }
        };
        let bytes = bytes.get(..PAGE).unwrap_or_default();
        let kind = Kind::of_level(level);
        page::check(bytes, kind, self.shape.start(level) + number, &self.shape.id)
    }
}

/// The pages of the highest level.
struct Top {
    bytes: Vec<u8>,
    /// What each page starts with: its first separator, or its first entry. `None` if it is damaged.
    firsts: Vec<Option<Vec<u8>>>,
}

impl Top {
    fn add(&mut self, bytes: &[u8], level: usize, page: Result<Page<'_>>) {
        let first = page.ok().and_then(|page| match level {
            0 => {
                let leaf = Leaf::parse(page).ok()?;
                let (head, rest) = leaf.entry(0)?;
                let is_first = self.firsts.is_empty();
                Some(if is_first { Vec::new() } else { [head, rest].concat() })
            }
            _ => {
                let mut fields = Fields(page.body);
                fields.u64()?;
                let len = fields.u8()?;
                fields.bytes(len.into()).map(<[u8]>::to_vec)
            }
        });
        self.bytes.extend_from_slice(bytes);
        self.firsts.push(first);
    }
}

/// Where a search has come to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Landing {
    /// The number of the page, among those of its level.
    pub(super) leaf: u64,
    pub(super) end: End,
}

/// What is known of the pages behind the one in which the entries of a key start.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    /// If that one has none, there are none.
    Known,
    /// They may start with the next page.
    Open,
    /// They may start with the next page, or with one that this damaged page leads to.
    Damaged(u64),
}

impl End {
    /// What a separator says that is larger than the key.
    fn of(next: &[u8], key: &[u8]) -> Self {
        if next.starts_with(key) { End::Open } else { End::Known }
    }
}

impl<R> fmt::Debug for MultiIndex<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MultiIndex").field("shape", &self.shape).finish_non_exhaustive()
    }
}

pub(super) const DAMAGED: &str = "it is damaged, and what is asked for may be behind it";

/// Pages that are read at a time when an index is opened.
const AHEAD: u64 = 64;

/// Bytes that are read first of all, from the end: of a small index, all that is held in memory.
const TAIL: u64 = 64 << 10;

const _: () = assert!(LEVELS == 4 && TOP_PAGES == 256); // As the documentation has it.
