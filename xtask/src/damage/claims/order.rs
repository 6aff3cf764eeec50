//! Frames in the wrong order, more than once, or of another pack.

#![expect(clippy::print_stdout, reason = "the counts are the result")]

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use anyhow::{Context, ensure};
use carstone::pack::PackOptions;

use super::super::cores::each;
use super::super::found::{salvaged, salvaged_at};
use super::super::packs::{HEADER, KEY, Layers, TRAILER, pack, reading};
use super::layout::{Layout, frames};
use super::{noise, trial};

/// A hundred times each, in each combination of layers.
pub fn order(seed: u64) -> anyhow::Result<()> {
    for layers in Layers::framed() {
        let layout = Layout::new(noise(300, 8_000, seed), layers)?;
        // The same key, and another pack id: the same readers.
        let other = pack(&noise(300, 8_000, seed + 1), layers, 2, &PackOptions::default())?;
        let theirs = frames(&other[HEADER..other.len() - TRAILER])?;
        let ours = layout.frames();
        let lost = AtomicU64::new(0);
        each(3 * TRIALS, "order", |number| {
            let mut random = trial(seed, number);
            let mut pick = || random.below(ours.len() as u64) as usize;
            let (a, b) = {
                let (a, b) = (pick(), pick());
                (a.min(b), a.max(b))
            };
            let (first, last) = (ours[a].clone(), ours[b].clone());
            let stored = &layout.stored;
            let (what, damaged) = match number % 3 {
                0 if a != b => {
                    let between = &stored[first.end..last.start];
                    let (front, back) = (&stored[..first.start], &stored[last.end..]);
                    (
                        "swapped",
                        [front, &stored[last], between, &stored[first.clone()], back].concat(),
                    )
                }
                0 | 1 => {
                    let (front, back) = stored.split_at(last.start);
                    ("repeated", [front, &stored[first.clone()], back].concat())
                }
                _ => {
                    let foreign = &theirs[a.min(theirs.len() - 1)].stored;
                    let foreign = &other[foreign.start + HEADER..foreign.end + HEADER];
                    ("foreign", [&stored[..first.start], foreign, &stored[first.end..]].concat())
                }
            };
            let place = || format!("{what}: frames {a} and {b}, {layers}");
            let found = salvaged_at(&damaged, &layout.tree).with_context(place)?;
            let hit = if what == "foreign" { layout.hit(first.clone()) } else { 0..0 };
            lost.fetch_add(layout.check(&found, &[hit]).with_context(place)?, Relaxed);
            // A reader that cannot seek loses what is out of order, and nothing is wrong.
            let forward = carstone::stack::salvage(&damaged[..], &KEY, &reading())?;
            let forward = salvaged(forward, &layout.tree).with_context(place)?;
            ensure!(
                forward.damage > 0
                    || what == "repeated"
                    || forward.whole.len() == layout.tree.len(),
                "{}: nothing is told",
                place()
            );
            Ok(())
        })?;
        println!(
            "order: {TRIALS} times each swapped and repeated, nothing lost; {TRIALS} times replaced by a foreign frame, {:.1} of {} entries lost, all of them hit; {layers}",
            lost.into_inner() as f64 / TRIALS as f64,
            layout.tree.len()
        );
    }
    Ok(())
}

const TRIALS: u64 = 100;
