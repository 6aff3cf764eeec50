//! `carstone completions`: completions for a shell.

use clap::CommandFactory;

use crate::cli::{Cli, CompletionsArgs};
use crate::exit::Exit;
use crate::output::Output;

/// Prints them.
pub(crate) fn run(args: CompletionsArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "carstone", &mut script);
    output.bytes(&script)?;
    Ok(Exit::Intact)
}
