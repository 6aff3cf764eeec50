//! Sorts any number of small records in bounded memory: runs are sorted in memory, spilled to an unnamed
//! temporary file, and merged when read. The result can be read more than once.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io::{self, BufWriter, Write};

use carstone_layer::ReadAt;

/// Collects records of a sort key and a value.
pub struct Sorter {
    /// Records as `u32 key length ‖ u32 value length ‖ key ‖ value`.
    buffer: Vec<u8>,
    /// Where each record starts in the buffer.
    starts: Vec<usize>,
    budget: usize,
    spilled: Option<File>,
    runs: Vec<(u64, u64)>,
    end: u64,
    count: u64,
}

impl Sorter {
    /// Keeps at most about `budget` bytes in memory.
    pub fn new(budget: usize) -> Self {
        let (buffer, starts, runs) = (Vec::new(), Vec::new(), Vec::new());
        Self { buffer, starts, budget, spilled: None, runs, end: 0, count: 0 }
    }

    /// Puts a record in.
    ///
    /// # Errors
    /// The temporary file cannot be written; key or value have 4 GiB or more.
    pub fn push(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        let lengths = u32::try_from(key.len()).ok().zip(u32::try_from(value.len()).ok());
        let (key_len, value_len) = lengths.ok_or(io::ErrorKind::FileTooLarge)?;
        self.starts.push(self.buffer.len());
        self.buffer.extend_from_slice(&key_len.to_le_bytes());
        self.buffer.extend_from_slice(&value_len.to_le_bytes());
        self.buffer.extend_from_slice(key);
        self.buffer.extend_from_slice(value);
        self.count += 1;
        match self.buffer.len() + self.starts.len() * size_of::<usize>() >= self.budget {
            true => self.spill(),
            false => Ok(()),
        }
    }

    /// Sorts what is still in memory; nothing can be pushed any more.
    ///
    /// # Errors
    /// The temporary file cannot be written.
    pub fn finish(mut self) -> io::Result<Sorted> {
        if self.spilled.is_some() {
            self.spill()?;
            (self.buffer, self.starts) = (Vec::new(), Vec::new()); // Their memory is needed no more.
        }
        self.sort();
        Ok(Sorted {
            buffer: self.buffer,
            starts: self.starts,
            spilled: self.spilled,
            runs: self.runs,
            count: self.count,
        })
    }

    fn sort(&mut self) {
        let buffer = &self.buffer;
        // A stable sort: records of equal key stay in the order in which they came.
        self.starts.sort_by(|&a, &b| record_at(buffer, a).0.cmp(record_at(buffer, b).0));
    }

    fn spill(&mut self) -> io::Result<()> {
        self.sort();
        let file = match &mut self.spilled {
            Some(file) => file,
            none => none.insert(tempfile::tempfile()?),
        };
        let start = self.end;
        let mut out = BufWriter::with_capacity(1 << 18, file);
        for &at in &self.starts {
            let (key, value) = record_at(&self.buffer, at);
            let len = 8 + key.len() + value.len();
            out.write_all(&self.buffer[at..at + len])?;
            self.end += len as u64;
        }
        out.flush()?;
        drop(out);
        if self.end > start {
            self.runs.push((start, self.end));
        }
        self.buffer.clear();
        self.starts.clear();
        Ok(())
    }
}

/// Sorted records, read any number of times.
pub struct Sorted {
    buffer: Vec<u8>,
    starts: Vec<usize>,
    spilled: Option<File>,
    runs: Vec<(u64, u64)>,
    count: u64,
}

impl Sorted {
    /// How many records there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Reads the records in order of the key.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn iter(&self) -> io::Result<SortedIter<'_>> {
        let mut heap = BinaryHeap::new();
        if let Some(file) = &self.spilled {
            let window = (MERGE_BUDGET / self.runs.len().max(1)).max(4096);
            for (number, &(at, end)) in self.runs.iter().enumerate() {
                let mut run = RunCursor::new(file, number, at, end, window);
                if run.advance()? {
                    heap.push(Reverse(Box::new(run)));
                }
            }
        }
        Ok(SortedIter { sorted: self, next: 0, heap, taken: false })
    }
}

/// Gives the records one by one.
pub struct SortedIter<'a> {
    sorted: &'a Sorted,
    next: usize,
    /// Runs on their next record, the one with the least key first.
    heap: BinaryHeap<Reverse<Box<RunCursor<'a>>>>,
    /// Whether the first run's record was given: it moves on before the next one is taken.
    taken: bool,
}

impl SortedIter<'_> {
    /// Key and value of the next record.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    #[expect(clippy::should_implement_trait, reason = "what it gives is borrowed from it")]
    pub fn next(&mut self) -> io::Result<Option<(&[u8], &[u8])>> {
        if self.sorted.spilled.is_none() {
            let start = self.sorted.starts.get(self.next);
            self.next += 1;
            return Ok(start.map(|&at| record_at(&self.sorted.buffer, at)));
        }
        if self.taken
            && let Some(mut first) = self.heap.peek_mut()
            && !first.0.advance()?
        {
            PeekMut::pop(first);
        }
        self.taken = true;
        Ok(self.heap.peek().map(|Reverse(run)| run.record()))
    }
}

/// Reads one spilled run front to back.
struct RunCursor<'a> {
    file: &'a File,
    number: usize,
    at: u64,
    end: u64,
    window: usize,
    buffer: Vec<u8>,
    /// Bytes of the buffer up to the end of the current record.
    used: usize,
    key_len: usize,
    value_len: usize,
}

impl<'a> RunCursor<'a> {
    fn new(file: &'a File, number: usize, at: u64, end: u64, window: usize) -> Self {
        let buffer = Vec::new();
        Self { file, number, at, end, window, buffer, used: 0, key_len: 0, value_len: 0 }
    }

    /// Loads the next record; `false` at the end of the run.
    fn advance(&mut self) -> io::Result<bool> {
        (self.key_len, self.value_len) = (0, 0); // Until the record is there, should reading fail.
        if self.used == self.buffer.len() && self.at == self.end {
            return Ok(false);
        }
        self.need(8)?;
        let (key_len, value_len) = lengths_at(&self.buffer, self.used);
        self.used += 8;
        self.need(key_len + value_len)?;
        self.used += key_len + value_len;
        (self.key_len, self.value_len) = (key_len, value_len);
        Ok(true)
    }

    /// Key and value of the current record.
    fn record(&self) -> (&[u8], &[u8]) {
        let start = self.used - self.key_len - self.value_len;
        self.buffer[start..self.used].split_at(self.key_len)
    }

    /// Makes sure that `len` unused bytes are in the buffer.
    fn need(&mut self, len: usize) -> io::Result<()> {
        if self.buffer.len() - self.used >= len {
            return Ok(());
        }
        self.buffer.drain(..self.used);
        self.used = 0;
        let have = self.buffer.len();
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let more = left.min(self.window.max(len - have));
        self.buffer.resize(have + more, 0);
        self.file.read_exact_at(&mut self.buffer[have..], self.at)?;
        self.at += more as u64;
        Ok(())
    }
}

/// By key, and among equal keys in the order of the runs, so that records stay in the order in which they came.
impl Ord for RunCursor<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.record().0, self.number).cmp(&(other.record().0, other.number))
    }
}

impl PartialOrd for RunCursor<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for RunCursor<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for RunCursor<'_> {}

fn record_at(buffer: &[u8], at: usize) -> (&[u8], &[u8]) {
    let (key_len, value_len) = lengths_at(buffer, at);
    buffer[at + 8..at + 8 + key_len + value_len].split_at(key_len)
}

/// Lengths of key and value of the record at `at`.
fn lengths_at(buffer: &[u8], at: usize) -> (usize, usize) {
    let word = |at: usize| {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&buffer[at..at + 4]);
        u32::from_le_bytes(bytes) as usize
    };
    (word(at), word(at + 4))
}

/// Bytes that all runs together read ahead while they are merged.
const MERGE_BUDGET: usize = 8 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(budget: usize, count: u32) {
        let mut sorter = Sorter::new(budget);
        for n in 0..count {
            let key = n.wrapping_mul(2_654_435_761).to_be_bytes();
            sorter.push(&key[..3], &n.to_le_bytes()).expect("memory or a temporary file");
        }
        let sorted = sorter.finish().expect("a temporary file");
        for _ in 0..2 {
            let (mut before, mut seen) = (Vec::new(), 0_u32);
            let mut records = sorted.iter().expect("a temporary file");
            while let Some((key, value)) = records.next().expect("a temporary file") {
                assert!(key >= before.as_slice());
                before = key.to_vec();
                let n = u32::from_le_bytes(value.try_into().expect("four bytes"));
                assert_eq!(&n.wrapping_mul(2_654_435_761).to_be_bytes()[..3], key);
                seen += 1;
            }
            assert_eq!(seen, count);
        }
    }

    #[test]
    fn order_holds_in_memory_and_spilled() {
        check(1 << 20, 0);
        check(1 << 20, 1000);
        check(1000, 1000);
        check(1, 100);
        check(50_000, 20_000);
    }
}
