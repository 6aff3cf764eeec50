//! A pack that is read front to back, past whatever is damaged.

use std::collections::VecDeque;
use std::ops::Range;

use carstone::layer::{Cause, Correction, Gap, Report};
use carstone::pack::{Error, Event};
use carstone::repair::{Damage, Item, Tally};
use carstone::stack::{HealReport, Salvaged};
use serde_json::{Map, Value};

use crate::input::{chain, damage, put_right};
use crate::losses;
use crate::names::counted;

/// What stands in a pack, in the order of its stream.
pub(crate) struct Front {
    salvaged: Salvaged<'static>,
    /// What has been put right before anything was read, to be told first.
    mended: Option<String>,
    corrections: Vec<Correction>,
    /// What is lost of the outermost layer, where that is known.
    lost: Vec<Gap>,
    is_over: bool,
    /// What has been read already.
    first: VecDeque<Item>,
}

/// Damage that was met.
pub(crate) struct Heard {
    pub(crate) text: String,
    /// The same for programs, as far as there are numbers in it.
    pub(crate) fields: Map<String, Value>,
}

impl Front {
    pub(crate) fn new(salvaged: Salvaged<'static>, healed: Option<&HealReport>) -> Self {
        let mended = healed.and_then(mended);
        let corrections = healed.map_or_else(Vec::new, |report| report.corrections.clone());
        let lost = healed.map_or_else(Vec::new, |report| report.lost.clone());
        Self { salvaged, mended, corrections, lost, is_over: false, first: VecDeque::new() }
    }

    /// Reads as far as the first entry; gives whether there is one that does not stand behind too much damage.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub(crate) fn begin(&mut self) -> Result<bool, Error> {
        while self.first.len() < MOST_BEFORE
            && let Some(item) = self.salvaged.next()?
        {
            let is_event = matches!(item, Item::Event(_));
            self.first.push_back(item);
            if is_event {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What comes next. `heard` hears what is damaged before it.
    ///
    /// # Errors
    /// The source cannot be read, or needs a newer program.
    pub(crate) fn next(&mut self, heard: &mut dyn FnMut(Heard)) -> Result<Option<Event>, Error> {
        let text = |text| Heard { text, fields: Map::new() };
        if let Some(mended) = self.mended.take() {
            heard(text(mended));
        }
        while let Some(item) = self.item()? {
            match item {
                Item::Event(event) => return Ok(Some(event)),
                Item::Gap(gap) => {
                    heard(Heard { text: damage(&gap), fields: losses::gap_fields(&gap) });
                }
                Item::Fault(error) => heard(text(chain(&error))),
                // Later versions may tell more.
                _ => {}
            }
        }
        if !std::mem::replace(&mut self.is_over, true) {
            let mut report = Report::default();
            self.salvaged.drain_report(&mut report);
            let bits = report.corrections.iter().map(|found| u64::from(found.bits)).sum();
            if bits > 0 {
                heard(text(put_right(bits)));
            }
        }
        Ok(None)
    }

    /// What comes next, damage and all.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub(crate) fn item(&mut self) -> Result<Option<Item>, Error> {
        match self.first.pop_front() {
            Some(item) => Ok(Some(item)),
            None => self.salvaged.next(),
        }
    }

    /// What is lost of the outermost layer, and no place of damage tells: one frame of another layer may lose several.
    pub(crate) fn untold<'a>(&'a self, told: &'a [Damage]) -> impl Iterator<Item = &'a Gap> {
        let places: Vec<_> = told.iter().filter_map(stored).collect();
        let is_told = move |lost: &Range<u64>| {
            places.iter().any(|told| told.start < lost.end && lost.start < told.end || told == lost)
        };
        self.lost.iter().filter(move |gap| gap.stored.as_ref().is_some_and(|at| !is_told(at)))
    }

    /// Ends a count of what [`item`](Self::item) gave.
    pub(crate) fn finish(&mut self, tally: &mut Tally) {
        tally.finish(&mut self.salvaged);
        tally.correct(&self.corrections);
    }
}

/// Where damage stands.
fn stored(damage: &Damage) -> Option<Range<u64>> {
    let Damage::Gap(gap) = damage else { return None };
    let mut lowest = gap;
    while let Cause::Below(below) = &lowest.cause {
        lowest = below;
    }
    lowest.stored.clone()
}

/// Damage that is met before the first entry, at most.
const MOST_BEFORE: usize = 64;

/// What was put right without a key.
fn mended(report: &HealReport) -> Option<String> {
    let mut done = Vec::new();
    let bits: u32 = report.corrections.iter().map(|found| found.bits).sum();
    if bits > 0 {
        done.push(counted(bits.into(), "flipped bit"));
    }
    let parts = report.rebuilt.iter().take(4).map(|rebuilt| rebuilt.part.to_string());
    done.extend(parts);
    if report.moved + report.repeated > 0 {
        let frames = counted(report.moved + report.repeated, "frame");
        done.push(format!("{frames} out of order"));
    }
    (!done.is_empty()).then(|| format!("put right on the way: {}", done.join(", ")))
}
