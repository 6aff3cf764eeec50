//! Mending a damaged pack without a key: frames are put right, put in order, and what follows from others is made again.

mod order;
mod patches;
mod plan;
mod report;
mod rules;
mod runs;
mod survey;
mod view;

use std::ops::Range;
use std::sync::Mutex;

use carstone_encrypt::LayerHeader;
use carstone_layer::{Correction, Kind, LayerId, ReadAt, read_full};
use carstone_raw::{Container, Edges};

use super::error::{Error, ErrorKind};
use super::front::own_range;
use super::open::OpenOptions;
use order::{Order, order};
use patches::{Flips, Patched};
use plan::{Bytes, Plan};
pub use report::{Conflict, Damage, HealReport, Part, Rebuilt};
use rules::Rules;
use runs::Run;
use survey::{Survey, survey};
pub use view::Healed;

/// Mends the pack that fills `source`, or the range in the options, as far as that can be done without a key.
///
/// The source is read once, from front to back. `progress` hears how far. Where nothing is lost, the result is the pack as it was, byte for
/// byte; else good frames stay as they are, holes stand for the others, and the [report](Healed::report) says what is missing. A pack whose end
/// is missing, and unknown, ends behind its last known frame without any that is the last, so that readers still find it cut.
///
/// # Errors
/// [`ErrorKind::ContainerLost`] where nothing tells what the pack is made of, [`ErrorKind::LayerHeaderLost`] where no copy of the key envelope is
/// left, [`ErrorKind::Limit`] for more damage than is kept track of; a newer version or another layer; whatever the source gives.
pub fn heal<R: ReadAt>(
    source: R,
    options: &OpenOptions,
    progress: &mut dyn FnMut(u64),
) -> Result<Healed<R>, Error> {
    let size = source.size()?;
    let range = options.range.clone().map_or_else(|| own_range(&source, size), Ok)?;
    let range = range.start.min(size)..range.end.min(size).max(range.start.min(size));
    let edges = Edges::find(&source, range.clone())?;
    let lost = || Error::new(ErrorKind::ContainerLost);
    let container = edges.container().cloned().ok_or_else(lost)?;
    let mut job = Job { range, edges, container, report: HealReport::default() };
    job.tell_edges();
    match job.container.layers.slots().first() {
        Some(slot) if slot.id == LayerId::POSITION => job.bare(source),
        Some(slot) if matches!(slot.id, LayerId::ENCRYPTION | LayerId::COMPRESSION) => {
            let rules = Rules { layer: slot.id, unit: slot.unit };
            job.framed(source, rules, progress)
        }
        Some(slot) => Err(Error::new(ErrorKind::UnknownLayer(slot.id))),
        None => Err(lost()),
    }
}

/// One pack.
struct Job {
    range: Range<u64>,
    edges: Edges,
    container: Container,
    report: HealReport,
}

impl Job {
    fn framed<R: ReadAt>(
        mut self,
        source: R,
        rules: Rules,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Healed<R>, Error> {
        let (behind, is_sound) = self.edges.behind(&source)?;
        // Frames may have been moved behind the trailer, but not into appendices.
        let end = if is_sound { behind.start } else { self.range.end };
        let mut flips = Flips::default();
        // A header whose last bytes are cut off may have been put right.
        let frames = self.first_framed().min(end)..end;
        let pack = self.container.pack_id;
        let mut found = survey(&source, frames, rules, pack, &mut flips, progress)?;
        let layer_header = self.layer_header(&mut found);
        let source = Patched { source, flips };
        let total = match (&layer_header, self.edges.trailer()) {
            (None, _) if rules.is_encrypted() => {
                return Err(Error::new(ErrorKind::LayerHeaderLost));
            }
            // With holes in it the length says nothing.
            (Some(header), Some(trailer)) if !found.has_holes => {
                let outside = (Container::LEN + Container::TRAILER_LEN) as u64;
                let framed = trailer.stored_len.checked_sub(outside);
                framed.and_then(|len| header.plain_len_of(len, Container::LEN))
            }
            _ => None,
        };
        let base = self.range.start + Container::LEN as u64;
        let is_in_place = |run: &Run| match &layer_header {
            Some(header) => {
                let place = header.place_of(run.frames.start, Container::LEN);
                base.checked_add(place) == Some(run.source.start)
            }
            // Whatever came first.
            None => true,
        };
        let mut order = order(&source, &found, rules, is_in_place, total)?;

        let mut plan = Plan::default();
        plan.header();
        match &layer_header {
            Some(header) => plan.encrypted(&source, rules, &order, header)?,
            None => plan.compressed(&source, rules, &order, pack)?,
        }
        self.take(&mut found, &mut order);
        let frames = order.frames();
        self.finish(source, plan, Some(rules), layer_header, frames, Some(&found))
    }

    /// The layer header to go by. After a change of recipients there are two of one pack id, and nothing tells which is the newer one: the one that fits the length of
    /// the pack is kept, or else the first; where there is another it is told, so that no reader comes back in silence.
    fn layer_header(&mut self, found: &mut Survey) -> Option<LayerHeader> {
        let outside = (Container::LEN + Container::TRAILER_LEN) as u64;
        let trailer = self.edges.trailer().filter(|_| !found.has_holes);
        let framed = trailer.and_then(|trailer| trailer.stored_len.checked_sub(outside));
        let fits = |header: &LayerHeader| {
            let plain = framed.and_then(|len| header.plain_len_of(len, Container::LEN));
            plain.is_some_and(|plain| found.totals.contains(&plain))
        };
        let index = found.layer_headers.iter().position(|(header, _)| fits(header)).unwrap_or(0);
        let mut headers = std::mem::take(&mut found.layer_headers);
        let (header, kept) = match index < headers.len() {
            true => headers.swap_remove(index),
            false => return None,
        };
        if let Some((_, other)) = headers.iter().min_by_key(|(_, at)| *at) {
            self.report.conflicts.push(Conflict::LayerHeaders { kept, other: *other });
        }
        Some(header)
    }

    /// A pack without frames: what stands between header and trailer is kept.
    fn bare<R: ReadAt>(mut self, source: R) -> Result<Healed<R>, Error> {
        self.report.conflicts.push(Conflict::NoFrames);
        let end = self.edges.trailer().map_or(self.range.end, |trailer| trailer.range.start);
        let start = match self.edges.header() {
            Some(_) => self.first_framed(),
            // The trailer knows where the pack begins.
            None => {
                let stated = self.edges.trailer().and_then(|trailer| {
                    let begin = trailer.range.end + Container::LEN as u64;
                    begin.checked_sub(trailer.stored_len)
                });
                stated.unwrap_or_default().max(self.range.start)
            }
        };
        let mut plan = Plan::default();
        plan.header();
        plan.keep(start.min(end)..end);
        let source = Patched { source, flips: Flips::default() };
        self.finish(source, plan, None, None, 0, None)
    }

    /// The first byte that may be one of a frame.
    fn first_framed(&self) -> u64 {
        match self.edges.header() {
            Some(_) => self.range.start + Container::LEN as u64,
            None => self.range.start,
        }
    }

    /// What was put right in header and trailer, and whether they agree.
    fn tell_edges(&mut self) {
        let corrections = &mut self.report.corrections;
        if let Some((_, Some(found))) = self.edges.header() {
            let at = self.range.start + found.at;
            corrections.push(Correction::new(LayerId::RAW, at, found.bits));
        }
        if let Some(trailer) = self.edges.trailer()
            && let Some(found) = trailer.correction
        {
            let at = trailer.range.start + found.at;
            corrections.push(Correction::new(LayerId::RAW, at, found.bits));
        }
        if self.edges.disagree() {
            self.report.conflicts.push(Conflict::Edges);
        }
    }

    /// Takes over what scan and order have to tell.
    fn take(&mut self, found: &mut Survey, order: &mut Order) {
        let report = &mut self.report;
        report.corrections.append(&mut found.corrections);
        report.corrections.sort_by_key(|correction| correction.at);
        report.lost.append(&mut order.lost);
        report.conflicts.append(&mut order.conflicts);
        (report.moved, report.repeated) = (order.moved, order.repeated);
        if found.misfits > 0 {
            report.conflicts.push(Conflict::Misfits { frames: found.misfits });
        }
        let trailer = self.edges.trailer().map(|trailer| trailer.range);
        for damage in found.damage.drain(..) {
            report.damage.extend(without(damage, trailer.as_ref()));
        }
    }

    fn finish<R: ReadAt>(
        mut self,
        source: Patched<R>,
        mut plan: Plan,
        rules: Option<Rules>,
        layer_header: Option<LayerHeader>,
        frames: u64,
        found: Option<&Survey>,
    ) -> Result<Healed<R>, Error> {
        let stored_len = plan.len() + Container::TRAILER_LEN as u64;
        plan.push(Container::TRAILER_LEN as u64, Bytes::Made(Part::Trailer, stored_len));
        if let Some(trailer) = self.edges.trailer()
            && trailer.stored_len != stored_len
            && self.report.lost.is_empty()
        {
            let conflict = Conflict::StoredLength { stated: trailer.stored_len, found: stored_len };
            self.report.conflicts.push(conflict);
        }
        self.appendices(&source, &mut plan)?;
        let mut healed = Healed {
            source,
            range: self.range.clone(),
            container: self.container,
            layer_header,
            rules,
            frames,
            plan,
            report: self.report,
            made: Mutex::new(None),
            reached: Mutex::new(None),
        };
        let has = |part| match part {
            Part::Header => self.edges.header().is_some(),
            Part::Trailer => self.edges.trailer().is_some(),
            Part::LayerHeader(n) => found.is_some_and(|found| found.has(Kind::LAYER_HEADER, n)),
            Part::Anchor(n) => found.is_some_and(|found| found.has(Kind::ANCHOR, n)),
            Part::Footer(n) => found.is_some_and(|found| found.has(Kind::FOOTER, n)),
        };
        healed.compare(&self.range, has)?;
        Ok(healed)
    }

    /// What follows the trailer is kept, unless it cannot be an appendix.
    fn appendices<R: ReadAt>(&mut self, source: &Patched<R>, plan: &mut Plan) -> Result<(), Error> {
        let (behind, is_sound) = self.edges.behind(source)?;
        if is_sound {
            plan.keep(behind);
        } else if self.edges.trailer().is_some() && has_appendix(source, &behind)? {
            self.report.conflicts.push(Conflict::Appendices { stored: behind.clone() });
            plan.keep(behind);
        }
        Ok(())
    }
}

impl<R: ReadAt> Healed<R> {
    /// Finds out which parts had to be made again, and whether anything had to be done at all.
    fn compare(&mut self, range: &Range<u64>, has: impl Fn(Part) -> bool) -> Result<(), Error> {
        let report = &self.report;
        let mut same = self.len() == range.end - range.start
            && report.corrections.is_empty()
            && report.damage.is_empty();
        let mut rebuilt = Vec::new();
        for piece in &self.plan.pieces {
            let there = range.start + piece.stored.start;
            match piece.bytes {
                Bytes::Kept { at, .. } => same &= at == there,
                Bytes::Holes(_) => same = false,
                Bytes::Made(part, _) => {
                    let is_there = has(part) && (!same || self.stands_at(there, &piece.stored)?);
                    same &= is_there;
                    if !is_there {
                        rebuilt.push(Rebuilt { part, stored: piece.stored.clone() });
                    }
                }
            }
        }
        self.report.rebuilt = rebuilt;
        self.report.is_unchanged = same;
        Ok(())
    }

    /// Whether the bytes `stored` of the result stand at `at` in the source.
    fn stands_at(&self, at: u64, stored: &Range<u64>) -> Result<bool, Error> {
        let len = usize::try_from(stored.end - stored.start).unwrap_or_default();
        let (mut made, mut there) = (vec![0; len], vec![0; len]);
        self.read_exact_at(&mut made, stored.start)?;
        let n = read_full(&self.source, &mut there, at)?;
        Ok(n == len && made == there)
    }
}

/// The damage outside of the trailer, which is no frame.
fn without(damage: Damage, trailer: Option<&Range<u64>>) -> impl Iterator<Item = Damage> {
    let Damage { stored, cause } = damage;
    let trailer = trailer.cloned().unwrap_or(stored.end..stored.end);
    let before = stored.start..stored.end.min(trailer.start);
    let behind = stored.start.max(trailer.end)..stored.end;
    let parts = [before, behind].into_iter().filter(|part| part.start < part.end);
    parts.map(move |stored| Damage { stored, cause: cause.clone() })
}

/// Whether the mark of an appendix stands anywhere in `range`.
fn has_appendix<R: ReadAt>(source: &R, range: &Range<u64>) -> Result<bool, Error> {
    const MARKS: [[u8; 8]; 2] = [*b"\x89CSTa\r\n\x1a", *b"\x1a\n\raTSC\x89"];
    let mut buf = vec![0; SEARCH];
    let mut at = range.start;
    loop {
        let room = usize::try_from(range.end - at).unwrap_or(usize::MAX).min(SEARCH);
        let n = read_full(source, &mut buf[..room], at)?;
        if buf[..n].windows(8).any(|window| MARKS.iter().any(|mark| window == mark)) {
            return Ok(true);
        }
        if n < SEARCH {
            return Ok(false);
        }
        // A mark may lie across two reads.
        at += (n - 7) as u64;
    }
}

const SEARCH: usize = 64 << 10;
