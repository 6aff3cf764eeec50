//! CARs of every writer of `@ipld/car`, of blocks of all kinds, read by `carstone car`.

use std::path::Path;

use anyhow::{Context, ensure};
use serde_json::Value;

use super::checks::Checks;
use super::listing::{agreed, texts};
use super::tools::{Tools, run};

/// Writes the CARs into `folder` and runs all checks.
pub fn run_all(tools: &Tools, folder: &Path, checks: &mut Checks) -> anyhow::Result<()> {
    let told: Value = serde_json::from_slice(&run(tools.script("write.mjs").arg(folder))?)?;
    for made in told.as_array().context("no list of CARs")? {
        let name = made["name"].as_str().context("no name")?;
        let car = folder.join(format!("{name}.car"));
        let title = |what: &str| format!("carstone car {what}: @ipld/car's \"{name}\"");
        checks.check(&title("roots, list, blocks"), || listed(tools, &car, made));
        checks.check(&title("inspect --full"), || inspected(tools, &car, made));
        checks.check(&title("verify"), || {
            let status = tools.car("verify").arg("-q").arg(&car).output()?.status;
            let right = i32::from(!missing_roots(made)?.is_empty());
            ensure!(status.code() == Some(right), "it ended with {status}, not {right}");
            Ok(())
        });
    }
    Ok(())
}

fn listed(tools: &Tools, car: &Path, made: &Value) -> anyhow::Result<()> {
    let listing = agreed(tools, car, 1)?;
    let roots = texts(made["roots"].as_array().context("no roots")?)?;
    ensure!(listing.roots == roots, "its roots are {:?}, not {roots:?}", listing.roots);
    let right = made["blocks"].as_array().context("no blocks")?;
    ensure!(listing.blocks.len() == right.len(), "{} blocks are listed", listing.blocks.len());
    for (found, right) in listing.blocks.iter().zip(right) {
        let same = right["cid"] == *found.cid && right["data_size"] == found.data_size;
        ensure!(same, "{found:?} is not {right}");
    }
    Ok(())
}

fn inspected(tools: &Tools, car: &Path, made: &Value) -> anyhow::Result<()> {
    let told = run(tools.car("inspect").args(["--full", "--json"]).arg(car))?;
    let told: Value = serde_json::from_slice(&told)?;
    let blocks = made["blocks"].as_array().context("no blocks")?;
    let right = [
        ("version", 1.into()),
        ("roots", made["roots"].clone()),
        ("missing_roots", missing_roots(made)?.into()),
        ("blocks", blocks.len().into()),
        ("codecs", made["codecs"].clone()),
        ("hash_functions", made["hash_functions"].clone()),
        ("verified", blocks.len().into()),
        ("mismatched", 0.into()),
        ("unverifiable", 0.into()),
    ];
    for (field, right) in right {
        ensure!(told[field] == right, "{field}: {} is not {right}", told[field]);
    }
    Ok(())
}

/// The roots of which there are no blocks.
fn missing_roots(made: &Value) -> anyhow::Result<Vec<Value>> {
    let blocks = made["blocks"].as_array().context("no blocks")?;
    let roots = made["roots"].as_array().context("no roots")?;
    let is_missing = |root: &&Value| !blocks.iter().any(|block| block["cid"] == **root);
    Ok(roots.iter().filter(is_missing).cloned().collect())
}
