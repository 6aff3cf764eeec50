//! Sets of bytes.

use std::ops::Range;

/// Ranges of bytes, in order and without overlap.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Ranges(Vec<Range<u64>>);

impl Ranges {
    /// Puts `range` in. Takes constant time where ranges come in order.
    pub(crate) fn insert(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let from = self.0.partition_point(|known| known.end < range.start);
        let to = self.0.partition_point(|known| known.start <= range.end);
        if from == to {
            self.0.insert(from, range);
            return;
        }
        let start = self.0[from].start.min(range.start);
        let end = self.0[to - 1].end.max(range.end);
        self.0.splice(from..to, std::iter::once(start..end));
    }

    /// Whether all of `range` is in it.
    pub(crate) fn contains(&self, range: &Range<u64>) -> bool {
        let at = self.0.partition_point(|known| known.end < range.end);
        range.is_empty() || self.0.get(at).is_some_and(|known| known.start <= range.start)
    }

    /// Whether anything of `range` is in it.
    pub(crate) fn meets(&self, range: &Range<u64>) -> bool {
        let at = self.0.partition_point(|known| known.end <= range.start);
        self.0.get(at).is_some_and(|known| known.start < range.end)
    }

    /// What of `0..size` is not in it.
    pub(crate) fn missing(&self, size: u64) -> Vec<Range<u64>> {
        let mut missing = Vec::new();
        let mut at = 0;
        for known in &self.0 {
            if known.start > at && at < size {
                missing.push(at..known.start.min(size));
            }
            at = known.end;
        }
        if at < size {
            missing.push(at..size);
        }
        missing
    }

    /// Where the last range ends.
    pub(crate) fn end(&self) -> u64 {
        self.0.last().map_or(0, |last| last.end)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_set_has_what_was_put_in(
            ranges in prop::collection::vec((0u64..60, 0u64..9), 0..12),
            size in 0u64..80,
        ) {
            let mut set = Ranges::default();
            let mut model = [false; 80];
            for (start, len) in ranges {
                set.insert(start..start + len);
                model[start as usize..(start + len) as usize].fill(true);
            }
            for (at, &known) in model.iter().enumerate() {
                let byte = at as u64..at as u64 + 1;
                prop_assert_eq!((set.contains(&byte), set.meets(&byte)), (known, known));
                let next = &model[at..(at + 3).min(80)];
                prop_assert_eq!(set.meets(&(at as u64..at as u64 + 3)), next.contains(&true));
            }
            let mut missing = [false; 80];
            for range in set.missing(size) {
                prop_assert!(!range.is_empty());
                missing[range.start as usize..range.end as usize].fill(true);
            }
            for at in 0..80 {
                prop_assert_eq!(missing[at], (at as u64) < size && !model[at]);
            }
            let end = model.iter().rposition(|&known| known).map_or(0, |last| last + 1);
            prop_assert_eq!(set.end(), end as u64);
        }
    }
}
