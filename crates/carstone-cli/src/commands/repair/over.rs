//! What is told where more is lost than parity restores.

use std::ops::Range;

use carstone::parity::{Error, ErrorKind, Survey};
use serde_json::json;

use super::target_name;
use crate::cli::RepairArgs;
use crate::losses::object;
use crate::names::{counted, escaped, human};
use crate::output::Output;
use crate::parity::{Held, percent};

/// A file of which more is lost than its parity restores.
pub(super) struct Over<'a> {
    pub(super) name: &'a str,
    pub(super) args: &'a RepairArgs,
    pub(super) held: &'a Held,
}

impl Over<'_> {
    /// Says how far it is over the budget, and which ranges of bytes are lost. Of what is no pack, that is all.
    pub(super) fn tell(
        &self,
        survey: &Survey,
        lost: &[Range<u64>],
        is_pack: bool,
        output: &mut Output,
    ) -> anyhow::Result<()> {
        let bytes: u64 = lost.iter().map(|range| range.end - range.start).sum();
        if output.is_json() {
            return self.tell_programs(survey, lost, bytes, is_pack, output);
        }
        let (name, called) = (escaped(self.name.as_bytes()), self.held.spot.called());
        for line in self.held.damage(survey) {
            output.told(&format!("{name}: {line}"))?;
        }
        let over = counted(survey.over_budget(), "cell");
        output.told(&match survey.over_budget() {
            0 => format!("{name}: what {called} gives back is not what was protected"),
            _ => format!(
                "{name}: {:.1} % of what {called} can restore would be needed: {over} ({}) cannot be restored",
                survey.used() * 100.0,
                human(bytes)
            ),
        })?;
        if is_pack {
            return Ok(());
        }
        for range in lost.iter().take(SHOWN) {
            output.told(&format!("{name}: lost: bytes {}–{}", range.start, range.end - 1))?;
        }
        if lost.len() > SHOWN {
            output.told(&format!("{name}: lost: {} more ranges", lost.len() - SHOWN))?;
        }
        let to = target_name(self.args.output.as_deref());
        let zeros = match bytes {
            0 => "; nobody can say which bytes of it are wrong".to_owned(),
            _ => format!("; zeros stand for the {} that are lost", human(bytes)),
        };
        output.told(&match self.args.dry_run {
            true => format!("{name}: what is left and could be restored would be written{zeros}"),
            false => format!("{to}: what is left and could be restored{zeros}"),
        })
    }

    fn tell_programs(
        &self,
        survey: &Survey,
        lost: &[Range<u64>],
        bytes: u64,
        is_pack: bool,
        output: &mut Output,
    ) -> anyhow::Result<()> {
        let ranges: Vec<[u64; 2]> =
            lost.iter().take(MOST_RANGES).map(|range| [range.start, range.end]).collect();
        let is_written = !is_pack && !self.args.dry_run;
        let fields = json!({
            "lost": bytes, "ranges": ranges, "all_ranges": lost.len(), "over": survey.over_budget(),
            "used": survey.used(), "zeros": is_written,
        });
        output.object("over_budget", object(fields))?;
        match is_pack {
            true => Ok(()),
            false => self.summary(is_written.then(|| self.held.len()), Some(bytes), output),
        }
    }

    /// Says that too little is left of what is no pack.
    pub(super) fn tell_little(&self, error: &Error, output: &mut Output) -> anyhow::Result<()> {
        let ErrorKind::Foreign { found, known, wanted } = *error.kind() else { return Ok(()) };
        let layout = self.held.parity.descriptor().layout();
        let cells = layout.cells();
        if output.is_json() {
            let fields = json!({
                "lost": null, "ranges": [], "all_ranges": null, "cells": cells, "known_cells": known,
                "found_cells": found, "wanted_cells": wanted, "zeros": false,
            });
            output.object("over_budget", object(fields))?;
            return self.summary(None, None, output);
        }
        let (name, called) = (escaped(self.name.as_bytes()), self.held.spot.called());
        let budget = u64::from(layout.recovery()).saturating_mul(u64::from(layout.zones()));
        let used = percent(known.saturating_sub(found), budget);
        let told = match known < cells {
            true => format!(" ({known} of them are told by what is left of the table)"),
            false => String::new(),
        };
        output.told(&format!(
            "{name}: of its {cells} cells of {} bytes{told} {found} are found, and {wanted} would have to be: {used:.0} % of what {called} can restore would be needed at least, or it is of something else",
            layout.cell_len(),
        ))?;
        output.told(&format!("{name}: nothing can be restored, and nothing is written"))
    }

    fn summary(
        &self,
        stored: Option<u64>,
        lost: Option<u64>,
        output: &mut Output,
    ) -> anyhow::Result<()> {
        let fields = json!({
            "original": false, "rebuilt": false, "unchanged": false, "dry_run": self.args.dry_run,
            "by_parity": true, "stored": stored, "lost": lost,
        });
        output.object("summary", object(fields))
    }
}

/// Ranges that are named one by one.
const SHOWN: usize = 8;
const MOST_RANGES: usize = 10_000;
