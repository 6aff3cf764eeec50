//! The blocks of a damaged CAR, found by what they are.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufWriter, Write};

use anyhow::Context;
use carstone::car::dag::{NodeLimits, links};
use carstone::car::{AtReader, Cid, Index, IndexBuilder, IndexCodec, ReadAt, V2Header, codec};
use carstone::repair::{CarFault, CarGap, CarItem, CarSalvage};
use serde_json::{Map, Value};

/// What a search has found in a payload.
#[derive(Clone)]
pub(crate) struct Searched {
    /// Good blocks.
    pub blocks: u64,
    /// What stands between them, the first of it.
    pub gaps: Vec<CarGap>,
    /// How many more there are.
    pub more: u64,
    /// Length of the payload.
    pub len: u64,
    /// Bytes of all gaps.
    pub passed_over: u64,
}

/// What is told of a gap.
pub(crate) struct GapTold {
    /// Where it begins in the file.
    pub at: u64,
    /// Its bytes.
    pub length: Option<u64>,
    /// What is wrong.
    pub what: String,
}

impl GapTold {
    /// Where it is, for programs.
    pub(crate) fn fields(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        fields.insert("offset".to_owned(), self.at.into());
        if let Some(length) = self.length {
            fields.insert("length".to_owned(), length.into());
        }
        fields
    }
}

/// Where the blocks stand, and what they may be roots of.
pub(super) struct Places {
    pub(super) searched: Searched,
    pub(super) index: Index<File>,
    /// Nodes to which no other node links, or leaves where there are no nodes.
    pub(super) tops: Vec<Cid>,
    /// Leaves to which no node links, where there are nodes.
    pub(super) loose: Vec<Cid>,
}

/// What else is kept.
#[derive(Clone, Copy)]
pub(super) struct Keep {
    /// The places of sections with damaged data, so that it can be told what they are.
    pub(super) mismatches: bool,
    /// What may be roots.
    pub(super) tops: bool,
}

impl Keep {
    pub(super) const TOPS: Self = Self { mismatches: false, tops: true };
}

impl Searched {
    /// Whether blocks stand behind a gap: the rest is more than a cut.
    pub(crate) fn goes_past_damage(&self) -> bool {
        self.gaps.iter().any(|gap| gap.range.end < self.len)
    }

    /// Where the last block ends.
    pub(super) fn end_of_blocks(&self) -> u64 {
        self.gaps
            .last()
            .filter(|gap| gap.range.end == self.len)
            .map_or(self.len, |gap| gap.range.start)
    }

    /// The same without a last gap in which the index of a CARv2 stands.
    pub(super) fn without_index(mut self, payload: &impl ReadAt, v2: Option<&V2Header>) -> Self {
        let (end, is_last) = (self.len, self.more == 0);
        let is_index = |gap: &mut CarGap| {
            let begins = || Index::open_range(payload, gap.range.clone(), None).is_ok();
            is_last
                && gap.range.end == end
                && match gap.fault {
                    CarFault::NoSection => true,
                    // Its first bytes can be taken for the length of a section.
                    CarFault::Truncated => begins(),
                    _ => false,
                }
        };
        if v2.is_some_and(|v2| v2.index_offset.is_some())
            && let Some(index) = self.gaps.pop_if(is_index)
        {
            self.passed_over -= index.range.end - index.range.start;
        }
        self
    }

    /// What is wrong, in bytes of a file in which the payload starts at `base`.
    pub(crate) fn told(&self, base: u64) -> impl Iterator<Item = GapTold> {
        let gaps = self.gaps.iter().filter(|gap| !gap.range.is_empty());
        let told = gaps.map(move |gap| {
            let gap = gap.clone().with_base(base);
            let length = Some(gap.range.end - gap.range.start);
            GapTold { at: gap.range.start, length, what: gap.to_string() }
        });
        let last = self.gaps.last().map_or(0, |gap| gap.range.end.saturating_add(base));
        let more = (self.more > 0).then(|| {
            let what = format!("{} more places are damaged", self.more);
            GapTold { at: last, length: None, what }
        });
        told.chain(more)
    }
}

/// Goes over a payload and hashes all of it.
pub(crate) fn search<R: ReadAt>(payload: R) -> anyhow::Result<Searched> {
    Ok(scan(payload, &mut |_| Ok(()))?)
}

/// The same, and keeps where the blocks are: `front` bytes farther on than in the payload.
pub(super) fn places<R: ReadAt>(payload: R, front: u64, keep: Keep) -> anyhow::Result<Places> {
    let mut index = IndexBuilder::new(IndexCodec::MultihashSorted);
    let (mut tops, mut others, mut leaves) = (Vec::new(), Vec::new(), Vec::new());
    let mut linked = HashSet::new();
    let limits = NodeLimits::default();
    let searched = scan(payload, &mut |item| {
        match item {
            CarItem::Block { section, data, .. } => {
                index.add(&section.cid, section.offset.saturating_add(front))?;
                if keep.tops {
                    linked.extend(links(&section.cid, data, &limits).unwrap_or_default());
                    match section.cid.codec() {
                        codec::RAW => leaves.push(section.cid),
                        codec::DAG_PB => tops.push(section.cid),
                        _ => others.push(section.cid),
                    }
                }
            }
            CarItem::Gap(CarGap { range, fault: CarFault::Mismatch(cid), .. })
                if keep.mismatches =>
            {
                index.add(cid, range.start.saturating_add(front))?;
            }
            _ => {}
        }
        Ok(())
    })?;
    let mut seen = HashSet::new();
    let mut is_top = |cid: &Cid| !linked.contains(cid) && seen.insert(*cid);
    tops.retain(&mut is_top);
    if tops.is_empty() {
        others.retain(&mut is_top);
        tops = others;
    }
    leaves.retain(&mut is_top);
    let (tops, loose) = if tops.is_empty() { (leaves, Vec::new()) } else { (tops, leaves) };
    let file = tempfile::tempfile().context("cannot make a temporary file")?;
    let mut out = BufWriter::new(&file);
    let written = index.finish()?.write(&mut out).and_then(|()| out.flush());
    written.context("cannot keep an index in a temporary file")?;
    drop(out);
    Ok(Places { searched, index: Index::open(file)?, tops, loose })
}

fn scan<R: ReadAt>(
    payload: R,
    heard: &mut dyn FnMut(&CarItem) -> Result<(), carstone::car::Error>,
) -> Result<Searched, std::io::Error> {
    let mut salvage = CarSalvage::new(AtReader::new(payload));
    let mut searched = Searched { blocks: 0, gaps: Vec::new(), more: 0, len: 0, passed_over: 0 };
    while let Some(item) = salvage.next()? {
        heard(&item)?;
        if let CarItem::Gap(gap) = &item {
            searched.passed_over += gap.range.end - gap.range.start;
        }
        match item {
            CarItem::Block { .. } => searched.blocks += 1,
            CarItem::Gap(gap) if searched.gaps.len() < MAX_GAPS => searched.gaps.push(gap),
            CarItem::Gap(_) => searched.more += 1,
            _ => {}
        }
    }
    searched.len = salvage.position();
    Ok(searched)
}

/// Gaps that are told one by one.
const MAX_GAPS: usize = 10_000;
