//! Puts runs of frames into their order, with holes for what is missing between them.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;

use carstone_layer::{Cause, Gap, LayerId, ReadAt};

use super::report::{Conflict, Damage};
use super::rules::Rules;
use super::runs::{Run, Still};
use super::survey::Survey;
use crate::stack::error::{Error, ErrorKind};

/// All frames of the layer from the first to the last that is known.
#[derive(Debug)]
pub(super) struct Order {
    layer: LayerId,
    pub(super) runs: Vec<Run>,
    pub(super) lost: Vec<Gap>,
    /// Data frames that stood in another place, and that stood there again.
    pub(super) moved: u64,
    pub(super) repeated: u64,
    pub(super) conflicts: Vec<Conflict>,
    /// Plain bytes, and whether the stream ends with them.
    pub(super) plain: u64,
    pub(super) is_ended: bool,
}

impl Order {
    /// Data frames and holes.
    pub(super) fn frames(&self) -> u64 {
        self.runs.last().map_or(0, |run| run.frames.end)
    }
}

/// Orders what `survey` found. `total` is the length of the plain stream where the container tells it.
pub(super) fn order<R: ReadAt>(
    source: &R,
    survey: &Survey,
    rules: Rules,
    canonical: impl Fn(&Run) -> bool,
    total: Option<u64>,
) -> Result<Order, Error> {
    let mut claims = Claims { source, rules, chosen: BTreeMap::new(), repeated: 0 };
    let (good, bad): (Vec<&Run>, Vec<&Run>) =
        survey.runs.iter().partition(|run| run.still == Still::Data);
    let (first, others): (Vec<&Run>, Vec<&Run>) = good.into_iter().partition(|run| canonical(run));
    for run in first.into_iter().chain(others) {
        claims.claim(run.clone())?;
    }
    let repeated = claims.repeated;
    for run in bad.into_iter().chain(&survey.broken) {
        claims.claim(run.clone())?;
    }
    let mut order = Order {
        layer: rules.layer,
        runs: Vec::new(),
        lost: Vec::new(),
        moved: 0,
        repeated,
        conflicts: Vec::new(),
        plain: 0,
        is_ended: false,
    };
    let chosen = claims.chosen.into_values();
    order.fill(chosen, rules, &survey.damage);
    order.end(survey, rules, total);
    order.count_moved();
    let holes =
        order.runs.iter().filter(|run| !run.is_there()).map(Run::len).fold(0, u64::saturating_add);
    match holes > MAX_HOLES {
        true => {
            let kind = ErrorKind::Limit { what: "frames missing in a row", limit: MAX_HOLES };
            Err(Error::new(kind))
        }
        false => Ok(order),
    }
}

impl Order {
    fn fill(&mut self, chosen: impl Iterator<Item = Run>, rules: Rules, damage: &[Damage]) {
        for run in chosen {
            let (frames, plain) = (self.frames()..run.frames.start, self.plain..run.plain.start);
            let follows = frames.is_empty() && plain.start == plain.end;
            let fits = plain.start <= plain.end
                && rules.fits(frames.end - frames.start, plain.end - plain.start);
            if self.is_ended || !(follows || fits) {
                self.conflicts.push(Conflict::Place { at: run.source.start });
                continue;
            }
            if !follows {
                let before = self.runs.last().map(|run| run.source.end);
                let (stored, cause) = why(damage, before, Some(run.source.start));
                self.lose(Run::lost(frames, plain, false), stored, cause);
            }
            let (stored, is_final) = (Some(run.source.clone()), run.is_final);
            match run.still {
                Still::Data => self.push(run),
                Still::Holes => self.lose(run, stored, Cause::Missing),
                _ => {
                    let place = run.source.clone();
                    let (stored, cause) = why(damage, Some(place.start), Some(place.end));
                    self.lose(run, stored, cause);
                }
            }
            self.is_ended = is_final;
        }
    }

    /// What is missing behind the last known frame, if anybody says how much that is.
    fn end(&mut self, survey: &Survey, rules: Rules, total: Option<u64>) {
        let known = match self.is_ended {
            true => Some(self.plain),
            false => survey.totals.iter().copied().chain(total).find(|end| *end >= self.plain),
        };
        for &stated in &survey.totals {
            if known.is_some_and(|known| known != stated) || known.is_none() {
                self.conflicts
                    .push(Conflict::PlainLength { stated, found: known.unwrap_or(self.plain) });
            }
        }
        if self.is_ended {
            return;
        }
        let (stored, cause) = why(&survey.damage, self.runs.last().map(|run| run.source.end), None);
        let known = known.filter(|&end| end > self.plain || self.runs.is_empty() && end == 0);
        let Some(end) = known else {
            let mut gap = Gap::new(rules.layer, self.plain, None, Cause::Truncated);
            gap.stored = stored;
            self.lost.push(gap);
            return;
        };
        let (first, missing) = (self.frames(), end - self.plain);
        let stated = survey.frames.and_then(|frames| frames.checked_sub(first));
        let least = missing.div_ceil(rules.unit.into()).max(1);
        let count =
            stated.filter(|&count| count > 0 && rules.fits(count, missing)).unwrap_or(least);
        let frames = first..first.saturating_add(count);
        self.lose(Run::lost(frames, self.plain..end, true), stored, cause);
        self.is_ended = true;
    }

    fn lose(&mut self, run: Run, stored: Option<Range<u64>>, cause: Cause) {
        let len = run.plain.end - run.plain.start;
        match self.lost.last_mut() {
            Some(last)
                if last.cause == cause
                    && last.len.is_some_and(|len| last.at + len == run.plain.start)
                    && (stored.is_none() || last.stored == stored) =>
            {
                last.len = last.len.map(|before| before + len);
            }
            _ => {
                let mut gap = Gap::new(self.layer, run.plain.start, Some(len), cause);
                gap.stored = stored;
                self.lost.push(gap);
            }
        }
        self.push(run);
    }

    fn push(&mut self, run: Run) {
        self.plain = run.plain.end;
        if !self.runs.last_mut().is_some_and(|last| last.extend(&run)) {
            self.runs.push(run);
        }
    }

    /// Counts the frames that do not stand behind all that come before them.
    fn count_moved(&mut self) {
        let mut behind = 0;
        for run in self.runs.iter().filter(|run| run.is_there()) {
            match run.source.start < behind {
                true => self.moved += run.len(),
                false => behind = run.source.end,
            }
        }
    }
}

/// The stored bytes that are damaged between two places of the source, and the cause.
fn why(damage: &[Damage], from: Option<u64>, to: Option<u64>) -> (Option<Range<u64>>, Cause) {
    let (from, to) = (from.unwrap_or(0), to.unwrap_or(u64::MAX));
    let first = damage.partition_point(|damage| damage.stored.end <= from);
    match damage.get(first) {
        Some(damage) if damage.stored.start < to => {
            (Some(damage.stored.clone()), damage.cause.clone())
        }
        _ => (None, Cause::Missing),
    }
}

/// Which run gives each frame.
struct Claims<'a, R> {
    source: &'a R,
    rules: Rules,
    /// By first frame; they do not overlap.
    chosen: BTreeMap<u64, Run>,
    repeated: u64,
}

impl<R: ReadAt> Claims<'_, R> {
    /// Takes those frames of `run` that no other has given yet.
    fn claim(&mut self, run: Run) -> io::Result<()> {
        let mut rest = Some(run);
        while let Some(run) = rest.take() {
            let start = run.frames.start;
            let before = self.chosen.range(..=start).next_back();
            if let Some(known) = before.map(|(_, b)| b.frames.end).filter(|&end| end > start) {
                let end = known.min(run.frames.end);
                self.repeated += end - start;
                rest = self.rules.cut(self.source, run, end)?.1;
                continue;
            }
            let next = self.chosen.range(start..).next().map_or(u64::MAX, |(&next, _)| next);
            let (run, behind) = self.rules.cut(self.source, run, next)?;
            self.chosen.insert(start, run);
            rest = behind;
        }
        Ok(())
    }
}

/// The most data frames that are replaced by holes: 512 GiB of an encrypted pack.
const MAX_HOLES: u64 = 1 << 22;
