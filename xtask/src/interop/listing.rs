//! What is in a CAR, as `carstone car` tells it and as `@ipld/car` does.

use std::path::Path;

use anyhow::{Context, ensure};
use serde_json::Value;

use super::tools::{Tools, run, text};

/// The roots, and the blocks in the order of the file.
#[derive(Debug, PartialEq)]
pub struct Listing {
    pub roots: Vec<String>,
    pub blocks: Vec<Block>,
}

/// A block, and where it is in the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    pub cid: String,
    /// Of the section.
    offset: u64,
    data_offset: u64,
    pub data_size: u64,
}

impl Listing {
    /// By `carstone car`; `options` come before the name of the CAR.
    pub fn ours(tools: &Tools, car: &Path, options: &[&str]) -> anyhow::Result<Self> {
        let roots = text(tools.car("roots").args(options).arg(car))?;
        let lines = run(tools.car("list").arg("--json").args(options).arg(car))?;
        let blocks = serde_json::Deserializer::from_slice(&lines).into_iter::<Value>();
        let blocks = blocks.map(|line| Block::parse(&line?)).collect::<anyhow::Result<_>>()?;
        Ok(Self { roots: roots.lines().map(str::to_owned).collect(), blocks })
    }

    /// The CIDs of the blocks.
    pub fn cids(&self) -> Vec<&str> {
        self.blocks.iter().map(|block| block.cid.as_str()).collect()
    }

    /// Fails with the first difference.
    pub fn same_as(&self, right: &Self) -> anyhow::Result<()> {
        let Self { roots, blocks } = self;
        ensure!(*roots == right.roots, "its roots are {roots:?}, not {:?}", right.roots);
        for (found, right) in blocks.iter().zip(&right.blocks) {
            ensure!(found == right, "{found:?} is not {right:?}");
        }
        ensure!(
            blocks.len() == right.blocks.len(),
            "{} blocks, not {}",
            blocks.len(),
            right.blocks.len()
        );
        Ok(())
    }
}

impl Block {
    fn parse(told: &Value) -> anyhow::Result<Self> {
        let number =
            |field: &str| told[field].as_u64().with_context(|| format!("no {field}: {told}"));
        Ok(Self {
            cid: told["cid"].as_str().with_context(|| format!("no CID: {told}"))?.to_owned(),
            offset: number("offset")?,
            data_offset: number("data_offset")?,
            data_size: number("data_size")?,
        })
    }
}

/// The listing on which `carstone car` and all readers of `@ipld/car` agree, which hash each block.
pub fn agreed(tools: &Tools, car: &Path, version: u64) -> anyhow::Result<Listing> {
    let told = tools.judge(car)?;
    ensure!(told["version"] == version, "it is a CARv{}", told["version"]);
    let list = |field: &str| told[field].as_array().with_context(|| format!("no {field}"));
    let roots = texts(list("roots")?)?;
    let blocks = list("entries")?.iter().map(Block::parse).collect::<anyhow::Result<_>>()?;
    let ours = Listing::ours(tools, car, &[])?;
    ours.same_as(&Listing { roots, blocks })?;
    let verified = text(tools.car("blocks").arg(car))?;
    ensure!(verified.lines().eq(ours.cids()), "`carstone car blocks` prints other CIDs");
    Ok(ours)
}

/// The elements of a list of texts.
pub fn texts(list: &[Value]) -> anyhow::Result<Vec<String>> {
    list.iter().map(|text| Ok(text.as_str().context("no text")?.to_owned())).collect()
}
