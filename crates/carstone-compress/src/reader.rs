//! The strict reading side: any plain offset, by one reader or by many at once.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use carstone_layer::{PackId, Pool, ReadAt, SeekSource, default_threads};

use crate::cache::Cache;
use crate::fetch::{Block, Fetch, Raw};
use crate::table::{Located, Table};
use crate::walk::{Frames, Rules, Walk};
use crate::{Error, ErrorKind, ReadOptions};

/// Reads a compressed stream at any offset and gives plain bytes whose checksums held.
///
/// Opening reads the end of the stream only. Frames are decoded once for all clones, and ahead of a reader that goes on
/// from frame to frame. Any fault is an [`Error`] that names the frame and its place; to read what is left of a damaged
/// stream, take [`CompressFailSafe`](crate::CompressFailSafe).
pub struct CompressReader<R> {
    source: R,
    shared: Arc<Shared>,
    position: u64,
    current: Option<(Located, Arc<Block>)>,
}

struct Shared {
    table: Table,
    cache: Cache,
    fetch: Arc<Fetch>,
    pool: Pool<Raw, Result<Block, Error>>,
    ahead_bytes: usize,
    threads: usize,
    size: u64,
    /// The frame that positional reading used last.
    last_read: AtomicU64,
}

impl<R: Read + Seek> CompressReader<SeekSource<R>> {
    /// Opens a stream that begins at byte 0 of `inner`.
    ///
    /// # Errors
    /// As [`with_options`](CompressReader::with_options).
    pub fn open(inner: R) -> Result<Self, Error> {
        Self::open_at(SeekSource::new(inner))
    }
}

impl<R: ReadAt> CompressReader<R> {
    /// Opens a stream that is read by position, so that clones of the reader work side by side.
    ///
    /// # Errors
    /// As [`with_options`](Self::with_options).
    pub fn open_at(inner: R) -> Result<Self, Error> {
        Self::with_options(inner, ReadOptions::default())
    }

    /// Opens a stream. Where the end of the footer is damaged or missing, the frames are found by their headers.
    ///
    /// Of a footer of several pages (more than 4,096 frames) each is checked when it is first needed; where one is damaged
    /// reading gives an error, and [`open_scan`](Self::open_scan) does without it.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`] for a stream that was not finished, or the fault in the header that ended the search.
    pub fn with_options(inner: R, options: ReadOptions) -> Result<Self, Error> {
        Self::open_with(inner, options, |source, size, rules| {
            let given = *rules;
            Table::open(source, size, rules).or_else(|error| match error.kind() {
                ErrorKind::Io(_) => Err(error),
                _ => {
                    *rules = given;
                    Table::scan(source, size, rules)
                }
            })
        })
    }

    /// Opens a stream without looking at the footer: goes from frame header to frame header.
    ///
    /// # Errors
    /// As [`with_options`](Self::with_options).
    pub fn open_scan(inner: R, options: ReadOptions) -> Result<Self, Error> {
        Self::open_with(inner, options, Table::scan)
    }

    /// Checks every page of the footer, which reading looks at only where it needs them, or does without.
    ///
    /// What its entries say is compared with the frames by [`verify`](Self::verify) alone.
    ///
    /// # Errors
    /// The first fault: a page that is damaged, or the end, so that the reader found the frames by their headers.
    pub fn check_footer(&self) -> Result<(), Error> {
        let Shared { table, fetch, size, .. } = &*self.shared;
        match table.has_footer() {
            true => table.check_pages(&self.source),
            false => {
                Table::open(&self.source, *size, &mut { fetch.rules })?.check_pages(&self.source)
            }
        }
    }

    fn open_with(
        source: R,
        options: ReadOptions,
        open: impl FnOnce(&R, u64, &mut Rules) -> Result<Table, Error>,
    ) -> Result<Self, Error> {
        let size = source.size().map_err(|error| Error::io(error, 0))?;
        let mut rules = Rules { pack: options.pack_id, limit: options.block_limit() };
        let table = open(&source, size, &mut rules)?;
        let threads = if options.threads == 0 { default_threads() } else { options.threads };
        // A stream of one frame has nothing to decode ahead.
        let threads = if table.frames == 1 { 1 } else { threads };
        let spare = threads.saturating_mul(2).saturating_add(4);
        let fetch = Arc::new(Fetch::new(rules, spare, options.corrections));
        let worker = Arc::clone(&fetch);
        let shared = Shared {
            table,
            cache: Cache::new(options.cache),
            fetch,
            pool: Pool::new(threads, move |raw| worker.decode(raw)),
            ahead_bytes: options.budget.min(options.cache),
            threads,
            size,
            last_read: AtomicU64::new(u64::MAX),
        };
        Ok(Self { source, shared: Arc::new(shared), position: 0, current: None })
    }

    /// The frames in their stored order with their positions, footer and anchors included.
    pub fn frames(&self) -> Frames<'_, R> {
        Frames::new(&self.source, Walk::new(self.shared.fetch.rules, self.shared.size))
    }

    /// Checks the whole stored stream: checksums and digests of all frames, decompression, and the footer against the
    /// frames. `progress` is given the plain bytes that are verified so far.
    ///
    /// # Errors
    /// The first fault.
    pub fn verify(&self, progress: impl FnMut(u64)) -> Result<(), Error> {
        let Shared { fetch, threads, size, ahead_bytes, .. } = &*self.shared;
        crate::verify::verify(&self.source, *size, fetch, *threads, *ahead_bytes, progress)
    }

    /// Reads the frame at `place`, or takes it from the cache; in sequence, those behind it are decoded ahead.
    ///
    /// The plain bytes from `offset` on, `len` of them where the frame has so many, are there. A frame that is jumped to is decoded
    /// little further, until more of it is wanted.
    fn block(
        &self,
        place: Located,
        in_sequence: bool,
        offset: u64,
        len: usize,
    ) -> Result<Arc<Block>, Error> {
        let Shared { cache, fetch, .. } = &*self.shared;
        if in_sequence {
            self.read_ahead(place);
        }
        let whole = place.plain_end.saturating_sub(place.plain);
        let need = offset.saturating_sub(place.plain).saturating_add(len as u64).min(whole);
        let jump = need.saturating_add(LOOK_AHEAD);
        let is_far = !in_sequence && jump < whole / 4 * 3;
        let (need, jump) = (need as usize, jump as usize); // No frame is longer than 16 MiB.
        let make = |again: bool| {
            let most = if is_far && !again { jump } else { usize::MAX };
            fetch.decode_start(fetch.load(&self.source, place)?, most)
        };
        cache.get(place.index, need, make, |buffer| fetch.buffers.give(buffer))
    }

    /// Has the frames behind `place` decoded. Faults are left for the reader to find when it gets there.
    fn read_ahead(&self, place: Located) {
        let Shared { table, cache, fetch, pool, ahead_bytes, .. } = &*self.shared;
        if pool.threads() < 2 {
            return;
        }
        let len = place.plain_end.saturating_sub(place.plain).max(1);
        let fit = (*ahead_bytes as u64 / len).saturating_sub(1);
        let window = fit.min(2 * pool.threads() as u64);
        let end = place.index.saturating_add(window).min(table.frames - 1);
        for index in place.index + 1..=end {
            let Some(claim) = cache.reserve(index) else { continue };
            let raw =
                table.nth(&self.source, index).and_then(|next| fetch.load(&self.source, next));
            let Ok(raw) = raw else { return };
            let bytes = raw.header.plain_len as usize;
            claim.leave_to(pool.submit(raw), bytes, |buffer| fetch.buffers.give(buffer));
        }
    }

    fn fill(&self, buf: &mut [u8], place: Located, block: &Block, offset: u64) -> usize {
        let from = usize::try_from(offset.saturating_sub(place.plain)).unwrap_or(usize::MAX);
        let rest = block.bytes().get(from..).unwrap_or_default();
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        n
    }
}

impl<R> CompressReader<R> {
    /// Length of the plain stream in bytes.
    pub fn len(&self) -> u64 {
        self.shared.table.plain_len
    }

    /// Whether the plain stream is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The id that the frames carry.
    pub fn pack_id(&self) -> Option<PackId> {
        self.shared.fetch.rules.pack
    }

    /// Whether the footer was there; without it the frames were found by their headers.
    pub fn has_footer(&self) -> bool {
        self.shared.table.has_footer()
    }

    /// What is read from.
    pub fn get_ref(&self) -> &R {
        &self.source
    }

    /// Gives the source back.
    pub fn into_inner(self) -> R {
        self.source
    }
}

impl<R: ReadAt> Read for CompressReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() || self.position >= self.len() {
            return Ok(0);
        }
        let position = self.position;
        let is_there = |place: &Located, block: &Block| {
            (place.plain..place.plain + block.bytes().len() as u64).contains(&position)
        };
        let (place, block) = match self.current.take() {
            Some((place, block)) if is_there(&place, &block) => (place, block),
            other => {
                let (table, source) = (&self.shared.table, &self.source);
                let before = other.map(|(place, _)| place);
                let (place, in_sequence) = match before {
                    Some(before) if before.plain_end == position => {
                        (table.nth(source, before.index + 1)?, true)
                    }
                    _ => (table.locate(source, position)?, false),
                };
                (place, self.block(place, in_sequence, position, buf.len())?)
            }
        };
        let n = self.fill(buf, place, &block, position);
        self.current = Some((place, block));
        self.position += n as u64;
        Ok(n)
    }
}

impl<R> Seek for CompressReader<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.len().checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = target.ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "seek to before the first byte")
        })?;
        Ok(self.position)
    }
}

impl<R: ReadAt> ReadAt for CompressReader<R> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        if buf.is_empty() || offset >= self.len() {
            return Ok(0);
        }
        let place = self.shared.table.locate(&self.source, offset)?;
        let before = self.shared.last_read.swap(place.index, Ordering::Relaxed);
        let in_sequence = before.checked_add(1) == Some(place.index);
        let block = self.block(place, in_sequence, offset, buf.len())?;
        Ok(self.fill(buf, place, &block, offset))
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.len())
    }
}

/// A second reader with a position of its own; table, cache and workers are shared.
impl<R: Clone> Clone for CompressReader<R> {
    fn clone(&self) -> Self {
        Self {
            source: self.source.clone(),
            shared: Arc::clone(&self.shared),
            position: self.position,
            current: self.current.clone(),
        }
    }
}

impl<R: fmt::Debug> fmt::Debug for CompressReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompressReader")
            .field("source", &self.source)
            .field("len", &self.len())
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

/// Bytes decoded behind those that a jump wants: most files of a tree are shorter.
const LOOK_AHEAD: u64 = 64 << 10;
