//! How a stream is cut and where each frame of its parity lies (`docs/format.md`, sections 14.1–14.4 and 14.6).

use std::ops::Range;

use crate::frame::{DESCRIPTOR_LEN, HEADER_LEN};
use crate::{Error, ErrorKind};

/// How many bytes parity may add, in hundredths of a percent of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u32);

impl Share {
    /// `hundredths` of a percent, 100 to 10,000 (1 % to 100 %).
    pub fn new(hundredths: u32) -> Option<Self> {
        (100..=10_000).contains(&hundredths).then_some(Self(hundredths))
    }

    /// Hundredths of a percent.
    pub fn hundredths(self) -> u32 {
        self.0
    }

    /// That part of a count, rounded down.
    pub fn of(self, count: u64) -> u64 {
        u64::try_from(u128::from(count) * u128::from(self.0) / 10_000).unwrap_or(count)
    }
}

impl Default for Share {
    /// 10 %.
    fn default() -> Self {
        Self(1_000)
    }
}

/// What stands at a place of the parity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Slot {
    /// A shard of a group's table; check shards stand behind the table shards.
    Table { group: u32, shard: u32 },
    /// A recovery cell of a zone.
    Recovery { zone: u32, number: u32 },
}

/// The cells, zones, groups and frames of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    stream_len: u64,
    share: Share,
    cell: u32,
    cells: u64,
    zones: u32,
    groups: u32,
    recovery: u32,
    copies: u32,
    /// Table and check shards of all groups.
    table: u64,
    /// Table and check shards of the group that has the fewest.
    shortest: u32,
}

impl Layout {
    /// The layout of a stream of `stream_len` bytes.
    ///
    /// # Errors
    /// [`ErrorKind::TooLong`] from 2⁴³ bytes on.
    pub fn new(stream_len: u64, share: Share) -> Result<Self, Error> {
        let mut layout = Self::cut(stream_len, share)?;
        let frame = layout.frame_len();
        let budget = share.of(stream_len);
        let copies = budget.div_ceil(16 * frame).clamp(2, 64);
        layout.copies = u32::try_from(copies).unwrap_or(2);
        if layout.zones > 0 {
            let fixed = DESCRIPTOR_LEN as u64 * copies + frame * layout.table;
            let room = budget.saturating_sub(fixed) / (u64::from(layout.zones) * frame);
            layout.recovery =
                u32::try_from(room).unwrap_or(u32::MAX).clamp(1, layout.largest_zone());
        }
        Ok(layout)
    }

    /// The layout that a descriptor states.
    ///
    /// # Errors
    /// [`ErrorKind::BadField`] where its numbers are not possible, [`ErrorKind::TooLong`].
    pub(crate) fn stated(
        stream_len: u64,
        cell: u32,
        share: u32,
        recovery: u32,
        copies: u32,
    ) -> Result<Self, Error> {
        let bad = |what| Error::new(ErrorKind::BadField(what), 0);
        let share = Share::new(share).ok_or_else(|| bad("share"))?;
        let mut layout = Self::cut(stream_len, share)?;
        if layout.cell != cell {
            return Err(bad("cell size"));
        }
        let fits = recovery <= layout.largest_zone() && (recovery == 0) == (layout.zones == 0);
        if !fits {
            return Err(bad("recovery cells"));
        }
        if !(2..=64).contains(&copies) {
            return Err(bad("copies"));
        }
        (layout.recovery, layout.copies) = (recovery, copies);
        Ok(layout)
    }

    /// Cells, zones, groups and tables; no recovery cells yet.
    fn cut(stream_len: u64, share: Share) -> Result<Self, Error> {
        if stream_len >= 1 << 43 {
            let what = "stream to protect";
            return Err(Error::new(
                ErrorKind::TooLong { what, len: stream_len, limit: (1 << 43) - 1 },
                0,
            ));
        }
        let cell = cell_size(stream_len);
        let cells = stream_len.div_ceil(u64::from(cell));
        let most = u64::from(MAX_ZONE_BYTES / cell).min(MAX_ZONE_CELLS);
        let zones = u32::try_from(cells.div_ceil(most)).unwrap_or(u32::MAX);
        let groups = if zones == 0 { 0 } else { (zones / ZONES_OF_GROUP).max(1) };
        let mut layout = Self {
            stream_len,
            share,
            cell,
            cells,
            zones,
            groups,
            recovery: 0,
            copies: 2,
            table: 0,
            shortest: 0,
        };
        layout.shortest = (0..groups).map(|g| layout.table_and_check(g)).min().unwrap_or(0);
        layout.table = (0..groups).map(|group| u64::from(layout.table_and_check(group))).sum();
        Ok(layout)
    }

    /// Length of the stream in bytes.
    pub fn stream_len(&self) -> u64 {
        self.stream_len
    }

    /// What parity was allowed to add.
    pub fn share(&self) -> Share {
        self.share
    }

    /// Bytes in a cell.
    pub fn cell_len(&self) -> u32 {
        self.cell
    }

    /// How many cells the stream has.
    pub fn cells(&self) -> u64 {
        self.cells
    }

    /// How many zones, each under a code of its own.
    pub fn zones(&self) -> u32 {
        self.zones
    }

    /// How many cells of each zone may be lost.
    pub fn recovery(&self) -> u32 {
        self.recovery
    }

    /// Bytes of the whole parity.
    pub fn parity_len(&self) -> u64 {
        self.slots() * self.frame_len() + u64::from(self.copies) * DESCRIPTOR_LEN as u64
    }

    /// How many cells need not be found for healing to be tried at all.
    pub(crate) fn may_lack(&self) -> u64 {
        let by_code = u64::from(self.zones) * u64::from(self.recovery);
        let most = self.share.of(self.cells).max(by_code);
        // A single cell is corrected, not replaced: nothing would tie it to the stream.
        most.min(self.cells.saturating_sub(1))
    }

    pub(crate) fn copies(&self) -> u32 {
        self.copies
    }

    pub(crate) fn groups(&self) -> u32 {
        self.groups
    }

    /// Bytes of a frame that is not a descriptor.
    pub(crate) fn frame_len(&self) -> u64 {
        HEADER_LEN as u64 + u64::from(self.cell)
    }

    /// Frames that are not descriptors.
    pub(crate) fn slots(&self) -> u64 {
        u64::from(self.zones) * u64::from(self.recovery) + self.table
    }

    /// The zones of a group.
    pub(crate) fn zones_of(&self, group: u32) -> Range<u32> {
        let at = |group: u32| {
            u32::try_from(u64::from(group) * u64::from(self.zones) / u64::from(self.groups.max(1)))
                .unwrap_or(self.zones)
        };
        at(group)..at(group + 1)
    }

    /// The cells of a group.
    pub(crate) fn cells_of(&self, group: u32) -> Range<u64> {
        let at = |zone: u32| u64::from(zone) * self.cells / u64::from(self.zones.max(1));
        let zones = self.zones_of(group);
        at(zones.start)..at(zones.end)
    }

    /// The group of a zone.
    pub(crate) fn group_of_zone(&self, zone: u32) -> u32 {
        // The last group g with ⌊gZ/G⌋ ≤ zone.
        let (zone, zones) = (u64::from(zone), u64::from(self.zones.max(1)));
        let group = ((zone + 1) * u64::from(self.groups) - 1) / zones;
        u32::try_from(group).unwrap_or(0)
    }

    /// The cells of a zone, in the order of its code.
    pub(crate) fn cells_of_zone(&self, zone: u32) -> impl ExactSizeIterator<Item = u64> + Clone {
        let group = self.group_of_zone(zone);
        let (zones, cells) = (self.zones_of(group), self.cells_of(group));
        let step = u64::from(zones.end - zones.start);
        let first = cells.start + u64::from(zone - zones.start);
        let count = usize::try_from(cells.end.saturating_sub(first).div_ceil(step)).unwrap_or(0);
        (0..count).map(move |i| first + i as u64 * step)
    }

    /// The zone of a cell, and its number there.
    pub(crate) fn zone_of(&self, cell: u64) -> (u32, u32) {
        let mut group =
            u32::try_from(cell * u64::from(self.groups) / self.cells.max(1)).unwrap_or(0);
        while cell < self.cells_of(group).start {
            group -= 1;
        }
        while cell >= self.cells_of(group).end && group + 1 < self.groups {
            group += 1;
        }
        let (zones, cells) = (self.zones_of(group), self.cells_of(group));
        let width = u64::from(zones.end - zones.start).max(1);
        let i = cell.saturating_sub(cells.start);
        let narrow = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        (zones.start + narrow(i % width), narrow(i / width))
    }

    /// Table shards of a group, without check shards.
    pub(crate) fn table_shards(&self, group: u32) -> u32 {
        let cells = self.cells_of(group);
        let bytes = (cells.end - cells.start) * ENTRY_LEN as u64;
        u32::try_from(bytes.div_ceil(u64::from(self.cell))).unwrap_or(u32::MAX)
    }

    /// Check shards of a group.
    pub(crate) fn check_shards(&self, group: u32) -> u32 {
        self.table_shards(group)
    }

    fn table_and_check(&self, group: u32) -> u32 {
        self.table_shards(group) + self.check_shards(group)
    }

    fn largest_zone(&self) -> u32 {
        let sizes = (0..self.zones).map(|zone| self.cells_of_zone(zone).len());
        sizes.max().map_or(0, |most| u32::try_from(most).unwrap_or(u32::MAX))
    }

    /// The place of a frame that is not a descriptor, in 14.6's row.
    pub(crate) fn place_of(&self, slot: Slot) -> u64 {
        let all = self.slots();
        match slot {
            Slot::Table { group, shard } => {
                let number = self.table_number(group, shard);
                // The first place s with ⌊(s + 1)T/A⌋ = number + 1.
                ((number + 1) * all).div_ceil(self.table) - 1
            }
            Slot::Recovery { zone, number } => {
                let number = u64::from(number) * u64::from(self.zones) + u64::from(zone);
                // The only place s that holds no table frame and has so many recovery cells before it.
                let mut s = number * all / (all - self.table).max(1);
                loop {
                    let before = s - self.tables_before(s);
                    let is_table = self.tables_before(s + 1) > self.tables_before(s);
                    match before.cmp(&number) {
                        std::cmp::Ordering::Equal if !is_table => return s,
                        std::cmp::Ordering::Greater => s -= 1,
                        _ => s += 1,
                    }
                }
            }
        }
    }

    /// What stands at a place.
    pub(crate) fn slot_at(&self, place: u64) -> Slot {
        let before = self.tables_before(place);
        let narrow = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        if self.tables_before(place + 1) > before {
            return self.table_slot(before);
        }
        let number = place - before;
        let zones = u64::from(self.zones.max(1));
        Slot::Recovery { zone: narrow(number % zones), number: narrow(number / zones) }
    }

    /// Where the frame at a place begins, in bytes from the front of the parity.
    pub(crate) fn offset_of(&self, place: u64) -> u64 {
        let copies = self.copies_before(place);
        place * self.frame_len() + copies * DESCRIPTOR_LEN as u64
    }

    /// Where a copy of the descriptor begins.
    pub(crate) fn offset_of_copy(&self, copy: u32) -> u64 {
        let place = u64::from(copy) * self.slots() / u64::from(self.copies - 1);
        place * self.frame_len() + u64::from(copy) * DESCRIPTOR_LEN as u64
    }

    /// Copies of the descriptor that stand before the frame at a place: those d with ⌊dA/(D − 1)⌋ ≤ place.
    fn copies_before(&self, place: u64) -> u64 {
        let (all, gaps) = (self.slots().max(1), u64::from(self.copies - 1));
        // d·A < (place + 1)(D − 1).
        (((place + 1) * gaps - 1) / all + 1).min(u64::from(self.copies))
    }

    fn tables_before(&self, place: u64) -> u64 {
        let wide = u128::from(place) * u128::from(self.table) / u128::from(self.slots().max(1));
        u64::try_from(wide).unwrap_or(u64::MAX)
    }

    /// The number of a table frame in the order of shards, then groups.
    fn table_number(&self, group: u32, shard: u32) -> u64 {
        if shard < self.shortest {
            return u64::from(shard) * u64::from(self.groups) + u64::from(group);
        }
        let before = |g: u32| u64::from(self.table_and_check(g).min(shard));
        let rest = |g: u32| u64::from(g < group && self.table_and_check(g) > shard);
        (0..self.groups).map(|g| before(g) + rest(g)).sum()
    }

    /// The table frame of a number. Groups differ by a few shards at the most, so that few are tried.
    fn table_slot(&self, number: u64) -> Slot {
        let (shortest, groups) = (self.shortest, u64::from(self.groups.max(1)));
        let narrow = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        if number < u64::from(shortest) * groups {
            return Slot::Table { group: narrow(number % groups), shard: narrow(number / groups) };
        }
        let mut left = number - u64::from(shortest) * groups;
        let mut shard = shortest;
        loop {
            let longer: Vec<u32> =
                (0..self.groups).filter(|g| self.table_and_check(*g) > shard).collect();
            match longer.get(usize::try_from(left).unwrap_or(usize::MAX)) {
                Some(group) => return Slot::Table { group: *group, shard },
                None if longer.is_empty() => return Slot::Table { group: self.groups, shard },
                None => left -= longer.len() as u64,
            }
            shard += 1;
        }
    }
}

/// `S` of a stream, in bytes.
fn cell_size(stream_len: u64) -> u32 {
    match stream_len {
        0..1_024 => 64,
        1_024..16_384 => 256,
        16_384..524_288 => 1_024,
        524_288..4_194_304 => 2_048,
        _ => 4_096 << (stream_len.max(1).ilog2().saturating_sub(34)),
    }
}

/// Bytes of an entry of the table.
pub(crate) const ENTRY_LEN: usize = 12;

/// With up to 2,048 recovery cells these fill 16,384 places of the code, so that decoding does not take the next power of two.
const MAX_ZONE_CELLS: u64 = 14_336;
const MAX_ZONE_BYTES: u32 = 14_336 << 12;
/// A group has at least as many where there are enough, so that a burst is shared by them.
const ZONES_OF_GROUP: u32 = 10;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    fn layout(len: u64, share: u32) -> Layout {
        Layout::new(len, Share::new(share).unwrap()).unwrap()
    }

    fn lengths() -> Vec<u64> {
        let zone = 14_336 << 12;
        let edges =
            [64, 1_024, 16_384, 524_288, 4_194_304, zone, 10 * zone, 11 * zone, 20 * zone, 1 << 35];
        let near = edges.iter().flat_map(|edge| [edge - 1, *edge, edge + 1]);
        near.chain([0, 1, 100, 8 << 20, 500_000_000, 6 << 30, (1 << 43) - 1]).collect()
    }

    #[test]
    fn each_cell_is_in_one_zone_and_is_found_there() {
        for len in lengths().into_iter().filter(|len| *len < 2 << 30) {
            let layout = layout(len, 1_000);
            let mut seen = vec![false; layout.cells() as usize];
            for zone in 0..layout.zones() {
                let group = layout.group_of_zone(zone);
                assert!(layout.zones_of(group).contains(&zone));
                assert!(layout.cells_of_zone(zone).len() <= 14_336);
                for (number, cell) in layout.cells_of_zone(zone).enumerate() {
                    assert!(!std::mem::replace(&mut seen[cell as usize], true));
                    assert_eq!(layout.zone_of(cell), (zone, number as u32), "{len}");
                }
            }
            assert!(seen.into_iter().all(|seen| seen), "{len}");
        }
    }

    #[test]
    fn places_and_slots_are_each_others_inverse() {
        for len in lengths().into_iter().filter(|len| *len < 2 << 30) {
            for share in [100, 1_000, 10_000] {
                let layout = layout(len, share);
                let mut at = 0;
                let mut copies = 0;
                let step = (layout.slots() / 3_000).max(1) as usize;
                for place in 0..layout.slots() {
                    while copies < layout.copies() && layout.offset_of_copy(copies) == at {
                        at += DESCRIPTOR_LEN as u64;
                        copies += 1;
                    }
                    assert_eq!(layout.offset_of(place), at);
                    if (place as usize).is_multiple_of(step) {
                        assert_eq!(layout.place_of(layout.slot_at(place)), place, "{len} {share}");
                    }
                    at += layout.frame_len();
                }
                assert!(layout.slots() == 0 || copies + 1 == layout.copies());
                assert_eq!(
                    layout.offset_of_copy(layout.copies() - 1) + DESCRIPTOR_LEN as u64,
                    layout.parity_len()
                );
            }
        }
    }

    #[test]
    fn what_is_added_stays_within_the_share_and_most_of_it_is_recovery_cells() {
        for len in [8 << 20, 100_000_000, 500_000_000, 6 << 30, 1 << 40] {
            let layout = layout(len, 1_000);
            assert!(layout.parity_len() <= len / 10);
            let cells = u64::from(layout.zones()) * u64::from(layout.recovery());
            assert!(cells * 1_000 >= layout.cells() * 92, "{len}: {cells} of {}", layout.cells());
        }
        assert_eq!(layout(8 << 20, 1_000).recovery(), 189);
    }

    #[test]
    fn few_cells_and_none() {
        assert_eq!(
            (layout(0, 1_000).zones(), layout(0, 1_000).parity_len()),
            (0, 2 * DESCRIPTOR_LEN as u64)
        );
        assert_eq!((layout(1, 1_000).cells(), layout(1, 1_000).recovery()), (1, 1));
        assert!(lengths().into_iter().all(|len| layout(len, 1_000).cells() <= 1 << 23));
        assert!(Layout::new(1 << 43, Share::default()).is_err());
    }
}
