//! The pages of the manual. The command writes them itself, since it alone knows its arguments.

use std::path::{Path, PathBuf};

use anyhow::Context;

/// Where to.
#[derive(clap::Args)]
pub struct Arguments {
    /// The folder for the pages [default: target/man]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Builds the command and lets it write its pages.
pub fn run(root: &Path, arguments: &Arguments) -> anyhow::Result<()> {
    let out = match &arguments.out {
        // Cargo runs the command in the folder of the workspace.
        Some(out) => std::path::absolute(out).context("the folder for the pages has no place")?,
        None => root.join("target/man"),
    };
    let out = out.to_str().context("the name of the folder for the pages is not UTF-8")?;
    crate::cargo(root)
        .args(["run", "--quiet", "--package", "carstone-cli", "--", "man", "--out", out])
        .run()
}
