//! What is told of parity, to people and to programs.

use carstone::layer::read_full;
use carstone::parity::Survey;
use carstone::raw::Container;
use serde_json::{Map, Value, json};

use super::{Held, State};
use crate::losses::object;
use crate::names::{self, counted, human};
use std::os::unix::ffi::OsStrExt;

impl Held {
    /// What programs are told. `is_other`: the file is sound, and something else was protected.
    pub(crate) fn fields(&self, state: &State, is_other: bool) -> Map<String, Value> {
        let layout = self.parity.descriptor().layout();
        let (lost, frames) = self.parity.lost_frames();
        let word = match state {
            State::Sound => "sound",
            _ if is_other => "other",
            State::Damaged(_) => "damaged",
            State::Foreign(_) => "foreign",
        };
        let mut fields = object(json!({
            "state": word,
            "in_pack": self.spot.path().is_none(),
            "protected": layout.stream_len(),
            "share": f64::from(layout.share().hundredths()) / 100.0,
            "bytes": layout.parity_len(),
            "frames": frames,
            "lost_frames": lost,
            "corrected_frames": self.parity.corrected_frames(),
        }));
        if let Some(path) = self.spot.path() {
            names::put(&mut fields, "file", path.as_os_str().as_bytes());
        }
        if let State::Damaged(survey) = state {
            let counts = survey.counts();
            fields.extend(object(json!({
                "can_heal": survey.can_heal(),
                "healable": healable(self, survey).word(),
                "assumed_cells": counts.assumed,
                "cells": layout.cells(),
                "cell_bytes": layout.cell_len(),
                "lost_cells": counts.missing,
                "corrected_cells": counts.corrected,
                "bits": counts.bits,
                "moved_cells": counts.moved,
                "over": survey.over_budget(),
                "used": survey.used(),
                "left": survey.left(),
            })));
        }
        fields
    }

    /// What is wrong with the file, a line each.
    pub(crate) fn damage(&self, survey: &Survey) -> Vec<String> {
        let (counts, layout) = (survey.counts(), self.parity.descriptor().layout());
        let cell = u64::from(layout.cell_len());
        let mut lines = Vec::new();
        if counts.missing > 0 {
            lines.push(format!("{} of {cell} bytes lost", counted(counts.missing, "cell")));
        }
        if counts.corrected > 0 {
            let (bits, cells) =
                (counted(counts.bits, "flipped bit"), counted(counts.corrected, "cell"));
            lines.push(format!("{bits} in {cells}"));
        }
        if counts.moved > 0 {
            let bytes = human(counts.moved.saturating_mul(cell).min(layout.stream_len()));
            lines.push(format!("{bytes} out of place"));
        }
        lines
    }

    /// What is wrong with the parity itself.
    pub(crate) fn own_damage(&self) -> Option<String> {
        let (lost, frames) = self.parity.lost_frames();
        let called = self.spot.called();
        match (lost, self.parity.corrected_frames()) {
            (0, 0) => None,
            (0, n) => Some(format!("{called} has flipped bits in {}", counted(n, "frame"))),
            (lost, _) => Some(format!("{lost} of the {frames} frames of {called} are lost")),
        }
    }
}

/// Whether parity restores what is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Healable {
    Surely,
    /// It does if these cells are what was protected; the part of the table that would tell is lost.
    Probably(u64),
    /// It does if it is of this pack: the header of that is sound, and where it stands something else was protected.
    IfOwn,
    No,
}

/// As far as can be told without doing it.
pub(crate) fn healable(held: &Held, survey: &Survey) -> Healable {
    match (survey.can_heal(), survey.can_surely_heal()) {
        (false, _) => Healable::No,
        (true, true) if has_other_front(held, survey) => Healable::IfOwn,
        (true, true) => Healable::Surely,
        (true, false) => Healable::Probably(survey.counts().assumed),
    }
}

/// Whether a pack has a sound header where other bytes were protected by parity in a file of its own.
fn has_other_front(held: &Held, survey: &Survey) -> bool {
    let mut front = [0; Container::LEN];
    let is_read = read_full(&held.stream, &mut front, 0).is_ok_and(|read| read == front.len());
    let is_sound = is_read && Container::decode(&front).is_ok();
    held.spot.path().is_some() && is_sound && !survey.is_in_place(0..Container::LEN as u64)
}

impl Healable {
    /// For programs.
    fn word(self) -> &'static str {
        match self {
            Self::Surely => "yes",
            Self::Probably(_) | Self::IfOwn => "probably",
            Self::No => "no",
        }
    }

    /// The word before *be healed*.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Surely => "can",
            Self::Probably(_) => "can probably",
            Self::IfOwn => "can, if that is the parity of this pack and not of one before it,",
            Self::No => "cannot",
        }
    }
}

/// How much of what can be restored that takes.
pub(crate) fn used_text(healable: Healable, survey: &Survey) -> String {
    let left = counted(u64::from(survey.left()), "cell");
    let used = survey.used() * 100.0;
    if let Healable::Probably(cells) = healable {
        let cells = counted(cells, "cell");
        return format!(
            "{cells} are not told by the table, of which a part is lost; {used:.1} % of the budget is used at least"
        );
    }
    format!("{used:.1} % of the budget is used; {left} more may be lost in any place")
}

/// A part of a whole, in percent.
pub(crate) fn percent(part: u64, whole: u64) -> f64 {
    part as f64 * 100.0 / whole.max(1) as f64
}
