//! Makes the parity of a stream.

use std::io;
use std::ops::Range;
use std::sync::Mutex;

use carstone_layer::{ReadAt, default_threads};
use reed_solomon_simd::ReedSolomonEncoder;
use sha2::{Digest, Sha256};

use crate::desk::{Desk, Job, make_tables};
use crate::find::Entry;
use crate::frame::{HEADER_LEN, Label, encode};
use crate::layout::{ENTRY_LEN, Slot};
use crate::workers::{into_inner, lock, share};
use crate::{Descriptor, Error, ErrorKind, Layout, ProtectionId, Share, WriteAt};

/// How a stream is protected.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// How much parity may add; 10 % by default.
    pub share: Share,
    /// Id of the parity; a random one by default.
    pub id: Option<ProtectionId>,
    /// Threads that compute; as many as there are cores by default. All share 56 MiB and what `share` of that is,
    /// and each takes some 3 MiB.
    pub threads: usize,
    /// Where the parity begins in the target, in bytes; 0 by default.
    pub at: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { share: Share::default(), id: None, threads: default_threads(), at: 0 }
    }
}

impl Options {
    /// Another share.
    #[must_use]
    pub fn with_share(mut self, share: Share) -> Self {
        self.share = share;
        self
    }

    /// A given id, where the same bytes are wanted again.
    #[must_use]
    pub fn with_id(mut self, id: ProtectionId) -> Self {
        self.id = Some(id);
        self
    }

    /// So many threads, at least one.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// Begins at this offset of the target.
    #[must_use]
    pub fn with_at(mut self, at: u64) -> Self {
        self.at = at;
        self
    }
}

/// Writes the parity of `source` to `target`, and says what it protects.
///
/// The source is read three times, once in order and twice in pieces; twice where one zone is all. `progress` is told how many bytes were done since
/// the last time, and twice the stream's length in all. The target gets frames in no order; what is there before stays beneath.
///
/// # Errors
/// [`ErrorKind::Io`]; [`ErrorKind::Changed`] where the source has another length in the end; [`ErrorKind::TooLong`].
pub fn protect<R, W>(
    source: &R,
    target: &W,
    options: &Options,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Descriptor, Error>
where
    R: ReadAt + Sync + ?Sized,
    W: WriteAt + Sync + ?Sized,
{
    let layout = Layout::new(source.size()?, options.share)?;
    let id = options.id.map_or_else(ProtectionId::random, Ok)?;
    let hashes = Mutex::new((blake3::Hasher::new(), Sha256::new()));
    let work =
        Work { source, target, layout: &layout, id, at: options.at, hashes: &hashes, progress };
    let mut desk = Desk::new(options.threads.max(1));
    for group in 0..layout.groups() {
        let entries = work.group(group, &mut desk)?;
        work.table(group, &entries)?;
    }
    if source.size()? != layout.stream_len() {
        return Err(Error::new(ErrorKind::Changed, 0));
    }
    let (blake3, sha256) = into_inner(hashes);
    let (blake3, sha256) = (*blake3.finalize().as_bytes(), sha256.finalize().into());
    let descriptor = Descriptor { id, layout, blake3, sha256 };
    for copy in 0..descriptor.layout.copies() {
        let offset = options.at + descriptor.layout.offset_of_copy(copy);
        write(target, &descriptor.encode(copy), offset)?;
    }
    Ok(descriptor)
}

struct Work<'a, R: ?Sized, W: ?Sized> {
    source: &'a R,
    target: &'a W,
    layout: &'a Layout,
    id: ProtectionId,
    at: u64,
    /// Of all groups before the one at hand.
    hashes: &'a Mutex<(blake3::Hasher, Sha256)>,
    progress: &'a (dyn Fn(u64) + Sync),
}

impl<R: ReadAt + Sync + ?Sized, W: WriteAt + Sync + ?Sized> Work<'_, R, W> {
    /// Takes the bytes of a group into BLAKE3 and SHA-256 of the stream.
    fn hash(&self, cells: Range<u64>) -> Result<(), Error> {
        let mut hashes = lock(self.hashes);
        let (blake3, sha256) = &mut *hashes;
        let mut block = Vec::new();
        let mut first = cells.start;
        let per_block = (BLOCK / self.layout.cell_len() as usize).max(1) as u64;
        while first < cells.end {
            let end = cells.end.min(first + per_block);
            block.resize(self.len_of(first..end), 0);
            self.read(&mut block, first * u64::from(self.layout.cell_len()))?;
            blake3.update(&block);
            sha256.update(&*block);
            (self.progress)(block.len() as u64);
            first = end;
        }
        Ok(())
    }

    /// Bytes of the stream in cells in a row.
    fn len_of(&self, cells: Range<u64>) -> usize {
        let cell_len = u64::from(self.layout.cell_len());
        let end = (cells.end * cell_len).min(self.layout.stream_len());
        within(end.saturating_sub(cells.start * cell_len), usize::MAX)
    }

    /// Hashes a group, and makes its recovery cells; the encoded entries of its cells come back.
    fn group(&self, group: u32, desk: &mut Desk) -> Result<Vec<u8>, Error> {
        let cells = self.layout.cells_of(group);
        let entries = vec![0; within(cells.end - cells.start, usize::MAX) * ENTRY_LEN];
        let entries = Mutex::new(entries);
        let note = |first: u64, bytes: &[u8]| {
            let cells_here = bytes.chunks_exact(self.layout.cell_len() as usize);
            let encoded: Vec<u8> = cells_here.flat_map(|cell| Entry::of(cell).encode()).collect();
            let at = within(first - cells.start, usize::MAX) * ENTRY_LEN;
            let mut entries = lock(&entries);
            entries[at..at + encoded.len()].copy_from_slice(&encoded);
        };
        let hash = || self.hash(cells.clone());
        let zones = self.layout.zones_of(group);
        if zones.len() == 1 {
            // A small stream takes as long for all else as the tables of the code.
            let tables = || {
                make_tables();
                Ok(())
            };
            self.zone(zones.start, desk, &[&tables, &hash], note)?;
        } else {
            // What goes over all of the group in order comes first: that reads it in the order in which a disk likes it.
            let per_block = (BLOCK / self.layout.cell_len() as usize).max(1) as u64;
            let blocks = within((cells.end - cells.start).div_ceil(per_block), usize::MAX);
            share(desk.threads(), 0..=blocks, Vec::new, |job, block| {
                let Some(job) = job.checked_sub(1) else { return hash() };
                let first = cells.start + job as u64 * per_block;
                let row: Vec<u64> = (first..cells.end.min(first + per_block)).collect();
                block.resize(row.len() * self.layout.cell_len() as usize, 0);
                self.cells(&row, block)?;
                note(first, block);
                Ok(())
            })?;
            zones.into_iter().try_for_each(|zone| self.zone(zone, desk, &[], |_, _| ()))?;
        }
        Ok(into_inner(entries))
    }

    /// The recovery cells of a zone, after what is to be done `before`; `note` is told the number of a cell, and the bytes of cells from there on in the
    /// order of the zone.
    fn zone(
        &self,
        zone: u32,
        desk: &mut Desk,
        before: &[Job<'_>],
        note: impl Fn(u64, &[u8]) + Sync,
    ) -> Result<(), Error> {
        let layout = self.layout;
        let cells: Vec<u64> = layout.cells_of_zone(zone).collect();
        desk.load(cells.len(), layout.cell_len() as usize, before, |shards, bytes, _| {
            let cells = &cells[shards];
            self.cells(cells, bytes)?;
            if let Some(first) = cells.first() {
                note(*first, bytes);
            }
            (self.progress)(bytes.len() as u64);
            Ok(())
        })?;
        let made = desk.encode(layout.recovery() as usize)?;
        desk.each_made(&made, |number, bytes| {
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            self.frame(Slot::Recovery { zone, number }, bytes)
        })
    }

    /// Reads cells of a zone, the last of the stream filled up with zeros.
    fn cells(&self, cells: &[u64], buf: &mut [u8]) -> Result<(), Error> {
        let cell_len = u64::from(self.layout.cell_len());
        // Those of a zone that is alone in its group stand in a row.
        let is_row = |first: &u64| cells.last() == Some(&(first + (cells.len() - 1) as u64));
        let row = if cells.first().is_some_and(is_row) { cells.len() } else { 1 };
        let bytes = buf.chunks_exact_mut(row * self.layout.cell_len() as usize);
        for (cells, bytes) in cells.chunks_exact(row).zip(bytes) {
            let (first, end) = (cells[0], cells[0] + row as u64);
            let (bytes, rest) = bytes.split_at_mut(self.len_of(first..end));
            rest.fill(0);
            self.read(bytes, first * cell_len)?;
        }
        Ok(())
    }

    /// The table of a group and its check shards.
    fn table(&self, group: u32, entries: &[u8]) -> Result<(), Error> {
        let cell_len = self.layout.cell_len() as usize;
        let (table, check) = (self.layout.table_shards(group), self.layout.check_shards(group));
        let mut encoder =
            ReedSolomonEncoder::new(table as usize, check as usize, cell_len).map_err(code)?;
        let mut shard = vec![0; cell_len];
        for (number, part) in (0..).zip(entries.chunks(cell_len)) {
            shard[..part.len()].copy_from_slice(part);
            shard[part.len()..].fill(0);
            encoder.add_original_shard(&shard).map_err(code)?;
            self.frame(Slot::Table { group, shard: number }, &shard)?;
        }
        let made = encoder.encode().map_err(code)?;
        for (number, part) in (table..).zip(made.recovery_iter()) {
            self.frame(Slot::Table { group, shard: number }, part)?;
        }
        Ok(())
    }

    fn frame(&self, slot: Slot, payload: &[u8]) -> Result<(), Error> {
        let mut frame = Vec::with_capacity(HEADER_LEN + payload.len());
        frame.extend_from_slice(&encode(self.id, Label::Slot(slot), payload));
        frame.extend_from_slice(payload);
        let offset = self.layout.offset_of(self.layout.place_of(slot));
        write(self.target, &frame, self.at + offset)
    }

    fn read(&self, buf: &mut [u8], at: u64) -> Result<(), Error> {
        self.source.read_exact_at(buf, at).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Error::new(ErrorKind::Changed, at),
            _ => Error::new(ErrorKind::Io(error), at),
        })
    }
}

pub(crate) fn write<W: WriteAt + ?Sized>(target: &W, bytes: &[u8], at: u64) -> Result<(), Error> {
    target.write_all_at(bytes, at).map_err(|error| Error::new(ErrorKind::Io(error), at))
}

/// The smaller of both.
pub(crate) fn within(bytes: u64, most: usize) -> usize {
    usize::try_from(bytes).map_or(most, |bytes| bytes.min(most))
}

/// The code refuses counts and lengths that the layout never has.
pub(crate) fn code(error: reed_solomon_simd::Error) -> Error {
    Error::new(ErrorKind::Io(io::Error::other(error)), 0)
}

/// What is read at once, in bytes.
pub(crate) const BLOCK: usize = 1 << 18;
