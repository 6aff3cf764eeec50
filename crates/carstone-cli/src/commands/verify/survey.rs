//! What damage costs: each gap, and each entry that it hits.

use std::collections::HashMap;
use std::ops::Range;

use anyhow::anyhow;
use carstone::layer::{Cause, Gap};
use carstone::pack::{EntryKind, Event};
use carstone::repair::Item;
use serde_json::Map;

use super::Findings;
use crate::front::Front;
use crate::input::{chain, damage};
use crate::names;

/// Reads past all damage and tells of it; gives how many entries are whole, and how many are hit.
pub(super) fn survey(mut front: Front, findings: &mut Findings<'_>) -> anyhow::Result<(u64, u64)> {
    let mut files: HashMap<u64, Vec<u8>> = HashMap::new();
    let (mut whole, mut hit) = (0, 0);
    while let Some(item) = front.item().map_err(|error| anyhow!("{}", chain(&error)))? {
        let event = match item {
            Item::Event(event) => event,
            Item::Gap(gap) => {
                findings.gap(&gap)?;
                continue;
            }
            Item::Fault(error) => {
                findings.add("pack", None, Some(error.offset()), &chain(&error))?;
                continue;
            }
            _ => continue,
        };
        match event {
            Event::Entry(entry) if entry.kind == EntryKind::File => {
                files.insert(entry.id, entry.path);
            }
            Event::Entry(_) => whole += 1,
            Event::End { id, .. } => {
                files.remove(&id);
                whole += 1;
            }
            Event::Incomplete { id, size, missing } => {
                hit += 1;
                let path = files.remove(&id).unwrap_or_default();
                findings.entry(&path, size, &missing)?;
            }
            _ => {}
        }
    }
    let (blocks, bytes) = front.nameless();
    if blocks > 0 {
        let what = format!("{blocks} blocks with {bytes} bytes belong to no entry that is left");
        findings.add("pack", None, None, &what)?;
    }
    Ok((whole, hit))
}

impl Findings<'_> {
    /// Bytes of the CAR stream that are missing, and where in the file that comes from.
    fn gap(&mut self, gap: &Gap) -> anyhow::Result<()> {
        self.count += 1;
        let mut lowest = gap;
        while let Cause::Below(below) = &lowest.cause {
            lowest = below;
        }
        if !self.output.is_json() {
            let lost = match gap.len {
                Some(0) => String::new(),
                Some(len) => {
                    format!("; {len} bytes of the CAR stream are lost, from byte {} on", gap.at)
                }
                None => format!("; the CAR stream is lost from byte {} on", gap.at),
            };
            let name = names::escaped(self.name.as_bytes());
            return self.output.line(format!("{name}: {}{lost}", damage(gap)).as_bytes());
        }
        let mut fields = Map::new();
        fields.insert("layer".to_owned(), lowest.layer.to_string().into());
        fields.insert("cause".to_owned(), lowest.cause.to_string().into());
        if let Some(stored) = &lowest.stored {
            fields.insert("stored".to_owned(), vec![stored.start, stored.end].into());
        }
        fields.insert("offset".to_owned(), gap.at.into());
        fields.insert("length".to_owned(), gap.len.into());
        self.output.object("gap", fields)
    }

    /// An entry of which something is missing.
    fn entry(
        &mut self,
        path: &[u8],
        size: Option<u64>,
        missing: &[Range<u64>],
    ) -> anyhow::Result<()> {
        self.count += 1;
        let lost: u64 = missing.iter().map(|range| range.end - range.start).sum();
        if !self.output.is_json() {
            let what = match size {
                Some(size) => format!("{lost} of its {size} bytes are missing"),
                None => "its end is missing".to_owned(),
            };
            return self.output.line(format!("{}: {what}", names::escaped(path)).as_bytes());
        }
        let mut fields = Map::new();
        names::put(&mut fields, "path", path);
        fields.insert("size".to_owned(), size.into());
        let ranges = missing.iter().map(|range| vec![range.start, range.end].into());
        fields.insert("missing".to_owned(), ranges.collect::<Vec<serde_json::Value>>().into());
        self.output.object("damaged_entry", fields)
    }
}
