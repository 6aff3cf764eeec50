//! The CIDs that the tests of `carstone-unixfs` expect are those that `ipfs-unixfs-importer` gives.

use std::fs;
use std::path::Path;

use anyhow::ensure;

use super::checks::Checks;
use super::tools::{Tools, text};

const VECTORS: &str = "crates/carstone-unixfs/tests/vectors/importer.txt";

/// Of so many cases the quick run tries one.
const QUICK: usize = 12;

/// In cases that the quick run leaves out.
const LARGE: &str = " 100000 ";

/// Runs all checks.
pub fn run_all(tools: &Tools, root: &Path, work: &Path, quick: bool, checks: &mut Checks) {
    // The others are of a patched importer, which puts blocks into their CIDs.
    for kind in ["file", "meta", "dir", "dirmeta", "zeros"] {
        if quick && kind == "zeros" {
            checks.skip("ipfs-unixfs-importer: zeros", "they take minutes");
            continue;
        }
        checks.check(&format!("ipfs-unixfs-importer gives what {VECTORS} says: {kind}"), || {
            let vectors = fs::read_to_string(root.join(VECTORS))?;
            let lines: Vec<&str> = vectors
                .lines()
                .filter(|line| line.split(' ').next() == Some(kind))
                .filter(|line| !(quick && line.contains(LARGE)))
                .step_by(if quick { QUICK } else { 1 })
                .collect();
            let asked = work.join("vectors.txt");
            fs::write(&asked, lines.join("\n"))?;
            let made = text(tools.script("importer.mjs").arg(&asked))?;
            for (made, right) in made.lines().zip(&lines) {
                ensure!(made == *right, "{made} is not {right}");
            }
            ensure!(!lines.is_empty() && made.lines().count() == lines.len(), "cases are left out");
            Ok(())
        });
    }
}
