//! A pack that is cut gives all that stands before the cut.

#![expect(clippy::print_stdout, reason = "the counts are the result")]

use anyhow::{Context, ensure};

use super::super::cores::each;
use super::super::found::salvaged_at;
use super::super::packs::{Layers, TRAILER};
use super::layout::{Entry, Layout};
use super::{noise, trial};

/// Every offset of a pack of 256 KiB.
pub fn everywhere(seed: u64) -> anyhow::Result<()> {
    for layers in [Layers::BOTH, Layers::BARE] {
        let layout = Layout::new(noise(64, 4_000, seed), layers)?;
        let len = layout.stored.len();
        each(len as u64, "cuts", |at| check(&layout, at as usize))?;
        println!("cuts: at each of {len} offsets all that ends before is intact, {layers}");
    }
    Ok(())
}

/// A thousand offsets of a pack of 100 MB.
pub fn large(seed: u64) -> anyhow::Result<()> {
    let layout = Layout::new(noise(2000, 50_000, seed), Layers::BOTH)?;
    let len = layout.stored.len();
    each(1000, "cuts-large", |number| {
        let at = trial(seed, number).below(len as u64);
        check(&layout, at as usize)
    })?;
    println!("cuts-large: at each of 1000 offsets of {len} all that ends before is intact");
    Ok(())
}

fn check(layout: &Layout, at: usize) -> anyhow::Result<()> {
    let place = || format!("cut at {at}, {}", layout.layers);
    let found = salvaged_at(&layout.stored[..at], &layout.tree).with_context(place)?;
    let before = layout.plain_before(at);
    // Of the trailer a part is enough.
    let is_told = found.damage > 0 || at + TRAILER >= layout.stored.len();
    ensure!(is_told, "{}: nothing is told to be missing", place());
    for (path, Entry { named, whole, .. }) in &layout.entries {
        let name = || format!("{}: {}", place(), path.escape_ascii());
        ensure!(named.end > before || found.named.contains(path), "{} is not named", name());
        ensure!(*whole > before || found.whole.contains(path), "{} is lost", name());
        let prefix = layout.begun_before(path, before)?;
        let begun = found.begun.get(path).copied().unwrap_or_default();
        // The rest may come out of a frame that is cut.
        let is_there = begun >= prefix || found.whole.contains(path);
        ensure!(is_there, "{}: {begun} of the first {prefix} bytes came", name());
    }
    Ok(())
}
