//! Chores of the carstone workspace: `cargo xtask <task>`. Each task is a file of its own.

mod compare;
mod consumers;
mod damage;
mod demo;
mod faults;
mod fuzz;
mod hppr;
mod interop;
mod made;
mod man;
mod measure;
mod memory;
mod process;
mod rig;
mod s3;
mod scale;
mod seeded;
mod shm;
mod snapshot;
mod sources;
mod vectors;
mod venv;

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
    /// Measure carstone beside programs that do a similar job
    Compare(compare::Arguments),
    /// Build and run the programs in tests/consumers
    Consumers,
    /// Damage packs in many ways, and see what is left
    Damage(damage::Arguments),
    /// Pack a real tree, list it, read from its middle, restore and compare it
    Demo(demo::Arguments),
    /// Let system calls of stores fail, or kill them there, and see what is left
    Faults(faults::Arguments),
    /// Build the fuzz targets and run each for a while
    Fuzz(fuzz::Arguments),
    /// Measure an HPPR repository, also with several processes at the same time
    Hppr(hppr::Arguments),
    /// Try carstone with programs of others, both ways
    Interop(interop::Arguments),
    /// Write the pages of the manual
    Man(man::Arguments),
    /// Run a program and tell what it used
    #[command(hide = true)]
    Measured(measure::Arguments),
    /// Measure the most memory that carstone takes
    Memory(memory::Arguments),
    /// Try stores in a real S3 server
    S3(s3::Arguments),
    /// Measure how time and memory grow with entries and bytes
    Scale(scale::Arguments),
    /// Make the test vectors anew with the independent Python implementation
    Vectors(vectors::Arguments),
}

fn main() -> anyhow::Result<()> {
    let root = workspace_root()?;
    match Arguments::parse().task {
        Task::Compare(arguments) => compare::run(&root, &arguments),
        Task::Consumers => consumers::run(&root),
        Task::Damage(arguments) => damage::run(&root, &arguments),
        Task::Demo(arguments) => demo::run(&root, &arguments),
        Task::Faults(arguments) => faults::run(&root, &arguments),
        Task::Fuzz(arguments) => fuzz::run(&root, &arguments),
        Task::Hppr(arguments) => hppr::run(&root, &arguments),
        Task::Interop(arguments) => interop::run(&root, &arguments),
        Task::Man(arguments) => man::run(&root, &arguments),
        Task::Measured(arguments) => measure::run(&arguments),
        Task::Memory(arguments) => memory::run(&root, &arguments),
        Task::S3(arguments) => s3::run(&root, &arguments),
        Task::Scale(arguments) => scale::run(&root, &arguments),
        Task::Vectors(arguments) => vectors::run(&root, &arguments),
    }
}

/// The folder of the workspace manifest, which is the parent of this package's folder.
fn workspace_root() -> anyhow::Result<PathBuf> {
    let parent = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    Ok(parent.context("the xtask package has no parent folder")?.to_owned())
}
