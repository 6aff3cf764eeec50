//! `cargo xtask consumers`: builds and runs the programs in `tests/consumers/`, which depend on the crates as a published user would.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use crate::process::cargo_outside;

/// Builds and runs every program; the first one that fails ends the task.
pub fn run(root: &Path) -> anyhow::Result<()> {
    let manifests = manifests(&root.join("tests/consumers"))?;
    ensure!(!manifests.is_empty(), "there are no programs in tests/consumers");
    for manifest in manifests {
        cargo_outside(root, "run", &manifest)?.run()?;
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
