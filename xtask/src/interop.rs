//! `cargo xtask interop`: carstone and programs of others, each reading what the other wrote.

mod age;
mod car_command;
mod car_fixtures;
mod car_indexes;
mod car_peers;
mod car_writers;
mod cars;
mod checks;
mod container;
mod fixtures;
mod hppr;
mod importer;
mod listing;
mod ssh;
mod tools;
mod tree;

use std::path::{Path, PathBuf};

use self::checks::Checks;
pub use self::tools::{Tools, install_node_packages, run as run_program, text};

/// The flags of the task.
#[derive(clap::Args)]
pub struct Arguments {
    /// A tree without large files
    #[arg(long)]
    quick: bool,
    /// The `carstone` program that is tried, instead of one that is built
    #[arg(long, value_name = "PROGRAM")]
    command: Option<PathBuf>,
}

/// Runs all checks; fails when one does.
pub fn run(root: &Path, arguments: &Arguments) -> anyhow::Result<()> {
    let tools = Tools::prepare(root, arguments.command.as_deref())?;
    let work = tempfile::Builder::new().prefix("carstone-interop-").tempdir()?;
    let mut checks = Checks::default();
    cars::run_all(&tools, work.path(), arguments.quick, &mut checks)?;
    fixtures::run_all(&tools, root, work.path(), &mut checks);
    car_writers::run_all(&tools, &work.path().join("foreign"), &mut checks)?;
    car_command::run_all(&tools, work.path(), &mut checks)?;
    car_peers::run_all(&tools, work.path(), &mut checks);
    car_fixtures::run_all(&tools, root, work.path(), &mut checks);
    importer::run_all(&tools, root, work.path(), arguments.quick, &mut checks);
    hppr::run_all(&tools, root, work.path(), &mut checks)?;
    age::run_all(&tools, work.path(), &work.path().join("tree/many"), &mut checks)?;
    ssh::run_all(&tools, work.path(), &work.path().join("tree/many"), &mut checks)?;
    checks.close()
}
