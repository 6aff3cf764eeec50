//! Sorts records of an index in bounded memory: in runs that spill to an unnamed temporary file, and are merged.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::Range;

use crate::read_at::read_full;

/// Records are `code u64 ‖ digest length u8 ‖ digest ‖ place`, big-endian, so that the order of their bytes is that of the entries of an
/// index, with ties by ascending place. A place has `PLACE` bytes: those of the offset, or of more than that.
#[derive(Debug)]
pub(crate) struct Runs<const PLACE: usize = 8> {
    arena: Vec<u8>,
    /// Where each record starts in the arena.
    starts: Vec<u32>,
    budget: usize,
    file: Option<File>,
    /// Where each run lies in the file, and how often its records have been merged.
    runs: Vec<(Range<u64>, u32)>,
    end: u64,
}

/// A record, taken apart.
pub(crate) struct Record<'a> {
    pub(crate) code: u64,
    pub(crate) digest: &'a [u8],
    pub(crate) offset: u64,
}

/// Records in their order.
pub(crate) trait Records {
    /// Makes `out` the bytes of the next record; `false` at the end.
    fn next(&mut self, out: &mut Vec<u8>) -> io::Result<bool>;
}

impl Runs {
    /// `digest` has at most 255 bytes.
    pub(crate) fn push(&mut self, code: u64, digest: &[u8], offset: u64) -> io::Result<()> {
        self.push_placed(code, digest, &offset.to_be_bytes())
    }

    /// Gives all records in order, after [`finish`](Self::finish), as often as is wanted.
    pub(crate) fn for_each(
        &self,
        mut each: impl FnMut(Record<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        self.for_each_record(|bytes| each(split(bytes)))
    }
}

impl<const PLACE: usize> Runs<PLACE> {
    /// Holds about `budget` bytes of records in memory.
    pub(crate) fn new(budget: usize) -> Self {
        let (arena, starts, runs) = (Vec::new(), Vec::new(), Vec::new());
        let budget = budget.clamp(MIN_BUDGET, MAX_BUDGET);
        Runs { arena, starts, budget, file: None, runs, end: 0 }
    }

    /// `digest` has at most 255 bytes.
    pub(crate) fn push_placed(
        &mut self,
        code: u64,
        digest: &[u8],
        place: &[u8; PLACE],
    ) -> io::Result<()> {
        self.make_room();
        self.starts.push(self.arena.len() as u32); // Under the largest budget.
        self.arena.extend_from_slice(&code.to_be_bytes());
        self.arena.push(digest.len() as u8);
        self.arena.extend_from_slice(digest);
        self.arena.extend_from_slice(place);
        match self.arena.len() + self.starts.len() * 4 + LARGEST_RECORD > self.budget {
            true => self.spill(),
            false => Ok(()),
        }
    }

    /// Sorts what is still in memory. Nothing can be pushed any more.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        if self.file.is_some() {
            self.spill()?;
            (self.arena, self.starts) = (Vec::new(), Vec::new());
        }
        self.sort();
        Ok(())
    }

    /// Gives the bytes of all records in order, after [`finish`](Self::finish), as often as is wanted.
    pub(crate) fn for_each_record(
        &self,
        mut each: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let Some(file) = &self.file else {
            return self.starts.iter().try_for_each(|&at| each(record::<PLACE>(&self.arena, at)));
        };
        merge(&mut cursors::<PLACE>(file, &self.runs), each)
    }

    /// Lets the arena grow for one record, but not over the budget, which doubling would do.
    fn make_room(&mut self) {
        let (len, least) = (self.arena.len(), self.arena.len() + LARGEST_RECORD);
        if self.arena.capacity() < least {
            let most = self.budget.max(least);
            let wanted = self.arena.capacity().saturating_mul(2).clamp(least, most);
            self.arena.reserve_exact(wanted - len);
        }
    }

    fn sort(&mut self) {
        let arena = &self.arena;
        self.starts
            .sort_unstable_by(|&a, &b| record::<PLACE>(arena, a).cmp(record::<PLACE>(arena, b)));
    }

    fn spill(&mut self) -> io::Result<()> {
        if self.starts.is_empty() {
            return Ok(());
        }
        self.sort();
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(tempfile::tempfile()?),
        };
        let start = self.end;
        let mut out = tail(file, start);
        for &at in &self.starts {
            let bytes = record::<PLACE>(&self.arena, at);
            out.write_all(bytes)?;
            self.end += bytes.len() as u64;
        }
        out.flush()?;
        drop(out);
        self.runs.push((start..self.end, 0));
        self.arena.clear();
        self.starts.clear();
        self.thin_out()
    }

    /// Merges runs of one kind when there are many, since each one needs a buffer when it is read.
    fn thin_out(&mut self) -> io::Result<()> {
        while let Some(file) = &self.file
            && let Some((_, kind)) = self.runs.last().cloned()
            && let Some(first) = self.runs.len().checked_sub(FAN_IN)
            && self.runs[first..].iter().all(|(_, other)| *other == kind)
        {
            let start = self.end;
            let mut out = tail(file, start);
            merge(&mut cursors::<PLACE>(file, &self.runs[first..]), |bytes| {
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

/// The record that starts here in an arena.
fn record<const PLACE: usize>(arena: &[u8], at: u32) -> &[u8] {
    let rest = &arena[at as usize..];
    &rest[..record_len::<PLACE>(rest)]
}

fn record_len<const PLACE: usize>(head: &[u8]) -> usize {
    RECORD_HEAD + usize::from(head[RECORD_HEAD - 1]) + PLACE
}

fn split(record: &[u8]) -> Record<'_> {
    let number = |bytes: &[u8]| bytes.iter().fold(0, |n, &byte| (n << 8) | u64::from(byte));
    let (rest, offset) = record.split_at(record.len() - 8);
    let (code, digest) = rest.split_at(RECORD_HEAD);
    Record { code: number(&code[..8]), digest, offset: number(offset) }
}

/// Bytes of code and digest length.
pub(crate) const RECORD_HEAD: usize = 9;

/// No place has more bytes than this leaves for it.
const LARGEST_RECORD: usize = RECORD_HEAD + 255 + 16;

/// Runs that are merged at a time.
const FAN_IN: usize = 64;

/// Bytes that each run reads ahead while it is merged.
const RUN_BUFFER: usize = 32 << 10;

const SPILL_BUFFER: usize = 64 << 10;

const MIN_BUDGET: usize = 4 << 10;

/// Positions in an arena are 32 bits.
const MAX_BUDGET: usize = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(budget: usize, count: u64) {
        let mut runs: Runs = Runs::new(budget);
        let mut expected = Vec::new();
        for n in 0..count {
            let scrambled = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let digest = &scrambled.to_be_bytes()[..(scrambled % 3) as usize + 1];
            runs.push(scrambled % 2, digest, n).expect("push");
            expected.push((scrambled % 2, digest.len(), digest.to_vec(), n));
        }
        expected.sort();
        runs.finish().expect("finish");
        for _ in 0..2 {
            let mut found = Vec::new();
            let each = |record: Record<'_>| {
                let digest = record.digest.to_vec();
                found.push((record.code, digest.len(), digest, record.offset));
                Ok(())
            };
            runs.for_each(each).expect("read");
            assert!(found == expected, "{count} records in {budget} bytes");
        }
        assert!(runs.runs.len() < 2 * FAN_IN);
    }

    #[test]
    fn order_holds_in_memory_spilled_and_merged_again() {
        check(1 << 20, 0);
        check(1 << 20, 1000);
        check(MIN_BUDGET, 1000);
        check(MIN_BUDGET, 30_000);
    }
}
