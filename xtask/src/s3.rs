//! `cargo xtask s3`: stores in a real S3 server, which is installed below `target/`, and stopped by its process id.

#![expect(clippy::print_stdout, reason = "the count is the result")]

mod large;
mod server;
mod trial;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::ensure;
use clap::Args;

pub use self::server::Server;
use self::trial::Trial;
use crate::process::{build_example, carstone, output, target};

/// What is tried.
#[derive(Args)]
pub struct Arguments {
    /// The `carstone` program that is tried, instead of one that is built
    #[arg(long, value_name = "PROGRAM")]
    command: Option<PathBuf>,
    /// How often a put is killed
    #[arg(long, value_name = "N", default_value_t = 6)]
    kills: u64,
    /// Have a thousand tasks put and get at the same time for so long, instead
    #[arg(long, value_name = "SECONDS")]
    load: Option<u64>,
    /// Put a tree of 300 MB and a file of 2 GB into a directory, into memory and into the server instead, and get them out again
    #[arg(long)]
    large: bool,
    /// Only start the server, and run this with AWS_ variables and S3_STORE set
    #[arg(last = true, value_name = "PROGRAM")]
    run: Vec<String>,
}

/// Starts a server, and puts and gets.
pub fn run(root: &Path, arguments: &Arguments) -> anyhow::Result<()> {
    let server = Server::start(root)?;
    if let Some((program, rest)) = arguments.run.split_first() {
        let status = server.env(Command::new(program).args(rest)).status()?;
        ensure!(status.success(), "{program} ended with {status}");
        return Ok(());
    }
    if let Some(seconds) = arguments.load {
        return load(root, &server, seconds);
    }
    if arguments.large {
        let folder = tempfile::Builder::new().prefix("large-").tempdir_in(target(root))?;
        let command = arguments.command.as_deref();
        let passed = large::try_all(root, &server, command, folder.path())?;
        println!("{passed} passed, 0 failed");
        return Ok(());
    }
    let carstone = carstone(root, arguments.command.as_deref())?;
    let folder = tempfile::Builder::new().prefix("s3-").tempdir_in(target(root))?;
    let trial = Trial { server: &server, carstone, folder: folder.path() };
    let passed = trial.run()? + trial.kill(arguments.kills)?;
    println!("{passed} passed, 0 failed");
    Ok(())
}

/// Many puts and gets at the same time. None may fail, and what was put is there.
fn load(root: &Path, server: &Server, seconds: u64) -> anyhow::Result<()> {
    let mut program = Command::new(build_example(root, "store_load")?);
    program.args(["s3://carstone/load", "1000", &seconds.to_string()]);
    let told = output(server.env(&mut program))?;
    let counts: serde_json::Value = serde_json::from_str(&told)?;
    println!("{}", told.trim());
    ensure!(counts["failed"] == 0 && counts["lost"] == 0, "something failed, or is lost");
    Ok(())
}
