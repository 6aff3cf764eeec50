//! Sorted runs in an unnamed temporary file, which are merged.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::Range;

use super::runs::{LARGEST_RECORD, RECORD_HEAD, record_len};
use crate::read_at::read_full;

/// Runs of records whose places have `PLACE` bytes.
#[derive(Debug)]
pub(super) struct Spilled<const PLACE: usize> {
    file: File,
    /// Where each run lies in the file, and how often its records have been merged.
    runs: Vec<(Range<u64>, u32)>,
    end: u64,
}

/// Records in their order.
pub(crate) trait Records {
    /// Makes `out` the bytes of the next record; `false` at the end.
    fn next(&mut self, out: &mut Vec<u8>) -> io::Result<bool>;
}

impl<const PLACE: usize> Spilled<PLACE> {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Spilled { file: tempfile::tempfile()?, runs: Vec::new(), end: 0 })
    }

    /// Adds a run of records that are sorted.
    pub(super) fn add<'a>(&mut self, records: impl Iterator<Item = &'a [u8]>) -> io::Result<()> {
        let start = self.end;
        let mut out = tail(&self.file, start);
        for bytes in records {
            out.write_all(bytes)?;
            self.end += bytes.len() as u64;
        }
        out.flush()?;
        drop(out);
        self.runs.push((start..self.end, 0));
        self.thin_out()
    }

    /// Merges runs of one kind when there are many, since each one needs a buffer when it is read.
    fn thin_out(&mut self) -> io::Result<()> {
        while let Some((_, kind)) = self.runs.last().cloned()
            && let Some(first) = self.runs.len().checked_sub(FAN_IN)
            && self.runs[first..].iter().all(|(_, other)| *other == kind)
        {
            let start = self.end;
            let mut out = tail(&self.file, start);
            merge(&mut cursors::<PLACE>(&self.file, &self.runs[first..]), |bytes| {
                self.end += bytes.len() as u64;
                out.write_all(bytes)
            })?;
            out.flush()?;
            drop(out);
            self.runs.truncate(first);
            self.runs.push((start..self.end, kind + 1));
        }
        Ok(())
    }

    /// Gives all records in order.
    pub(super) fn for_each(&self, each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        merge(&mut cursors::<PLACE>(&self.file, &self.runs), each)
    }

    #[cfg(test)]
    pub(super) fn is_thin(&self) -> bool {
        self.runs.len() < 2 * FAN_IN
    }
}

/// Writes from this offset on. Where the cursor of the file stands has no meaning, since reading moves it on some systems.
fn tail(file: &File, at: u64) -> BufWriter<Tail<'_>> {
    BufWriter::with_capacity(SPILL_BUFFER, Tail { file, at })
}

struct Tail<'a> {
    file: &'a File,
    at: u64,
}

impl Write for Tail<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        #[cfg(unix)]
        let written = std::os::unix::fs::FileExt::write_at(self.file, buf, self.at)?;
        #[cfg(windows)]
        let written = std::os::windows::fs::FileExt::seek_write(self.file, buf, self.at)?;
        self.at += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads several sorted sources as one.
pub(crate) fn merge<C: Records>(
    sources: &mut [C],
    mut each: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut heap = BinaryHeap::with_capacity(sources.len());
    for (number, source) in sources.iter_mut().enumerate() {
        let mut head = Vec::new();
        if source.next(&mut head)? {
            heap.push(Reverse((head, number)));
        }
    }
    while let Some(Reverse((mut head, number))) = heap.pop() {
        each(&head)?;
        if sources[number].next(&mut head)? {
            heap.push(Reverse((head, number)));
        }
    }
    Ok(())
}

fn cursors<'a, const PLACE: usize>(
    file: &'a File,
    runs: &[(Range<u64>, u32)],
) -> Vec<Cursor<'a, PLACE>> {
    runs.iter().map(|(range, _)| Cursor::new(file, range)).collect()
}

/// Reads one run from front to back.
struct Cursor<'a, const PLACE: usize> {
    file: &'a File,
    rest: Range<u64>,
    buffer: Vec<u8>,
    used: usize,
}

impl<'a, const PLACE: usize> Cursor<'a, PLACE> {
    fn new(file: &'a File, range: &Range<u64>) -> Self {
        Cursor { file, rest: range.clone(), buffer: Vec::new(), used: 0 }
    }

    fn fill(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.used);
        self.used = 0;
        let have = self.buffer.len();
        let more = (self.rest.end - self.rest.start).min((RUN_BUFFER - have) as u64) as usize;
        self.buffer.resize(have + more, 0);
        if read_full(self.file, &mut self.buffer[have..], self.rest.start)? != more {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.rest.start += more as u64;
        Ok(())
    }
}

impl<const PLACE: usize> Records for Cursor<'_, PLACE> {
    fn next(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        out.clear();
        if self.buffer.len() - self.used < LARGEST_RECORD {
            self.fill()?;
        }
        if self.used == self.buffer.len() {
            return Ok(false);
        }
        let bytes = self.buffer[self.used..].get(..RECORD_HEAD).map(record_len::<PLACE>);
        let bytes = bytes.and_then(|len| self.buffer[self.used..].get(..len));
        let bytes = bytes.ok_or(io::ErrorKind::UnexpectedEof)?;
        out.extend_from_slice(bytes);
        self.used += bytes.len();
        Ok(true)
    }
}

/// Runs that are merged at a time.
const FAN_IN: usize = 64;

/// Bytes that each run reads ahead while it is merged.
const RUN_BUFFER: usize = 32 << 10;

const SPILL_BUFFER: usize = 64 << 10;
