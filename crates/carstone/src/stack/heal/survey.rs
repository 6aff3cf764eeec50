//! What stands in a damaged pack, and where: one pass from front to back.

use std::ops::Range;

use carstone_compress::Footer;
use carstone_encrypt::LayerHeader;
use carstone_layer::{
    Cause, Correction, Frame, FrameHeader, FrameScan, Kind, PackId, PlainSource, ReadAt, Report,
    Scanned,
};

use super::patches::Flips;
use super::report::Damage;
use super::rules::Rules;
use super::runs::Run;
use crate::stack::error::{Error, ErrorKind};
use crate::stack::forward::Forward;

/// What the scan found. Grows with the damage, and by little with the frames.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// In the order of the source.
    pub(super) runs: Vec<Run>,
    /// Headers of data frames whose payload is lost.
    pub(super) broken: Vec<Run>,
    pub(super) damage: Vec<Damage>,
    pub(super) corrections: Vec<Correction>,
    /// Each once, with the offset of the first frame that holds it.
    pub(super) layer_headers: Vec<(LayerHeader, u64)>,
    /// Lengths of the plain stream that frames state, each once.
    pub(super) totals: Vec<u64>,
    /// The number of data frames that the footer states.
    pub(super) frames: Option<u64>,
    /// Which frames that follow from others were there: kind and sequences.
    pub(super) derived: Vec<(Kind, Range<u64>)>,
    pub(super) has_holes: bool,
    /// Frames that can have no place.
    pub(super) misfits: u64,
}

/// Looks through `range` of `source`. What can be put right goes into `flips`.
pub(super) fn survey<R: ReadAt>(
    source: &R,
    range: Range<u64>,
    rules: Rules,
    pack: PackId,
    flips: &mut Flips,
    progress: &mut dyn FnMut(u64),
) -> Result<Survey, Error> {
    let mut survey = Survey::default();
    let mut report = Report::default();
    let forward = Forward { source, at: range.start, end: range.end };
    let plain = PlainSource::new(forward);
    let mut scan = FrameScan::new(plain, rules.layer, Some(pack), rules.limits());
    let begin = range.start;
    while let Some(found) = scan.next()? {
        scan.drain_report(&mut report);
        match found {
            Scanned::Frame(Frame { header, payload, at, .. }) => {
                let place = begin + at..begin.saturating_add(at).saturating_add(header.frame_len());
                progress(place.end);
                // Corrections may be told before the frame is.
                let mine = |c: &mut Correction| (at..at + header.frame_len()).contains(&c.at);
                let made: Vec<_> = report.corrections.extract_if(.., mine).collect();
                if !made.is_empty() {
                    flips.put(source, place.start, &[&header.encode(), &payload])?;
                    survey.corrections.extend(
                        made.into_iter().map(|c| Correction::new(c.layer, begin + c.at, c.bits)),
                    );
                    survey.check_limits(flips.len())?;
                }
                survey.take(&header, &payload, place, rules)?;
                scan.recycle(payload);
            }
            Scanned::Lost { stored, cause, broken, .. } => {
                let place = begin + stored.start..begin + stored.end;
                progress(place.end);
                survey.lose(place, cause, broken.as_ref(), rules)?;
            }
            _ => {}
        }
    }
    Ok(survey)
}

impl Survey {
    fn take(
        &mut self,
        header: &FrameHeader,
        payload: &[u8],
        place: Range<u64>,
        rules: Rules,
    ) -> Result<(), Error> {
        match header.kind {
            Kind::DATA | Kind::HOLE if rules.is_regular(header) => {
                self.has_holes |= header.kind == Kind::HOLE;
                let run = Run::of_frame(header, place, true);
                if !self.runs.last_mut().is_some_and(|last| last.extend(&run)) {
                    self.runs.push(run);
                    self.check_limits(0)?;
                }
            }
            Kind::LAYER_HEADER | Kind::ANCHOR if rules.is_encrypted() => {
                match LayerHeader::in_frame(header, payload) {
                    Some(found) => {
                        self.layer_header(found, place.start);
                        self.derive(header);
                        if header.kind == Kind::LAYER_HEADER && header.sequence > 0 {
                            self.total(header.plain_offset);
                        }
                    }
                    None => self.misfits += 1,
                }
            }
            Kind::ANCHOR => self.derive(header),
            Kind::FOOTER if !rules.is_encrypted() => {
                self.derive(header);
                self.total(header.plain_offset);
                self.frames = self.frames.or(Footer::frames_in(header, payload));
            }
            // Others stand behind a data frame, and stay there.
            kind if kind.is_ancillary() && !rules.is_encrypted() => match self.runs.last_mut() {
                Some(run)
                    if run.source.end == place.start && run.plain.end == header.plain_offset =>
                {
                    (run.source.end, run.last_len) = (place.end, 0);
                }
                _ => self.misfits += 1,
            },
            _ => self.misfits += 1,
        }
        Ok(())
    }

    fn lose(
        &mut self,
        place: Range<u64>,
        cause: Cause,
        broken: Option<&Frame>,
        rules: Rules,
    ) -> Result<(), Error> {
        if let Some(Frame { header, .. }) = broken {
            match header.kind {
                Kind::DATA if rules.is_regular(header) => {
                    self.broken.push(Run::of_frame(header, place.clone(), false));
                }
                Kind::LAYER_HEADER if rules.is_encrypted() && header.sequence > 0 => {
                    self.total(header.plain_offset);
                }
                Kind::FOOTER if !rules.is_encrypted() => self.total(header.plain_offset),
                _ => {}
            }
        }
        match self.damage.last_mut() {
            Some(last) if last.stored.end == place.start && last.cause == cause => {
                last.stored.end = place.end;
            }
            _ => self.damage.push(Damage { stored: place, cause }),
        }
        self.check_limits(0)
    }

    fn layer_header(&mut self, found: LayerHeader, at: u64) {
        let is_known = self.layer_headers.iter().any(|(known, _)| *known == found);
        if !is_known && self.layer_headers.len() < MAX_HEADERS {
            self.layer_headers.push((found, at));
        }
    }

    fn derive(&mut self, header: &FrameHeader) {
        let (kind, sequence) = (header.kind, header.sequence);
        match self.derived.last_mut() {
            Some((last, range)) if *last == kind && range.end == sequence => range.end += 1,
            _ => self.derived.push((kind, sequence..sequence.saturating_add(1))),
        }
    }

    fn total(&mut self, plain: u64) {
        if !self.totals.contains(&plain) && self.totals.len() < MAX_TOTALS {
            self.totals.push(plain);
        }
    }

    /// Whether a frame that follows from others was there.
    pub(super) fn has(&self, kind: Kind, sequence: u64) -> bool {
        self.derived.iter().any(|(k, range)| *k == kind && range.contains(&sequence))
    }

    fn check_limits(&self, flips: usize) -> Result<(), Error> {
        let pieces = self.runs.len() + self.broken.len() + self.damage.len() + self.derived.len();
        for (what, count) in [("pieces of a damaged pack", pieces), ("corrected bytes", flips)] {
            if count > MAX_PIECES {
                let limit = MAX_PIECES as u64;
                return Err(Error::new(ErrorKind::Limit { what, limit }));
            }
        }
        Ok(())
    }
}

/// Damage in more pieces than this is not kept track of: some 100 MB.
const MAX_PIECES: usize = 1 << 20;
const MAX_TOTALS: usize = 16;
/// Layer headers that differ, each of which may have a megabyte. Two tell that there is a choice.
const MAX_HEADERS: usize = 4;
