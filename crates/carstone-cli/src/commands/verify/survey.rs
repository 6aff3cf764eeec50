//! What damage costs: each place of damage, and each entry that it hits.

use std::fs::File;

use anyhow::anyhow;
use carstone::layer::{Correction, LayerId};
use carstone::repair::{Damage, Hit, Tally, Told};
use carstone::stack;

use super::Findings;
use crate::front::Front;
use crate::input::{chain, options};
use crate::losses;
use crate::names::counted;
use crate::progress::Progress;
use crate::signals;
use crate::source::Watched;

/// Reads past all damage and tells of it; gives how many entries are whole, and how many are hit.
pub(super) fn survey(mut front: Front, findings: &mut Findings<'_>) -> anyhow::Result<(u64, u64)> {
    let (mut tally, mut places) = (Tally::new(), 0);
    while let Some(item) = front.item().map_err(|error| anyhow!("{}", chain(&error)))? {
        tally.note(&item);
        places = findings.places(&tally, places)?;
        findings.entries(&mut tally)?;
    }
    front.finish(&mut tally);
    findings.entries(&mut tally)?;
    let mut number = places as u64;
    for gap in front.untold(&tally.report().damage) {
        number += 1;
        findings.place(number, &Damage::Gap(gap.clone()))?;
    }
    let report = tally.into_report();
    if report.nameless_blocks > 0 {
        let what = losses::nameless_text(report.nameless_blocks, report.nameless_bytes);
        findings.add("pack", None, None, &what)?;
    }
    findings.corrections(&report.corrections)?;
    Ok((report.whole, report.hit.len() as u64))
}

/// Tells what is lost of the outermost layer, for which no key is needed, and what could be put right.
pub(super) fn frames(
    file: File,
    threads: Option<usize>,
    findings: &mut Findings<'_>,
) -> anyhow::Result<()> {
    let progress = Progress::new(findings.output, "checking frames", None);
    let healed = stack::heal(Watched(file), &options(threads), &mut |at| progress.at(at));
    progress.finish();
    signals::check()?;
    let healed = match healed {
        Ok(healed) => healed,
        Err(error) => return findings.stack(&error),
    };
    let report = healed.report();
    for (n, gap) in report.lost.iter().enumerate() {
        findings.count += 1;
        match findings.output.is_json() {
            true => findings.output.object("finding", losses::lost_fields(gap))?,
            false => findings.tell(&losses::lost_text(n as u64 + 1, gap))?,
        }
    }
    findings.corrections(&report.corrections)?;
    if !report.lost.is_empty() && healed.container().layers.get(LayerId::ENCRYPTION).is_some() {
        findings.output.note("With a key (-i FILE or -p), the entries that are hit can be named.");
    }
    Ok(())
}

impl Findings<'_> {
    /// Tells of bits that can be put right.
    fn corrections(&mut self, made: &[Correction]) -> anyhow::Result<()> {
        for found in made {
            self.correction(found)?;
        }
        match made.iter().map(|found| u64::from(found.bits)).sum() {
            0 => Ok(()),
            _ if self.output.is_json() => Ok(()),
            bits => self.tell(&format!("{} can be put right", counted(bits, "flipped bit"))),
        }
    }

    /// Tells of the damage that has been found since `told` places were known.
    fn places(&mut self, tally: &Tally, told: usize) -> anyhow::Result<usize> {
        let places = &tally.report().damage;
        for (n, damage) in places.iter().enumerate().skip(told) {
            self.place(n as u64 + 1, damage)?;
        }
        Ok(places.len())
    }

    fn place(&mut self, number: u64, damage: &Damage) -> anyhow::Result<()> {
        self.count += 1;
        match self.output.is_json() {
            true => {
                let (kind, fields) = losses::place_fields(number, damage);
                self.output.object(kind, fields)
            }
            false => self.tell(&losses::place_text(number, damage)),
        }
    }

    /// Tells of entries that are not whole.
    fn entries(&mut self, tally: &mut Tally) -> anyhow::Result<()> {
        while let Some(told) = tally.next_told() {
            if let Told::Hit(hit) = told {
                self.entry(&hit)?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, hit: &Hit) -> anyhow::Result<()> {
        self.count += 1;
        match self.output.is_json() {
            true => self.output.object("damaged_entry", losses::hit_fields(hit, None)),
            false => self.output.line(losses::hit_text(hit, None).as_bytes()),
        }
    }
}
