//! Where each data frame stands: looked up in the footer page by page, or found by a walk over all headers.

use std::sync::{Arc, Mutex, PoisonError};

use carstone_layer::{FRAME_HEADER_LEN, FrameHeader, Kind, ReadAt, read_full};

use crate::format::{ENTRY_LEN, Entry, PAGE_ENTRIES, TAIL_FRAME_LEN, Tail};
use crate::walk::{Rules, Walk, is_data};
use crate::{Error, ErrorKind};

/// One data frame, as the table knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Located {
    pub(crate) index: u64,
    /// Position of its header.
    pub(crate) at: u64,
    /// Its frame ends here or before.
    pub(crate) stored_end: u64,
    /// Its plain bytes.
    pub(crate) plain: u64,
    pub(crate) plain_end: u64,
    /// Whether it is the last one.
    pub(crate) last: bool,
}

/// The places of all data frames.
#[derive(Debug)]
pub(crate) struct Table {
    /// Length of the plain stream.
    pub(crate) plain_len: u64,
    /// Number of data frames; at least 1.
    pub(crate) frames: u64,
    /// Where the last data frame ends, or an anchor behind it.
    stored_end: u64,
    entries: Entries,
}

#[derive(Debug)]
enum Entries {
    Paged { tail: Tail, rules: Rules, recent: Mutex<Vec<(u64, Page)>> },
    Listed(Vec<Entry>),
}

type Page = Arc<[Entry]>;

impl Table {
    /// Reads the end of the stream; `rules` take over the pack id found there.
    ///
    /// One read, which also brings the only page of a short stream.
    pub(crate) fn open<R: ReadAt>(source: &R, size: u64, rules: &mut Rules) -> Result<Self, Error> {
        let mut bytes = [0; OPEN_LEN as usize];
        let (begin, n) = match read_end(source, &mut bytes, size) {
            Ok(read) => read,
            // What was read ahead may lie in a part that is damaged below, and the tail in one that is not.
            Err(_) => read_end(source, &mut bytes[..TAIL_FRAME_LEN as usize], size)?,
        };
        let len = size - begin;
        let bytes = &bytes[..len as usize];
        let at = size.saturating_sub(TAIL_FRAME_LEN);
        let frame = bytes[..n].last_chunk::<{ TAIL_FRAME_LEN as usize }>();
        let (Some(frame), true) = (frame, n as u64 == len) else {
            return Err(Error::new(ErrorKind::Truncated, begin.saturating_add(n as u64)));
        };
        let payload: &[u8; 40] = frame.last_chunk().expect("the frame is longer than its payload");
        let header = parse_footer(frame, at, rules)?;
        let tail = Tail::decode(payload, size)?;
        if !header.last || header.sequence != tail.pages || header.plain_offset != tail.plain_len {
            return Err(Error::new(ErrorKind::BadFooter("header"), at));
        }
        rules.pack.get_or_insert(header.pack);
        let (plain_len, frames, stored_end) = (tail.plain_len, tail.frames, tail.pages_at);
        let mut recent = Vec::new();
        if tail.pages == 1 && tail.pages_at >= begin {
            let from = (tail.pages_at - begin) as usize;
            recent.push((0, parse_page(&bytes[from..(at - begin) as usize], 0, &tail, rules)?));
        }
        let entries = Entries::Paged { tail, rules: *rules, recent: Mutex::new(recent) };
        Ok(Self { plain_len, frames, stored_end, entries })
    }

    /// Finds all data frames by their headers; `rules` take over the pack id of the first.
    pub(crate) fn scan<R: ReadAt>(source: &R, size: u64, rules: &mut Rules) -> Result<Self, Error> {
        let mut walk = Walk::new(*rules, size);
        let mut entries = Vec::new();
        while !walk.ended {
            let Some((at, header)) = walk.next(source)? else { break };
            if is_data(&header) {
                entries.push(Entry { plain: header.plain_offset, stored: at });
            }
        }
        rules.pack = walk.rules.pack;
        Ok(Self {
            plain_len: walk.plain,
            frames: walk.frames,
            stored_end: walk.at,
            entries: Entries::Listed(entries),
        })
    }

    /// Whether the footer was read.
    pub(crate) fn has_footer(&self) -> bool {
        matches!(self.entries, Entries::Paged { .. })
    }

    /// Reads every page of the footer.
    pub(crate) fn check_pages<R: ReadAt>(&self, source: &R) -> Result<(), Error> {
        let pages = match &self.entries {
            Entries::Paged { tail, .. } => tail.pages,
            Entries::Listed(_) => 0,
        };
        (0..pages).try_for_each(|page| self.page(source, page).map(drop))
    }

    /// The frame that holds plain byte `plain`, which is within the stream.
    pub(crate) fn locate<R: ReadAt>(&self, source: &R, plain: u64) -> Result<Located, Error> {
        let index = match &self.entries {
            Entries::Listed(entries) => before(entries, plain),
            Entries::Paged { tail, .. } => {
                let (mut low, mut high) = (0, tail.pages);
                while high - low > 1 {
                    let middle = low + (high - low) / 2;
                    match self.page(source, middle)?.first() {
                        Some(first) if first.plain <= plain => low = middle,
                        _ => high = middle,
                    }
                }
                low * PAGE_ENTRIES + before(&self.page(source, low)?, plain)
            }
        };
        self.nth(source, index)
    }

    /// The frame of number `index`, which is less than `frames`.
    pub(crate) fn nth<R: ReadAt>(&self, source: &R, index: u64) -> Result<Located, Error> {
        let this = self.entry(source, index)?;
        let last = index + 1 >= self.frames;
        let next = if last {
            Entry { plain: self.plain_len, stored: self.stored_end }
        } else {
            self.entry(source, index + 1)?
        };
        let grows = this.plain < next.plain || (last && index == 0 && this.plain == next.plain);
        if !grows || this.stored >= next.stored {
            return Err(Error::new(ErrorKind::BadFooter("order of entries"), self.stored_end));
        }
        Ok(Located {
            index,
            at: this.stored,
            stored_end: next.stored,
            plain: this.plain,
            plain_end: next.plain,
            last,
        })
    }

    fn entry<R: ReadAt>(&self, source: &R, index: u64) -> Result<Entry, Error> {
        let entry = match &self.entries {
            Entries::Listed(entries) => {
                usize::try_from(index).ok().and_then(|index| entries.get(index).copied())
            }
            Entries::Paged { .. } => {
                let page = self.page(source, index / PAGE_ENTRIES)?;
                page.get((index % PAGE_ENTRIES) as usize).copied()
            }
        };
        entry.ok_or_else(|| Error::new(ErrorKind::BadFooter("number of entries"), self.stored_end))
    }

    fn page<R: ReadAt>(&self, source: &R, page: u64) -> Result<Page, Error> {
        let Entries::Paged { tail, rules, recent } = &self.entries else {
            return Ok(Arc::new([]));
        };
        {
            let mut recent = recent.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(found) = recent.iter().position(|(number, _)| *number == page) {
                recent[..=found].rotate_right(1);
                return Ok(Arc::clone(&recent[0].1));
            }
        }
        let at = tail.page_at(page);
        let len = FRAME_HEADER_LEN + tail.entries_in(page) as usize * ENTRY_LEN;
        let mut bytes = vec![0; len]; // At most a full page.
        source.read_exact_at(&mut bytes, at).map_err(|error| Error::io(error, at))?;
        let entries = parse_page(&bytes, page, tail, rules)?;
        let mut recent = recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.truncate(RECENT_PAGES - 1);
        recent.insert(0, (page, Arc::clone(&entries)));
        Ok(entries)
    }
}

/// Number of the last entry that starts at or before `plain`.
fn before(entries: &[Entry], plain: u64) -> u64 {
    entries.partition_point(|entry| entry.plain <= plain).saturating_sub(1) as u64
}

fn parse_footer(frame: &[u8], at: u64, rules: &Rules) -> Result<FrameHeader, Error> {
    let Some((header, payload)) = frame.split_first_chunk() else {
        return Err(Error::new(ErrorKind::Truncated, at));
    };
    let header = rules.parse(header, at)?;
    if header.kind != Kind::FOOTER || header.codec != 0 || header.plain_len != 0 {
        return Err(Error::new(ErrorKind::BadFooter("header"), at));
    }
    if !header.payload_matches_crc(payload) {
        return Err(Error::new(ErrorKind::BadChecksum { frame: header.sequence }, at));
    }
    Ok(header)
}

fn parse_page(bytes: &[u8], page: u64, tail: &Tail, rules: &Rules) -> Result<Page, Error> {
    let at = tail.page_at(page);
    let header = parse_footer(bytes, at, rules)?;
    if header.sequence != page || header.last || header.plain_offset != tail.plain_len {
        return Err(Error::new(ErrorKind::BadFooter("header"), at));
    }
    let (entries, _) = bytes[FRAME_HEADER_LEN..].as_chunks();
    let entries: Page = entries.iter().map(Entry::decode).collect();
    let begins = page > 0 || entries.first() == Some(&Entry { plain: 0, stored: 0 });
    let rises = entries
        .windows(2)
        .all(|pair| matches!(pair, [a, b] if a.plain < b.plain && a.stored < b.stored));
    if !begins || !rises || entries.last().is_some_and(|last| last.plain > tail.plain_len) {
        return Err(Error::new(ErrorKind::BadFooter("order of entries"), at));
    }
    Ok(entries)
}

/// Fills the buffer, or less, with the end of the stream. Gives where that begins, and how much of it there is.
fn read_end<R: ReadAt>(source: &R, buffer: &mut [u8], size: u64) -> Result<(u64, usize), Error> {
    let len = size.min(buffer.len() as u64);
    let begin = size - len;
    let read = read_full(source, &mut buffer[..len as usize], begin);
    Ok((begin, read.map_err(|error| Error::io(error, begin))?))
}

const OPEN_LEN: u64 = 4096;
const RECENT_PAGES: usize = 8;
