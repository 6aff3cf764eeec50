//! Bits flipped all over a pack cost the frames that have several.

#![expect(clippy::print_stdout, reason = "the counts are the result")]

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use anyhow::Context;

use super::super::cores::each;
use super::super::found::salvaged_at;
use super::super::packs::Layers;
use super::layout::Layout;
use super::{noise, trial};

/// Forty bits of a pack of 8 MiB, a hundred times.
pub fn flips(seed: u64) -> anyhow::Result<()> {
    for layers in [Layers::STORED, Layers::BOTH] {
        let layout = Layout::new(noise(800, 10_000, seed), layers)?;
        let frames = layout.frames();
        let (lost, broken) = (AtomicU64::new(0), AtomicU64::new(0));
        each(RUNS, "flips", |number| {
            let mut random = trial(seed, number);
            let mut damaged = layout.stored.clone();
            let flips: Vec<usize> =
                (0..FLIPS).map(|_| random.below(damaged.len() as u64 * 8) as usize).collect();
            flips.iter().for_each(|bit| damaged[bit / 8] ^= 1 << (bit % 8));
            let mut hit = Vec::new();
            for frame in &frames {
                let bits = frame.start * 8..frame.end * 8;
                let here = flips.iter().filter(|bit| bits.contains(bit));
                let (first, last) = (here.clone().min(), here.max());
                if first.zip(last).is_some_and(|(first, last)| last - first >= 32) {
                    hit.push(layout.hit(frame.clone()));
                }
            }
            let place = || format!("run {number}, {layers}");
            let found = salvaged_at(&damaged, &layout.tree).with_context(place)?;
            lost.fetch_add(layout.check(&found, &hit).with_context(place)?, Relaxed);
            broken.fetch_add(hit.len() as u64, Relaxed);
            Ok(())
        })?;
        let mean = |sum: AtomicU64| sum.into_inner() as f64 / RUNS as f64;
        println!(
            "flips: {FLIPS} bits of {} bytes, {RUNS} times, {layers}: {:.1} of {} frames have several flips, {:.1} of {} entries lost, all of them there",
            layout.stored.len(),
            mean(broken),
            frames.len(),
            mean(lost),
            layout.tree.len()
        );
    }
    Ok(())
}

const RUNS: u64 = 100;
const FLIPS: usize = 40;
