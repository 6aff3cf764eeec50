//! What is left of a protected stream, and whether that is enough.

use carstone_layer::ReadAt;

use crate::find::{Counts, Found, State, find};
use crate::{Error, ErrorKind, Layout, Parity};

/// What is left of a protected stream.
#[derive(Debug)]
pub struct Survey {
    pub(crate) found: Found,
    pub(crate) zones: Vec<Zone>,
    layout: Layout,
    source_len: u64,
}

/// Cells that a zone lacks, and what is left to restore them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Zone {
    pub(crate) lost: u32,
    pub(crate) assumed: u32,
    pub(crate) left: u32,
}

impl Survey {
    /// Looks for the cells of the stream in `source`, wherever they lie, and corrects those of which a few bits flipped.
    ///
    /// Reads the source once or twice on `threads` threads, in time that is linear in its length. `progress` is told how many bytes
    /// were done since the last time.
    ///
    /// # Errors
    /// [`ErrorKind::Io`]; [`ErrorKind::Foreign`] where too little is found for this to be the stream that was protected.
    pub fn of<S, P>(
        source: &S,
        parity: &Parity<P>,
        threads: usize,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Self, Error>
    where
        S: ReadAt + Sync + ?Sized,
        P: ReadAt + Sync,
    {
        let layout = parity.descriptor().layout().clone();
        let source_len = source.size()?;
        let entries = parity.entries()?;
        let found = find(source, &layout, &entries, threads, progress)?;
        let mut zones: Vec<Zone> = (0..layout.zones())
            .map(|zone| Zone { lost: 0, assumed: 0, left: parity.recovery_left(zone) })
            .collect();
        for cell in 0..layout.cells() {
            let zone = || layout.zone_of(cell).0 as usize;
            match found.state(cell) {
                State::Missing => zones[zone()].lost += 1,
                State::Assumed(_) => zones[zone()].assumed += 1,
                State::At(_) | State::Corrected(_) => {}
            }
        }
        let survey = Self { found, zones, layout, source_len };
        let counts = survey.counts();
        let lacking = counts.missing + counts.assumed;
        let may_lack = survey.layout.may_lack() + survey.unknown_allowance(&counts);
        if lacking > may_lack {
            let found = survey.layout.cells() - lacking;
            let wanted = survey.layout.cells() - may_lack;
            return Err(Error::new(ErrorKind::Foreign { found, wanted }, 0));
        }
        Ok(survey)
    }

    /// How many cells are in which state.
    pub fn counts(&self) -> Counts {
        self.found.counts()
    }

    /// Whether the stream is there as it was: as long, with all cells in their places.
    ///
    /// Cells are told by their CRC-64 here; the hashes are for healing.
    pub fn is_sound(&self) -> bool {
        let counts = self.counts();
        counts.in_place == self.layout.cells() && self.source_len == self.layout.stream_len()
    }

    /// Whether each zone has recovery cells for what it lacks.
    pub fn can_heal(&self) -> bool {
        self.zones.iter().all(|zone| zone.lost <= zone.left)
    }

    /// Cells that are lost and for which their zone has no recovery cells.
    pub fn over_budget(&self) -> u64 {
        let over = self.zones.iter().filter(|zone| zone.lost > zone.left);
        over.map(|zone| u64::from(zone.lost)).sum()
    }

    /// How much of the budget is used where it is scarcest, from 0 to 1, and above where it is not enough.
    ///
    /// The budget of a zone is the recovery cells that it was made with. Those that are lost count as used.
    pub fn used(&self) -> f64 {
        let all = f64::from(self.layout.recovery().max(1));
        let used = |zone: &Zone| f64::from(zone.lost + (self.layout.recovery() - zone.left)) / all;
        self.zones.iter().map(used).fold(0.0, f64::max)
    }

    /// More cells that the scarcest zone could lose.
    pub fn left(&self) -> u32 {
        self.zones.iter().map(|zone| zone.left.saturating_sub(zone.lost)).min().unwrap_or(0)
    }

    /// The found state of the cells, for healing.
    pub(crate) fn found(&self) -> &Found {
        &self.found
    }

    /// Cells whose entries are lost cannot tell another stream from this one.
    fn unknown_allowance(&self, counts: &Counts) -> u64 {
        counts.unknown.min(self.layout.cells() / 2)
    }
}
