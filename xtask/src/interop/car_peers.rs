//! What `ipfs-car` tells of a CAR, and what `carstone car` does.

use std::path::Path;

use anyhow::ensure;

use super::checks::Checks;
use super::tools::{Tools, text};

/// Of blocks of all kinds, by `@ipld/car`.
const MIXED: [&str; 2] = ["foreign/one root", "foreign/buffer"];

/// Where `ipfs-car roots --implicit` is wrong: a block comes after one that links to it.
const LINKED_BEFORE: [&str; 2] = ["foreign/parents first", "foreign/repeated blocks"];

/// Runs all checks on CARs in the folder `work`: those of ipfs-car and carstone, and in `foreign` those of `@ipld/car`.
pub fn run_all(tools: &Tools, work: &Path, checks: &mut Checks) {
    let call = |command: &str, name: &str, options: &[&str]| -> anyhow::Result<[String; 2]> {
        let car = work.join(format!("{name}.car"));
        let ours = text(tools.car(command).arg(&car).args(options))?;
        Ok([ours, text(tools.ipfs_car(command).arg(&car).args(options))?])
    };
    let same = |command: &str, name: &str, options: &[&str]| {
        let [ours, theirs] = call(command, name, options)?;
        ensure!(ours == theirs, "{ours} is not {theirs}");
        Ok(())
    };
    for name in ["theirs", "rootless", "ours-CAR"].iter().chain(&MIXED) {
        checks.check(&format!("roots of ipfs-car: {name}"), || same("roots", name, &[]));
        checks.check(&format!("roots --implicit of ipfs-car: {name}"), || {
            same("roots", name, &["--implicit"])
        });
        checks.check(&format!("hash of ipfs-car: {name}"), || same("hash", name, &[]));
        checks.check(&format!("hash -m of ipfs-car: {name}"), || {
            let [ours, theirs] = call("hash", name, &["-m"])?;
            // Theirs has the prefix of a multibase; ours has none, as CIDs of version 0.
            ensure!(format!("z{ours}") == theirs, "{ours} is not {theirs}");
            Ok(())
        });
        checks.check(&format!("blocks of ipfs-car: {name}"), || {
            let car = work.join(format!("{name}.car"));
            // It cannot verify blocks that are in their CIDs.
            let verify = if MIXED.contains(name) { "--no-verify" } else { "--verify" };
            let theirs = text(tools.ipfs_car("blocks").arg(&car).arg(verify))?;
            let ours = text(tools.car("blocks").arg(&car))?;
            ensure!(ours == theirs, "{ours} is not {theirs}");
            Ok(())
        });
    }
    for name in LINKED_BEFORE {
        checks.check(&format!("roots --implicit gives the only root: {name}"), || {
            let car = work.join(format!("{name}.car"));
            let found = text(tools.car("roots").arg("--implicit").arg(&car))?;
            let right = text(tools.car("roots").arg(&car))?;
            ensure!(found == right, "{found} is not {right}");
            Ok(())
        });
    }
}
