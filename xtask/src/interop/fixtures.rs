//! CARs that programs wrote which are not here: those of the specification and of go-car, where they lie beside the workspace.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::ensure;

use super::cars::{names, paths};
use super::checks::Checks;
use super::tools::{Tools, run, text};
use crate::snapshot::{Compare, compare, snapshot};

const CARV1: [&str; 3] = ["simple-unixfs", "carv1-basic", "sample-v1"];
const CARV2: [&str; 3] = ["carv2-basic", "sample-wrapped-v2", "sample-v2-indexless"];

/// Its index does not start with a codec, as none did at first: it is reported, and the rest is told.
const WITHOUT_CODEC: &str = "carv2-basic";

/// Runs all checks.
pub fn run_all(tools: &Tools, root: &Path, work: &Path, checks: &mut Checks) {
    let folder = root.join("../shared/fixtures/car");
    if !folder.is_dir() {
        checks.skip("CARs of go-car and of the specification", "they are not here");
        return;
    }
    let newer = CARV2.iter().filter(|_| tools.car_versions);
    for name in CARV1.iter().chain(newer) {
        let car = folder.join(format!("{name}.car"));
        checks.check(&format!("carstone info gives the roots that ipfs-car gives: {name}"), || {
            let roots = text(tools.ipfs_car("roots").arg(&car))?;
            let output = tools.carstone("info").arg(&car).output()?;
            let expected = i32::from(*name == WITHOUT_CODEC);
            ensure!(output.status.code() == Some(expected), "it ended with {}", output.status);
            let told = String::from_utf8(output.stdout)?;
            let words: BTreeSet<&str> = told.split_whitespace().collect();
            for root in roots.lines() {
                ensure!(words.contains(root), "{root} is missing in {told}");
            }
            ensure!(!roots.is_empty(), "ipfs-car finds no root");
            Ok(())
        });
    }
    if !tools.car_versions {
        checks.skip("CARv2 of go-car", "`carstone create` has no --car-version");
    }
    let car = folder.join("simple-unixfs.car");
    checks.check("carstone lists and extracts a tree of go-car as ipfs-car does", || {
        let ours = paths(&run(tools.carstone("list").arg("-0").arg(&car))?)?;
        let theirs = names(&run(tools.ipfs_car("ls").arg(&car))?)?;
        ensure!(ours == theirs, "{ours:?} are not {theirs:?}");
        let (one, other) = (work.join("go-car-ours"), work.join("go-car-theirs"));
        run(tools.carstone("extract").arg("-q").arg("-C").arg(&one).arg(&car))?;
        run(tools.ipfs_car("unpack").arg(&car).arg("--verify").arg("-o").arg(&other))?;
        compare(&snapshot(&other)?, &snapshot(&one)?, Compare::Content)?;
        fs::remove_dir_all(one)?;
        Ok(fs::remove_dir_all(other)?)
    });
}
