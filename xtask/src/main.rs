//! Chores of the carstone workspace: `cargo xtask <task>`. Each task is a file of its own.

mod consumers;
mod demo;
mod man;
mod process;
mod vectors;

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Parser, Subcommand};

use crate::process::cargo;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Chores of the carstone workspace")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build and run the programs in tests/consumers
    Consumers,
    /// Pack a real tree, list it, read from its middle, restore and compare it
    Demo(demo::Arguments),
    /// Write the pages of the manual
    Man(man::Arguments),
    /// Make the test vectors anew with the independent Python implementation
    Vectors(vectors::Arguments),
}

fn main() -> anyhow::Result<()> {
    let root = workspace_root()?;
    match Arguments::parse().task {
        Task::Consumers => consumers::run(&root),
        Task::Demo(arguments) => demo::run(&root, &arguments),
        Task::Man(arguments) => man::run(&root, &arguments),
        Task::Vectors(arguments) => vectors::run(&root, &arguments),
    }
}

/// The folder of the workspace manifest, which is the parent of this package's folder.
fn workspace_root() -> anyhow::Result<PathBuf> {
    let parent = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    Ok(parent.context("the xtask package has no parent folder")?.to_owned())
}
