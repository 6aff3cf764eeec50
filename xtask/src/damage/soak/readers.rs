//! What all readers make of a damaged pack. Whatever they tell to be right is compared with the original.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context, ensure};
use carstone::car::{CarSlice, verify};
use carstone::repair::RebuildOptions;
use carstone::stack::{self, Carved, Healed, Rebuild};

use super::super::found::{Found, bytes_of, listed, salvaged, salvaged_at, streamed};
use super::super::packs::{KEY, Tree, has_end, reading};
use super::sample::Sample;
use crate::seeded::Random;

/// Gives how many entries of the pack are intact.
pub fn check(sample: &Sample, damaged: &[u8], random: &mut Random) -> anyhow::Result<usize> {
    let healed = stack::heal(damaged, &reading(), &mut |_| ()).ok();
    if let Some(healed) = &healed {
        original(sample, healed).context("heal")?;
    }
    let ahead = salvaged_at(damaged, meant(sample, damaged)).context("salvage_at")?;
    let best = one_of(ahead).context("salvage_at")?;
    if random.below(4) == 0
        && let Ok(salvage) = stack::salvage(damaged, &KEY, &reading())
    {
        salvaged(salvage, &sample.both).and_then(one_of).context("salvage")?;
    }
    if random.below(20) == 0 {
        strict(sample, damaged).context("strict readers")?;
        carved(sample, damaged).context("carve")?;
        rebuilt(meant(sample, damaged), damaged, random.below(4) == 0).context("rebuild")?;
    }
    Ok(best.whole.iter().filter(|path| sample.tree.contains_key(*path)).count())
}

/// Healing that says so gives the pack back, or the other one, where that stands there too.
fn original(sample: &Sample, healed: &Healed<&[u8]>) -> anyhow::Result<()> {
    if healed.report().is_original() {
        let bytes = bytes_of(healed)?;
        let is_right = [&sample.stored, &sample.twin_stored].contains(&&bytes);
        ensure!(is_right, "told to be the original, and is not: {:?}", healed.report());
    }
    Ok(())
}

/// What may come of it.
fn meant<'a>(sample: &'a Sample, damaged: &[u8]) -> &'a Tree {
    let stored = [&sample.stored, &sample.twin_stored];
    match stored.into_iter().any(|stored| has_end(damaged, stored)) {
        true => &sample.both,
        false => &sample.all,
    }
}

/// What comes of one pack is of one pack: all names of one begin alike.
fn one_of(found: Found) -> anyhow::Result<Found> {
    let packs = found.named.iter().map(|path| path.split(|byte| *byte == b'/').next());
    ensure!(packs.collect::<BTreeSet<_>>().len() <= 1, "two packs are mixed");
    Ok(found)
}

fn strict(sample: &Sample, damaged: &[u8]) -> anyhow::Result<()> {
    streamed(damaged, &sample.both).and_then(one_of).context("stream")?;
    let check = stack::verify(damaged.to_vec(), &KEY, &reading(), &mut |_, _| ());
    let is_sound = check.is_ok_and(|check| check.is_sound());
    let Ok(opened) = stack::open(damaged.to_vec(), &KEY, &reading()) else { return Ok(()) };
    let found = listed(&opened, &sample.both).and_then(one_of).context("list")?;
    let Ok(pack) = opened.pack() else { return Ok(()) };
    let mut findings = 0;
    let verified = pack.verify(&mut |_| (), &mut |_| findings += 1);
    if is_sound && verified.is_ok() && findings == 0 {
        let all = [sample.tree.len(), sample.twin.len()];
        ensure!(all.contains(&found.whole.len()), "sound, and {} entries", found.whole.len());
    }
    Ok(())
}

fn carved(sample: &Sample, damaged: &[u8]) -> anyhow::Result<()> {
    for found in stack::carve(&damaged, 0, &mut |_| ())?.found {
        match found {
            Carved::Pack(pack) => {
                let Ok(mended) = pack.mend(damaged, &mut |_| ()) else { continue };
                let bytes = bytes_of(&mended)?;
                if let Ok(salvage) = stack::salvage(&bytes[..], &KEY, &reading()) {
                    let found = salvaged(salvage, &sample.all)?;
                    let is_whole = !mended.is_whole() || found.damage == 0;
                    ensure!(is_whole, "a pack is told to be whole, and is not");
                }
            }
            Carved::Car(car) => {
                let mut bytes = Vec::new();
                car.copy_to(&damaged, &mut bytes, &mut |_| ())?;
                for block in CarSlice::parse(&bytes)?.blocks() {
                    let (_, block) = block?;
                    verify(&block.cid, block.data)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn rebuilt(tree: &Tree, damaged: &[u8], keep_partial: bool) -> anyhow::Result<()> {
    let (source, options) = (Arc::new(damaged.to_vec()), reading());
    let Ok(healed) = stack::heal(Arc::clone(&source), &options, &mut |_| ()) else { return Ok(()) };
    let settings = RebuildOptions::default().keep_partial(keep_partial);
    let rebuild = Rebuild::survey(source, Arc::new(healed), &KEY, &options, &settings, &mut |_| ());
    let Ok(rebuild) = rebuild else { return Ok(()) };
    let (stored, told) = rebuild.write(Vec::new(), &mut |_| ())?;
    let check = stack::verify(stored.clone(), &KEY, &options, &mut |_, _| ())?;
    ensure!(check.is_sound(), "a layer of the new pack is damaged: {check:?}");
    let opened = stack::open(stored, &KEY, &options)?;
    let mut findings = Vec::new();
    let pack = opened.pack()?;
    pack.verify(&mut |_| (), &mut |finding| findings.push(finding.error.to_string()))?;
    ensure!(findings.is_empty(), "the new pack is damaged: {findings:?}");
    if keep_partial {
        return Ok(());
    }
    let found = one_of(listed(&opened, tree)?)?;
    let (whole, report) = (found.whole.len() as u64, rebuild.report());
    ensure!(whole == told.written.entries, "{whole} of {} entries", told.written.entries);
    let kept = whole + told.written.left_out.len() as u64;
    ensure!(kept == report.whole, "{kept} entries are kept of {}", report.whole);
    Ok(())
}
