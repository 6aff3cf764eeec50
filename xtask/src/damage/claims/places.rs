//! Damage at a random place costs the frames it lies in.

#![expect(clippy::print_stdout, reason = "the counts are the result")]

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use anyhow::Context;

use super::super::cores::each;
use super::super::found::salvaged_at;
use super::super::packs::Layers;
use super::layout::Layout;
use super::{noise, trial};

type Damage = fn(&mut Vec<u8>, usize);

/// What is done, and how many bytes from its place on are no more.
const DAMAGE: [(&str, usize, Damage); 4] = [
    ("4 KiB zeroed", PAGE, |bytes, at| bytes[at..at + PAGE].fill(0)),
    ("1 byte inserted", 1, |bytes, at| bytes.insert(at, 0x55)),
    ("1 byte removed", 1, |bytes, at| {
        bytes.remove(at);
    }),
    ("4 KiB duplicated", 1, |bytes, at| {
        let copy = bytes[at..at + PAGE].to_vec();
        bytes.splice(at..at, copy);
    }),
];

/// A thousand places each, in each combination of layers.
pub fn places(seed: u64) -> anyhow::Result<()> {
    for layers in Layers::framed() {
        let layout = Layout::new(noise(300, 8_000, seed), layers)?;
        for (name, width, damage) in DAMAGE {
            let (lost, most) = (AtomicU64::new(0), AtomicU64::new(0));
            each(TRIALS, "places", |number| {
                let mut random = trial(seed, number);
                let at = random.below((layout.stored.len() - PAGE) as u64) as usize;
                let place = || format!("{name} at {at}, {layers}");
                let mut damaged = layout.stored.clone();
                damage(&mut damaged, at);
                let found = salvaged_at(&damaged, &layout.tree).with_context(place)?;
                let hit = layout.hit(at..at + width);
                let gone = layout.check(&found, &[hit]).with_context(place)?;
                lost.fetch_add(gone, Relaxed);
                most.fetch_max(gone, Relaxed);
                Ok(())
            })?;
            println!(
                "places: {name}, {TRIALS} times, {layers}: only entries in the frames that were hit are lost, {:.1} of {} in the mean, {} at most",
                lost.into_inner() as f64 / TRIALS as f64,
                layout.tree.len(),
                most.into_inner()
            );
        }
    }
    Ok(())
}

const TRIALS: u64 = 1000;
const PAGE: usize = 4096;
