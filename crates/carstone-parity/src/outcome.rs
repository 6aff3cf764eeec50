//! What became of each zone, told by those who restore it to who waits for it.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, PoisonError};

use crate::workers::lock;

/// What became of a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It has not been looked at.
    Open,
    /// Its lost cells are not restored, or it has none.
    Left,
    /// Its missing cells are restored, those that are wrong as well, and the assumed ones if `assumed`.
    Restored { assumed: bool },
}

/// The outcomes of all zones.
pub(crate) struct Outcomes {
    zones: Mutex<Vec<Outcome>>,
    told: Condvar,
    /// Cells that were assumed to be right, and are wrong.
    wrong: Mutex<BTreeSet<u64>>,
}

impl Outcomes {
    /// All open.
    pub(crate) fn of(zones: usize) -> Self {
        let zones = Mutex::new(vec![Outcome::Open; zones]);
        Self { zones, told: Condvar::new(), wrong: Mutex::default() }
    }

    /// Says that cells which were assumed to be right are wrong, before the outcome of their zone is told.
    pub(crate) fn lose(&self, cells: impl Iterator<Item = u64>) {
        lock(&self.wrong).extend(cells);
    }

    /// Whether an assumed cell is wrong.
    pub(crate) fn is_lost(&self, cell: u64) -> bool {
        lock(&self.wrong).contains(&cell)
    }

    /// Says what became of a zone.
    pub(crate) fn tell(&self, zone: u32, outcome: Outcome) {
        let mut zones = lock(&self.zones);
        if let Some(slot) = zones.get_mut(zone as usize) {
            *slot = outcome;
        }
        self.told.notify_all();
    }

    /// Leaves all that are open.
    pub(crate) fn end(&self) {
        let mut zones = lock(&self.zones);
        zones
            .iter_mut()
            .filter(|zone| **zone == Outcome::Open)
            .for_each(|zone| *zone = Outcome::Left);
        self.told.notify_all();
    }

    /// Waits until it is known what became of a zone.
    pub(crate) fn wait(&self, zone: u32) -> Outcome {
        let zones = lock(&self.zones);
        let is_open = |zones: &mut Vec<Outcome>| zones.get(zone as usize) == Some(&Outcome::Open);
        let zones = self.told.wait_while(zones, is_open).unwrap_or_else(PoisonError::into_inner);
        zones.get(zone as usize).copied().unwrap_or(Outcome::Left)
    }
}

/// Ends them when it is dropped, so that nobody waits for someone who is gone.
pub(crate) struct Ending<'a>(pub(crate) &'a Outcomes);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}
