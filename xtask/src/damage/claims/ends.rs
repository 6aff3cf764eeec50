//! The ends of a pack are gone.

#![expect(clippy::print_stdout, reason = "the counts are the result")]

use std::ops::Range;

use anyhow::{Context, ensure};
use carstone::keys::{ContentKey, Identities, Identity, Recipients};
use carstone::stack::{self, Protection, WriteOptions, envelope_keys};

use super::super::cores::each;
use super::super::found::{bytes_of, salvaged, salvaged_at};
use super::super::packs::{HEADER, KEY, Layers, TRAILER, pack_with, reading};
use super::layout::Layout;
use super::noise;

/// Header, trailer, 64 KiB and 1 MiB at either end.
pub fn ends(seed: u64) -> anyhow::Result<()> {
    for layers in Layers::all() {
        let layout = Layout::new(noise(500, 10_000, seed), layers)?;
        let len = layout.stored.len();
        let (page, part) = (64 << 10, 1 << 20);
        let gone: [Range<usize>; 6] =
            [0..HEADER, len - TRAILER..len, 0..page, len - page..len, 0..part, len - part..len];
        each(gone.len() as u64, "ends", |number| {
            let gone = gone[number as usize].clone();
            let place = || format!("bytes {gone:?} of {len} are gone, {layers}");
            let damaged = [&layout.stored[..gone.start], &layout.stored[gone.end..]].concat();
            let found = salvaged_at(&damaged, &layout.tree).with_context(place)?;
            let hit = layout.hit(gone.clone());
            let lost = layout.check(&found, &[hit]).with_context(place)?;
            if gone.len() < 1000 {
                ensure!(lost == 0, "{}: {lost} are lost", place());
                let healed = stack::heal(&damaged[..], &reading(), &mut |_| ())?;
                ensure!(bytes_of(&healed)? == layout.stored, "{}: not the original", place());
            }
            println!(
                "ends: {lost} of {} entries lost, all of them hit; {}",
                layout.tree.len(),
                place()
            );
            Ok(())
        })?;
    }
    Ok(())
}

/// The middle half of a large pack, opened with an identity.
pub fn middle(seed: u64) -> anyhow::Result<()> {
    let (identity, mut recipients) = (Identity::generate()?, Recipients::new());
    recipients.add(identity.to_public());
    let mut identities = Identities::new();
    identities.add_identity(identity);
    let key = ContentKey::from_bytes(KEY);
    let protection =
        Protection::with_envelope(key, &recipients.seal(&ContentKey::from_bytes(KEY))?);
    let stack_options = WriteOptions::default().protection(protection);
    let tree = noise(800, 500_000, seed);
    let stored = pack_with(&tree, stack_options, &Default::default())?;
    let layout = Layout::of(tree, Layers::BOTH, stored)?;
    let len = layout.stored.len();
    let gone = [0..GONE, len - GONE..len];
    let damaged = &layout.stored[GONE..len - GONE];
    let options = reading().threads(2);
    let (salvage, _) =
        stack::salvage_at(damaged, envelope_keys(&identities), &options, &mut |_| ())?;
    let found = salvaged(salvage, &layout.tree)?;
    let lost = layout.check(&found, &gone.map(|gone| layout.hit(gone)))?;
    println!(
        "middle: {lost} of {} entries lost, all of them hit; first and last {GONE} bytes of {len} are gone, {}",
        layout.tree.len(),
        layout.layers
    );
    Ok(())
}

const GONE: usize = 100_000_000;
