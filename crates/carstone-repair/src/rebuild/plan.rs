//! The first pass: what can be kept, and what it is made of.

use std::collections::HashMap;
use std::ops::Range;

use carstone_layer::FailSafeRead;
use carstone_pack::{BlockKey, BlockMap, EntryKind, Event, Ids, MAX_PATH, Sorter};

use super::names::Names;
use super::{Partial, Plan, RebuildError, RebuildOptions};
use crate::report::{Hit, State, Tally, Told};
use crate::{Item, Salvage, leaf_digest};

impl Plan {
    /// Reads a damaged pack to its end. `progress` hears how many bytes of content have been seen.
    ///
    /// # Errors
    /// The source fails, or needs a newer reader; a temporary file fails.
    pub fn survey<R: FailSafeRead>(
        salvage: &mut Salvage<R>,
        options: &RebuildOptions,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Self, RebuildError> {
        let mut survey = Survey::new();
        let mut seen = 0u64;
        while let Some(item) = salvage.next()? {
            survey.tally.note(&item);
            if let Item::Event(event) = &item {
                survey.event(event)?;
                if let Event::Leaf { data, .. } = event {
                    seen = seen.saturating_add(data.len() as u64);
                    progress(seen);
                }
            }
            survey.told()?;
        }
        survey.tally.finish(salvage);
        survey.told()?;
        survey.plan(options)
    }
}

struct Survey {
    tally: Tally,
    uses: Sorter,
    leaves: u64,
    by_digest: BlockMap,
    names: Names,
    kept: Ids,
    originals: Ids,
    clashes: HashMap<u64, Hit>,
}

impl Survey {
    fn new() -> Self {
        Self {
            tally: Tally::new(),
            uses: Sorter::new(SORT_BUDGET),
            leaves: 0,
            by_digest: BlockMap::new(MAP_BUDGET),
            names: Names::new(),
            kept: Ids::default(),
            originals: Ids::default(),
            clashes: HashMap::new(),
        }
    }

    /// Notes which leaf is content of what.
    fn event(&mut self, event: &Event) -> Result<(), RebuildError> {
        match event {
            Event::Leaf { cid, uses, .. } => {
                let number = self.leaves;
                self.leaves += 1;
                let Some(digest) = leaf_digest(cid) else { return Ok(()) };
                self.by_digest.insert(BlockKey::leaf(digest), number)?;
                for place in uses {
                    self.add(number, place.id, place.offset)?;
                }
            }
            Event::Reuse { id, offset, cid, .. } => {
                let Some(digest) = leaf_digest(cid) else { return Ok(()) };
                if let Some(number) = self.by_digest.get(&BlockKey::leaf(digest))? {
                    self.add(number, *id, *offset)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn add(&mut self, leaf: u64, id: u64, offset: u64) -> Result<(), RebuildError> {
        let key = [leaf.to_be_bytes(), id.to_be_bytes(), offset.to_be_bytes()].concat();
        Ok(self.uses.push(&key, &[])?)
    }

    /// Takes the entries that have become known.
    fn told(&mut self) -> Result<(), RebuildError> {
        while let Some(told) = self.tally.next_told() {
            let Told::Whole { id, path, kind, original } = told else { continue };
            let has_original = original.is_none_or(|original| self.kept.contains(original));
            if has_original && self.names.take(&path, kind)? {
                self.kept.insert(id);
                if let Some(original) = original {
                    self.originals.insert(original);
                }
                continue;
            }
            let state = match has_original {
                true => State::Clash,
                false => State::OriginalLost { original },
            };
            let hit = Hit { id, path, kind, size: None, state, damage: Vec::new() };
            self.clashes.insert(id, hit);
        }
        Ok(())
    }

    fn plan(mut self, options: &RebuildOptions) -> Result<Plan, RebuildError> {
        let tally = std::mem::take(&mut self.tally);
        let mut report = tally.into_report();
        let mut plan = Plan {
            uses: self.uses.finish()?,
            kept: self.kept,
            partial: HashMap::new(),
            partial_links: HashMap::new(),
            originals: self.originals,
            report: Default::default(),
        };
        if options.keep_partial {
            let mut room = MOST_HOLES;
            for hit in &report.hit {
                let State::Incomplete { missing, end } = &hit.state else { continue };
                let holes = inner_holes(missing, *end);
                let bytes: u64 = holes.iter().map(|hole| hole.end - hole.start).sum();
                if bytes > room {
                    continue;
                }
                if let Some(path) = free_name(&mut self.names, &hit.path, hit.kind)? {
                    room -= bytes;
                    plan.kept.insert(hit.id);
                    plan.partial.insert(hit.id, Partial { path, holes });
                }
            }
            for hit in &report.hit {
                let State::OriginalLost { original: Some(original) } = hit.state else { continue };
                if plan.partial.contains_key(&original)
                    && let Some(path) = free_name(&mut self.names, &hit.path, hit.kind)?
                {
                    plan.kept.insert(hit.id);
                    plan.originals.insert(original);
                    plan.partial_links.insert(hit.id, path);
                }
            }
        }
        let mut clashes: Vec<Hit> = self.clashes.into_values().collect();
        clashes.sort_unstable_by_key(|hit| hit.id);
        report.whole = report.whole.saturating_sub(clashes.len() as u64);
        report.hit.extend(clashes);
        plan.report = report;
        Ok(plan)
    }
}

/// What is missing before `end`.
fn inner_holes(missing: &[Range<u64>], end: u64) -> Vec<Range<u64>> {
    let holes = missing.iter().map(|hole| hole.start..hole.end.min(end));
    holes.filter(|hole| hole.start < hole.end).collect()
}

/// The path with a mark behind it, which is made longer where it is taken.
fn free_name(
    names: &mut Names,
    path: &[u8],
    kind: EntryKind,
) -> Result<Option<Vec<u8>>, RebuildError> {
    for number in 1..MOST_TRIES {
        let mark = match number {
            1 => PARTIAL.to_owned(),
            _ => format!("{PARTIAL}-{number}"),
        };
        let name = [path, mark.as_bytes()].concat();
        if name.len() <= MAX_PATH && names.take(&name, kind)? {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// What stands behind the name of a file with holes.
const PARTIAL: &str = ".partial";
const MOST_TRIES: u32 = 100;
/// Zeros that stand for what is missing, in all files together. A damaged pack may state any size.
const MOST_HOLES: u64 = 64 << 30;
const SORT_BUDGET: usize = 16 << 20;
const MAP_BUDGET: usize = 16 << 20;
