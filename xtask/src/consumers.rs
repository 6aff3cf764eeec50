//! `cargo xtask consumers`: builds and runs the programs in `tests/consumers/`, which depend on the crates as a published user would.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use crate::process::cargo;

/// Builds and runs every program; the first one that fails ends the task.
pub fn run(root: &Path) -> anyhow::Result<()> {
    let manifests = manifests(&root.join("tests/consumers"))?;
    ensure!(!manifests.is_empty(), "there are no programs in tests/consumers");
    // The programs share a target folder, so that what they have in common is built once.
    let target = root.join("target/consumers");
    for manifest in manifests {
        cargo(root)
            .args(["run", "--quiet", "--manifest-path"])
            .args([&manifest])
            .args(["--target-dir"])
            .args([&target])
            .run()?;
    }
    Ok(())
}

/// The manifests one folder below `folder`, sorted.
fn manifests(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let list = std::fs::read_dir(folder).with_context(|| format!("no {}", folder.display()))?;
    let mut manifests = Vec::new();
    for entry in list {
        let manifest = entry?.path().join("Cargo.toml");
        if manifest.is_file() {
            manifests.push(manifest);
        }
    }
    manifests.sort();
    Ok(manifests)
}
