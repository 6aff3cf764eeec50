//! What is told of a plain CAR.

use std::sync::atomic::Ordering;

use carstone::car;

use super::{PlainCar, chain};
use crate::names;
use crate::output::Output;

impl PlainCar {
    /// Tells [`faults`](Self::faults) as problems of the file `name`.
    pub(crate) fn tell_faults(&self, name: &str, output: &mut Output) -> anyhow::Result<()> {
        self.note_roots(name, output);
        self.faults().try_for_each(|fault| output.problem(name.as_bytes(), &chain(fault)))?;
        if let Some(error) = &self.headless {
            output.problem(name.as_bytes(), &without_roots(error))?;
        }
        if let Some(searched) = &self.searched {
            let mut told = searched.told(self.payload_start());
            told.try_for_each(|gap| output.problem_with(name.as_bytes(), &gap.what, gap.fields()))?;
        }
        match self.incomplete.load(Ordering::Relaxed) {
            true => output.problem(name.as_bytes(), &"its index does not have all of its blocks"),
            false => Ok(()),
        }
    }

    /// Says which blocks stand for roots that the header does not name.
    pub(crate) fn note_roots(&self, name: &str, output: &mut Output) {
        let name = names::escaped(name.as_bytes());
        match (&self.roots[..], self.implied) {
            (_, false) => {}
            ([root], true) => output.note(&format!(
                "{name}: the header names no root; {root}, to which no block links, stands for it"
            )),
            (roots, true) => output.note(&format!(
                "{name}: the header names no root; {} blocks to which no other links stand for them",
                roots.len()
            )),
        }
    }
}

/// What is told of a CAR whose header is damaged in this way.
pub(crate) fn without_roots(error: &car::Error) -> String {
    format!(
        "{}: the roots are unknown, and blocks that no other links to stand for them",
        chain(error)
    )
}
