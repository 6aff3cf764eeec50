//! Where the parts of an index over many CARs lie: its first page and its last one.

use super::files::{MAX_FILE_PAGES, MAX_FILES, MAX_IN_PAGE};
use super::leaf::MAX_LEAF;
use super::page::{self, BODY, Fields, Id, Kind, PAGE, SUM, bad_page, digest, seal};
use crate::error::{Error, ErrorKind, Part, Result};
use crate::read_at::{ReadAt, read_full};

/// The parts of an index: a head page, the levels of the tree from the leaves up, the files, the footer page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) id: Id,
    pub(super) entries: u64,
    pub(super) files: u32,
    pub(super) file_pages: u64,
    /// Pages of each level; zero for those that do not exist.
    pub(super) levels: [u64; LEVELS],
}

impl Shape {
    /// The highest level, which readers hold in memory. It is that of the leaves in an index of no entries.
    pub(super) fn top(&self) -> usize {
        self.levels.iter().rposition(|&pages| pages > 0).unwrap_or(0)
    }

    /// Pages of a level.
    pub(super) fn pages(&self, level: usize) -> u64 {
        self.levels.get(level).copied().unwrap_or(0)
    }

    /// The number of the first page of a level, or of what comes behind all levels.
    pub(super) fn start(&self, level: usize) -> u64 {
        self.levels.iter().take(level).fold(1, |sum, pages| sum.saturating_add(*pages))
    }

    /// The number of the first page of files.
    pub(super) fn files_start(&self) -> u64 {
        self.start(LEVELS)
    }

    /// The number of the footer page.
    pub(super) fn footer(&self) -> u64 {
        self.files_start().saturating_add(self.file_pages)
    }

    /// The head page.
    pub(super) fn head_page(id: &Id) -> [u8; PAGE] {
        let mut page = [0; PAGE];
        page[..8].copy_from_slice(&MAGIC);
        page[8..10].copy_from_slice(&VERSION.to_be_bytes());
        page[12..16].copy_from_slice(&(PAGE as u32).to_be_bytes());
        page[16..32].copy_from_slice(id);
        let sum = digest(&[&page[..PAGE - SUM]]);
        page[PAGE - SUM..].copy_from_slice(&sum);
        page
    }

    /// The footer page.
    pub(super) fn footer_page(&self) -> [u8; PAGE] {
        let mut body = Vec::with_capacity(BODY);
        body.extend_from_slice(&MAGIC);
        body.extend_from_slice(&VERSION.to_be_bytes());
        body.extend_from_slice(&[0; 6]);
        body.extend_from_slice(&self.id);
        body.extend_from_slice(&self.entries.to_be_bytes());
        body.extend_from_slice(&self.files.to_be_bytes());
        body.extend_from_slice(&(self.file_pages as u32).to_be_bytes()); // At most `MAX_FILE_PAGES`.
        for pages in self.levels {
            body.extend_from_slice(&pages.to_be_bytes());
        }
        seal(Kind::Footer, self.footer(), 0, &body, &self.id)
    }

    /// Reads the footer page from the last bytes of an index of this size. Where there is none, the first page says why.
    pub(super) fn read<R: ReadAt + ?Sized>(source: &R, size: u64, tail: &[u8]) -> Result<Self> {
        let footer = size / PAGE as u64;
        let found = match (size % PAGE as u64, footer.checked_sub(1), tail.last_chunk::<PAGE>()) {
            (0, Some(number), Some(page)) => Shape::decode(page, number),
            _ => Err(Error::at(ErrorKind::Truncated(Part::Index), size)),
        };
        let fault = match found {
            Ok(shape) => return Ok(shape),
            Err(fault) => fault,
        };
        let mut start = [0; 10];
        let read = read_full(source, &mut start, 0);
        let read = read.map_err(|error| Error::at(ErrorKind::Io(error), 0))?;
        let mut fields = Fields(&start[..read]);
        if fields.array() != Some(MAGIC) {
            return Err(Error::at(ErrorKind::BadIndex("it is none over many CARs"), 0));
        }
        match fields.u16() {
            Some(VERSION) | None => Err(fault),
            Some(version) => Err(Error::at(ErrorKind::UnknownIndexVersion(version), 8)),
        }
    }

    fn decode(bytes: &[u8], number: u64) -> Result<Self> {
        let bad = |what| bad_page(number, what);
        // The id is what the checksum is made with, so it comes first.
        let mut id = Fields(bytes.get(ID_AT..).unwrap_or_default());
        let id = id.array().ok_or_else(|| bad("it is cut short"))?;
        let body = page::check(bytes, Kind::Footer, number, &id)?.body;
        let mut fields = Fields(body);
        let mut take = || -> Option<([u8; 8], u16, [u8; 6], Shape)> {
            let (magic, version, zeros) = (fields.array()?, fields.u16()?, fields.array()?);
            let (id, entries, files) = (fields.array()?, fields.u64()?, fields.u32()?);
            let file_pages = u64::from(fields.u32()?);
            let mut levels = [0; LEVELS];
            for pages in &mut levels {
                *pages = fields.u64()?;
            }
            Some((magic, version, zeros, Shape { id, entries, files, file_pages, levels }))
        };
        let Some((MAGIC, version, zeros, shape)) = take() else {
            return Err(bad("it is no footer"));
        };
        if version != VERSION {
            return Err(Error::at(ErrorKind::UnknownIndexVersion(version), page::offset(number)));
        }
        if zeros != [0; 6] || !fields.0.is_empty() {
            return Err(bad("there are bytes that have no meaning"));
        }
        match shape.fault(number) {
            Some(what) => Err(bad(what)),
            None => Ok(shape),
        }
    }

    /// What is wrong with the numbers in the footer page of this number.
    fn fault(&self, footer: u64) -> Option<&'static str> {
        let pages = self.levels.iter().chain([&self.file_pages]);
        if pages.copied().try_fold(1u64, u64::checked_add) != Some(footer) {
            return Some("the numbers of pages do not give the length of the index");
        }
        let mut below = u64::MAX;
        for &pages in &self.levels {
            // One above another, smaller and smaller, until one is small enough.
            let is_due = below == u64::MAX || below > TOP_PAGES;
            let is_right = if is_due { pages < below } else { pages == 0 };
            if !is_right || (is_due && pages == 0 && below != u64::MAX) {
                return Some("the numbers of pages do not fit together");
            }
            below = pages;
        }
        if below > TOP_PAGES {
            return Some("it has too many levels");
        }
        let leaves = self.pages(0);
        if self.entries < leaves || self.entries > leaves.saturating_mul(MAX_LEAF) {
            return Some("the number of entries does not fit that of pages");
        }
        let files = u64::from(self.files);
        if self.files > MAX_FILES || self.file_pages > MAX_FILE_PAGES {
            return Some("there are too many files");
        }
        if files < self.file_pages || files > self.file_pages.saturating_mul(MAX_IN_PAGE) {
            return Some("the number of files does not fit that of pages");
        }
        None
    }
}

/// The first bytes of an index over many CARs, and of what is in its footer.
const MAGIC: [u8; 8] = [0x89, b'C', b'S', b'T', b'm', 0x0d, 0x0a, 0x1a];

const VERSION: u16 = 1;

/// Where the id is in the footer page.
const ID_AT: usize = 16 + 16;

/// Levels that an index may have: those below the highest are read in a search, one page of each.
pub(super) const LEVELS: usize = 4;

/// Pages of the highest level, which readers hold in memory: 1 MiB.
pub(super) const TOP_PAGES: u64 = 256;
