//! Sorts records of an index in bounded memory: in runs, of which all but one are spilled.

use std::io;

use super::spill::Spilled;

/// Records are `code u64 ‖ digest length u8 ‖ digest ‖ place`, big-endian, so that the order of their bytes is that of the entries of an
/// index, with ties by ascending place. A place has `PLACE` bytes: those of the offset, or of more than that.
#[derive(Debug)]
pub(crate) struct Runs<const PLACE: usize = 8> {
    arena: Vec<u8>,
    /// Where each record starts in the arena.
    starts: Vec<u32>,
    budget: usize,
    /// What was more than the budget.
    spilled: Option<Spilled<PLACE>>,
}

/// A record, taken apart.
pub(crate) struct Record<'a> {
    pub(crate) code: u64,
    pub(crate) digest: &'a [u8],
    pub(crate) offset: u64,
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
        let budget = budget.clamp(MIN_BUDGET, MAX_BUDGET);
        Runs { arena: Vec::new(), starts: Vec::new(), budget, spilled: None }
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
        if self.spilled.is_some() {
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
        match &self.spilled {
            Some(spilled) => spilled.for_each(each),
            None => self.starts.iter().try_for_each(|&at| each(record::<PLACE>(&self.arena, at))),
        }
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

    /// Makes room by putting what is in memory, sorted, into a file.
    fn spill(&mut self) -> io::Result<()> {
        if self.starts.is_empty() {
            return Ok(());
        }
        self.sort();
        let spilled = match &mut self.spilled {
            Some(spilled) => spilled,
            none => none.insert(Spilled::new()?),
        };
        spilled.add(self.starts.iter().map(|&at| record::<PLACE>(&self.arena, at)))?;
        self.arena.clear();
        self.starts.clear();
        Ok(())
    }
}

/// The record that starts here in an arena.
fn record<const PLACE: usize>(arena: &[u8], at: u32) -> &[u8] {
    let rest = &arena[at as usize..];
    &rest[..record_len::<PLACE>(rest)]
}

/// The length of the record that starts with these bytes.
pub(super) fn record_len<const PLACE: usize>(head: &[u8]) -> usize {
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
pub(super) const LARGEST_RECORD: usize = RECORD_HEAD + 255 + 16;

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
        assert!(runs.spilled.is_none_or(|spilled| spilled.is_thin()));
    }

    #[test]
    fn order_holds_in_memory() {
        check(1 << 20, 0);
        check(1 << 20, 1000);
    }

    #[test]
    fn order_holds_spilled_and_merged_again() {
        check(MIN_BUDGET, 1000);
        check(MIN_BUDGET, 30_000);
    }
}
