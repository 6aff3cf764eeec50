//! Small damage is put right, and no other damage is taken for it.

#![expect(clippy::print_stdout, reason = "the counts are the result")]

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use anyhow::{Context, ensure};
use carstone::pack::PackOptions;
use carstone::stack;

use super::super::cores::each;
use super::super::found::{bytes_of, salvaged_at};
use super::super::packs::{HEADER, Layers, TRAILER, pack, reading};
use super::{noise, trial};

/// Every bit of a pack of 64 KiB, without a key.
pub fn bits(seed: u64) -> anyhow::Result<()> {
    let stored = pack(&noise(20, 2900, seed), Layers::BOTH, 1, &PackOptions::default())?;
    each(stored.len() as u64, "bits", |at| {
        for bit in 0..8 {
            let mut damaged = stored.clone();
            damaged[at as usize] ^= 1 << bit;
            mends(&damaged, &stored).with_context(|| format!("bit {bit} of byte {at}"))?;
        }
        Ok(())
    })?;
    println!(
        "bits: {} of {0} put right, {}, {} bytes",
        stored.len() * 8,
        Layers::BOTH,
        stored.len()
    );
    Ok(())
}

/// A thousand bursts in each combination of layers.
pub fn bursts(seed: u64) -> anyhow::Result<()> {
    for layers in Layers::framed() {
        let stored = pack(&noise(40, 12_000, seed), layers, 1, &PackOptions::default())?;
        each(1000, "bursts", |number| {
            let mut random = trial(seed, number);
            // The container can correct itself, but the claim is about frames.
            let room = stored.len() - HEADER - TRAILER - 5;
            let at = HEADER + random.below(room as u64) as usize;
            let len = 2 + random.below(31);
            let inside = random.number() & ((1 << len) - 1);
            let flips = (inside | 1 | 1 << (len - 1)) << random.below(8);
            let mut damaged = stored.clone();
            for (byte, flips) in damaged[at..].iter_mut().zip(flips.to_le_bytes()) {
                *byte ^= flips;
            }
            mends(&damaged, &stored).with_context(|| format!("{flips:x} at byte {at}"))
        })?;
        println!("bursts: 1000 of 1000 put right, {layers}");
    }
    Ok(())
}

fn mends(damaged: &[u8], stored: &[u8]) -> anyhow::Result<()> {
    let healed = stack::heal(damaged, &reading(), &mut |_| ())?;
    ensure!(healed.report().is_original(), "it is not put right: {:?}", healed.report());
    ensure!(bytes_of(&healed)? == stored, "other bytes than the original");
    Ok(())
}

/// Ten thousand zeroed pages: mended from what is repeated, or missing.
pub fn pages(seed: u64) -> anyhow::Result<()> {
    let tree = noise(80, 3_500, seed);
    let packs = Layers::framed()
        .map(|layers| Ok((layers, pack(&tree, layers, 1, &PackOptions::default())?)));
    let packs = packs.collect::<anyhow::Result<Vec<_>>>()?;
    let (original, corrected) = (AtomicU64::new(0), AtomicU64::new(0));
    each(TRIALS, "pages", |number| {
        let mut random = trial(seed, number);
        let (layers, stored) = &packs[number as usize % packs.len()];
        let at = random.below((stored.len() - PAGE) as u64) as usize;
        let mut damaged = stored.clone();
        damaged[at..at + PAGE].fill(0);
        let place = || format!("{PAGE} bytes at {at}, {layers}");
        let healed = stack::heal(&damaged[..], &reading(), &mut |_| ()).with_context(place)?;
        let report = healed.report();
        // Where a page ends in a frame by a few bits, these are put right.
        corrected.fetch_add(u64::from(!report.corrections.is_empty()), Relaxed);
        let bytes = bytes_of(&healed)?;
        for correction in &report.corrections {
            let start = usize::try_from(correction.at)? + HEADER;
            let range = start..(start + BURST).min(stored.len());
            ensure!(bytes.get(range.clone()) == stored.get(range), "{}: {correction:?}", place());
        }
        if report.is_original() {
            original.fetch_add(1, Relaxed);
            ensure!(bytes == *stored, "{}: not the original", place());
        }
        salvaged_at(&damaged, &tree).with_context(place)?;
        Ok(())
    })?;
    let (original, corrected) = (original.into_inner(), corrected.into_inner());
    println!(
        "pages: {TRIALS} of {PAGE} bytes zeroed, {original} healed to the original, none to anything else; in {corrected} a few bits of another frame were put right"
    );
    Ok(())
}

const TRIALS: u64 = 10_000;
const PAGE: usize = 4096;
/// Bytes in which 32 bits may lie.
const BURST: usize = 5;
