//! What damage costs: each place of damage, and each entry that it hits.

use anyhow::anyhow;
use carstone::repair::{Hit, Tally, Told};

use super::Findings;
use crate::front::Front;
use crate::input::chain;
use crate::losses;

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
    let report = tally.into_report();
    if report.nameless_blocks > 0 {
        let what = losses::nameless_text(report.nameless_blocks, report.nameless_bytes);
        findings.add("pack", None, None, &what)?;
    }
    for found in &report.corrections {
        findings.correction(found)?;
    }
    if report.corrected_bits() > 0 && !findings.output.is_json() {
        let what = format!("{} flipped bits can be put right", report.corrected_bits());
        findings.tell(&what)?;
    }
    Ok((report.whole, report.hit.len() as u64))
}

impl Findings<'_> {
    /// Tells of the damage that has been found since `told` places were known.
    fn places(&mut self, tally: &Tally, told: usize) -> anyhow::Result<usize> {
        let places = &tally.report().damage;
        for (n, damage) in places.iter().enumerate().skip(told) {
            self.count += 1;
            let number = n as u64 + 1;
            if self.output.is_json() {
                let (kind, fields) = losses::place_fields(number, damage);
                self.output.object(kind, fields)?;
            } else {
                self.tell(&losses::place_text(number, damage))?;
            }
        }
        Ok(places.len())
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
