//! Beginnings of leaves whose ends are missing: kept until it is known that a file is not complete.

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::output::Output;
use super::places::Spool;
use super::stream::Flow;
use crate::entry::Announced;
use crate::stream::Use;

/// Parts by the entries that they are content of.
#[derive(Debug, Default)]
pub(super) struct Parts {
    by_entry: HashMap<u64, Vec<Part>>,
    count: usize,
}

/// Bytes in the spool.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// Offset in the content.
    offset: u64,
    len: u64,
    /// Bytes at its beginning that are proved.
    proved: u64,
    /// Offset in the spool.
    kept_at: u64,
}

/// What is missing of a file of which nothing more comes.
pub(super) struct Lacks {
    /// Its bytes, if it is known how many there were.
    pub(super) size: Option<u64>,
    pub(super) missing: Vec<Range<u64>>,
    /// Beginnings of leaves that are among it.
    pub(super) parts: Vec<Part>,
}

impl Parts {
    pub(super) fn remove(&mut self, id: u64) -> Vec<Part> {
        let parts = self.by_entry.remove(&id).unwrap_or_default();
        self.count -= parts.len();
        parts
    }

    fn insert(&mut self, id: u64, part: Part) {
        if self.count < MOST_PARTS {
            self.by_entry.entry(id).or_default().push(part);
            self.count += 1;
        }
    }
}

impl Part {
    fn range(&self) -> Range<u64> {
        self.offset..self.offset.saturating_add(self.len)
    }

    /// What of it is not proved.
    pub(super) fn unproved(&self) -> Option<Range<u64>> {
        let range = self.offset.saturating_add(self.proved)..self.range().end;
        (!range.is_empty()).then_some(range)
    }

    /// Gives `write` the bytes and where they belong, piece by piece.
    ///
    /// # Errors
    /// The spool cannot be read; what `write` gives.
    pub(super) fn copy(
        &self,
        spool: &Spool,
        write: &mut dyn FnMut(&[u8], u64) -> io::Result<()>,
    ) -> io::Result<()> {
        let (mut buffer, mut done) = (vec![0; PIECE], 0);
        while done < self.len {
            let step = usize::try_from(self.len - done).unwrap_or(PIECE).min(PIECE);
            let Some(piece) = buffer.get_mut(..step) else { break };
            spool.read(piece, self.kept_at.saturating_add(done))?;
            write(piece, self.offset.saturating_add(done))?;
            done += step as u64;
        }
        Ok(())
    }
}

impl Flow<'_> {
    /// Keeps a part, if what comes of incomplete files is wanted.
    pub(super) fn part(&mut self, data: &[u8], proved: usize, uses: &[Use]) {
        let is_due = |id| self.waiting.contains_key(&id) || self.unended.contains_key(&id);
        let uses: Vec<&Use> = uses.iter().filter(|place| is_due(place.id)).collect();
        if !self.partial || uses.is_empty() {
            return;
        }
        let Some(kept_at) = self.writer.keep(data) else { return };
        let (len, proved) = (data.len() as u64, proved as u64);
        for &&Use { id, offset } in &uses {
            self.parts.insert(id, Part { offset, len, proved, kept_at });
        }
    }

    /// The file under construction for an entry of which only `parts` came.
    pub(super) fn output_of_parts(&mut self, entry: &Announced) -> Option<Arc<Output>> {
        let tally = &mut self.tally;
        let told = &mut |event| tally.tell(event);
        let file = self.restorer.create(&entry.path, &entry.metadata, told)?;
        Some(Arc::new(Output::new(file, entry.metadata.clone())))
    }
}

/// What is still missing when `parts` are there.
pub(super) fn without(missing: Vec<Range<u64>>, parts: &[Part]) -> Vec<Range<u64>> {
    let mut parts: Vec<Range<u64>> = parts.iter().map(Part::range).collect();
    parts.sort_unstable_by_key(|part| part.start);
    let (mut left, mut parts) = (Vec::new(), parts.into_iter().peekable());
    for mut hole in missing {
        while let Some(part) = parts.next_if(|part| part.start < hole.end) {
            if part.start > hole.start {
                left.push(hole.start..part.start);
            }
            hole.start = hole.start.max(part.end);
        }
        if hole.start < hole.end {
            left.push(hole);
        }
    }
    left
}

/// Parts that are remembered: some 50 bytes each.
const MOST_PARTS: usize = 1 << 20;
const PIECE: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_taken_from_holes() {
        let part = |&(start, end): &(u64, u64)| Part {
            offset: start,
            len: end - start,
            proved: 0,
            kept_at: 0,
        };
        let left = |parts: &[(u64, u64)]| -> Vec<(u64, u64)> {
            let parts: Vec<Part> = parts.iter().map(part).collect();
            let left = without(vec![10..20, 30..50], &parts);
            left.into_iter().map(|hole| (hole.start, hole.end)).collect()
        };
        assert_eq!(left(&[]), [(10, 20), (30, 50)]);
        assert_eq!(left(&[(10, 15)]), [(15, 20), (30, 50)]);
        assert_eq!(left(&[(35, 40), (10, 20)]), [(30, 35), (40, 50)]);
        assert_eq!(left(&[(0, 5), (20, 30), (60, 70)]), [(10, 20), (30, 50)]);
        assert_eq!(left(&[(30, 50), (12, 18)]), [(10, 12), (18, 20)]);
        assert_eq!(left(&[(0, 100)]), [(30, 50)], "a part lies in one hole");
    }
}
