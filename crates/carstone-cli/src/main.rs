//! The `carstone` command.

mod cli;
mod commands;
mod dag;
mod exit;
mod front;
mod input;
mod keys;
mod names;
mod output;
mod progress;
mod rows;
mod signals;
mod sink;
mod source;
mod target;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};
use exit::Exit;
use output::Output;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut output = Output::new(&cli);
    signals::watch();
    let result = run(cli.command, &mut output).and_then(|exit| {
        output.flush()?;
        Ok(exit)
    });
    match result {
        Ok(_) if signals::stopped() => Exit::Interrupted.into(),
        Ok(exit) => exit.into(),
        // The reader of our output has seen enough.
        Err(error) if output::is_closed_stdout(&error) => Exit::Intact.into(),
        Err(_) if signals::stopped() => {
            output.complain("interrupted");
            Exit::Interrupted.into()
        }
        Err(error) => {
            output.complain(&format!("{error:#}"));
            Exit::Failed.into()
        }
    }
}

fn run(command: Command, output: &mut Output) -> anyhow::Result<Exit> {
    match command {
        Command::Create(args) => commands::create::run(args, output),
        Command::List(args) => commands::list::run(args, output),
        Command::Extract(args) => commands::extract::run(args, output),
        Command::Cat(args) => commands::cat::run(args, output),
        Command::Info(args) => commands::info::run(args, output),
        Command::Verify(args) => commands::verify::run(args, output),
        Command::Repair(args) => commands::repair::run(args, output),
        Command::Keygen(args) => commands::keygen::run(args, output),
        Command::Completions(args) => commands::completions::run(args, output),
        Command::Man(args) => commands::man::run(args, output),
    }
}
