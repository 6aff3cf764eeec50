//! Nothing of a pack or CAR that is a file of a pack is taken for something of the pack.

#![expect(clippy::print_stdout, reason = "the counts are the result")]

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use anyhow::Context;
use carstone::car::{CarWriter, codec};
use carstone::pack::PackOptions;

use super::super::cores::each;
use super::super::found::salvaged_at;
use super::super::kinds::KINDS;
use super::super::packs::{Item, Layers, Tree, has_end, pack};
use super::{noise, trial};
use crate::seeded::Random;

/// All damage of the matrix, anywhere in a pack of packs and CARs. An inner name would be an unknown entry, an inner block a wrong byte.
pub fn nested(seed: u64) -> anyhow::Result<()> {
    let (tree, inner) = outer(seed)?;
    let all: Tree = tree.clone().into_iter().chain(inner).collect();
    for layers in [Layers::BARE, Layers::STORED, Layers { encrypted: true, ..Layers::BARE }] {
        let stored = pack(&tree, layers, 1, &PackOptions::default())?;
        let whole = AtomicU64::new(0);
        each(TRIALS, "nested", |number| {
            let mut random = trial(seed, number);
            let kind = &KINDS[number as usize % KINDS.len()];
            let mut damaged = stored.clone();
            (kind.apply)(&mut damaged, &mut random);
            let place = || format!("{}, number {number}, {layers}", kind.name);
            // Without frames, an inner pack is all that can be seen where both ends are gone.
            let may_be_inner = layers == Layers::BARE && !has_end(&damaged, &stored);
            let due = if may_be_inner { &all } else { &tree };
            let found = salvaged_at(&damaged, due).with_context(place)?;
            let outer = found.whole.iter().filter(|path| tree.contains_key(*path));
            whole.fetch_add(outer.count() as u64, Relaxed);
            Ok(())
        })?;
        println!(
            "nested: {TRIALS} times damaged, {:.1} of {} entries intact, none of an inner pack; {layers}",
            whole.into_inner() as f64 / TRIALS as f64,
            tree.len()
        );
    }
    Ok(())
}

/// Packs without layers, with frames, and CARs, between other files; and what stands in them.
fn outer(seed: u64) -> anyhow::Result<(Tree, Tree)> {
    let (mut tree, mut all) = (noise(60, 3_000, seed), Tree::new());
    for n in 0..9_u64 {
        let inner: Tree = noise(20, 4_000, seed + 10 + n)
            .into_iter()
            .map(|(path, item)| ([format!("inner {n} ").as_bytes(), &path].concat(), item))
            .collect();
        let body = match n % 3 {
            0 => pack(&inner, Layers::BARE, 100 + n, &PackOptions::default())?,
            1 => pack(&inner, Layers::STORED, 100 + n, &PackOptions::default())?,
            _ => car(&inner)?,
        };
        let mut random = Random::new(n);
        // Some begin in the middle of a file.
        let before = random.noise(if n % 2 == 0 { 0 } else { 1234 });
        let path = format!("f{:05}.packed", n * 6).into_bytes();
        tree.insert(path, Item::file([before, body].concat()));
        all.extend(inner);
    }
    Ok((tree, all))
}

fn car(tree: &Tree) -> anyhow::Result<Vec<u8>> {
    let mut car = CarWriter::new(Vec::new(), &[])?;
    for item in tree.values() {
        car.write_data(codec::RAW, &item.body)?;
    }
    Ok(car.finish()?)
}

const TRIALS: u64 = 3000;
