//! Where records and damage stand in the stream, and so which damage an entry lies in.

use std::ops::Range;

/// Positions of records, and what is missing or wrong.
#[derive(Debug, Default)]
pub(super) struct Places {
    records: Vec<u64>,
    damage: Vec<Range<u64>>,
}

/// The part of the stream in which an entry's content stands.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    /// Where it is announced.
    from: Option<u64>,
    /// The first and the last place that is known to be its.
    first: Option<u64>,
    last: u64,
    is_ended: bool,
}

impl Span {
    /// Of an entry that is announced at `at`.
    pub(super) fn announced(at: u64) -> Self {
        let mut span = Self::default();
        span.announce(at);
        span
    }

    pub(super) fn announce(&mut self, at: u64) {
        self.from = Some(at);
        self.see(at);
    }

    /// Something at `at` is of the entry.
    pub(super) fn see(&mut self, at: u64) {
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        self.last = self.last.max(at);
    }

    /// Its content ends before `at`.
    pub(super) fn end(&mut self, at: u64) {
        self.see(at);
        self.is_ended = true;
    }
}

impl Places {
    pub(super) fn record(&mut self, at: u64) {
        // They come in order, unless the stream repeats itself.
        if self.records.last().is_none_or(|&last| last < at) {
            self.records.push(at);
        }
    }

    pub(super) fn damage(&mut self, place: Range<u64>) {
        if self.damage.len() < MOST_DAMAGE {
            self.damage.push(place);
        }
    }

    /// The numbers of the damage that may have hit an entry.
    pub(super) fn hit(&self, span: &Span) -> Vec<u64> {
        let before = |at| {
            let known = self.records.partition_point(|&record| record < at);
            known.checked_sub(1).and_then(|n| self.records.get(n)).copied()
        };
        let from = span.from.or_else(|| span.first.and_then(before)).unwrap_or(0);
        let next = self.records.partition_point(|&record| record <= span.last);
        let to = match (span.is_ended, self.records.get(next)) {
            (true, _) => span.last,
            (false, Some(&record)) => record,
            (false, None) => u64::MAX,
        };
        let damage = self.damage.iter().enumerate();
        let hit = damage.filter(|(_, place)| place.start <= to && from <= place.end);
        hit.map(|(number, _)| number as u64).take(MOST_NAMED).collect()
    }
}

const MOST_DAMAGE: usize = 1 << 16;
/// Damage that is named for one entry.
const MOST_NAMED: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_hits_what_lies_around_it() {
        let mut places = Places::default();
        [0, 100, 200, 300].into_iter().for_each(|at| places.record(at));
        [50..60, 150..160, 250..u64::MAX].into_iter().for_each(|place| places.damage(place));
        assert_eq!(places.hit(&Span::announced(0)), [0]);
        assert_eq!(places.hit(&Span::announced(100)), [1]);
        assert_eq!(places.hit(&Span::announced(300)), [2]);
        let mut long = Span::announced(0);
        long.see(120);
        assert_eq!(places.hit(&long), [0, 1]);
        long.end(140);
        assert_eq!(places.hit(&long), [0]);
        // Its announcement is lost: it stood behind the record before.
        let mut unnamed = Span::default();
        unnamed.end(200);
        assert_eq!(places.hit(&unnamed), [1]);
    }
}
