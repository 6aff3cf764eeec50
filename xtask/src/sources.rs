//! Real files that a machine with Rust has: the sources of dependencies, and the toolchain.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

/// The folder in which cargo keeps the sources of most dependencies.
pub fn dependency_sources(root: &Path) -> anyhow::Result<PathBuf> {
    let mut counts: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for folder in dependency_folders(root)? {
        if let Some(parent) = folder.parent() {
            *counts.entry(parent.to_owned()).or_default() += 1;
        }
    }
    let most = counts.into_iter().max_by_key(|(_, count)| *count);
    Ok(most.context("no dependency has sources on this machine")?.0)
}

/// The folders of all packages that the workspace depends on.
pub fn dependency_folders(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let output = crate::cargo(root).args(["metadata", "--format-version", "1"]).output()?;
    let metadata: serde_json::Value = serde_json::from_slice(&output)?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let manifests = packages.iter().filter_map(|package| package["manifest_path"].as_str());
    let foreign = manifests.map(Path::new).filter(|manifest| !manifest.starts_with(root));
    Ok(foreign.filter_map(Path::parent).map(Path::to_owned).collect())
}

/// The folder of the toolchain, with its libraries and its documentation.
pub fn toolchain() -> anyhow::Result<PathBuf> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).args(["--print", "sysroot"]).output();
    let output = output.context("cannot run rustc")?;
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}
