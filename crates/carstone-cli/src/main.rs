//! The `carstone` command.

mod below;
mod cli;
mod commands;
mod dag;
mod early;
mod exit;
mod front;
mod input;
mod keys;
mod losses;
mod names;
mod output;
mod parity;
mod progress;
mod rows;
mod signals;
mod sink;
mod source;
mod target;

use std::borrow::Cow;
use std::process::ExitCode;

use clap::Parser;
use cli::{Cli, Command};
use exit::Exit;
use keys::masked;
use output::{Output, say};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => usage(&error),
    };
    let mut output = Output::new(cli.json, cli.quiet);
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
            output.error("interrupted");
            Exit::Interrupted.into()
        }
        Err(error) => {
            output.error(&format!("{error:#}"));
            Exit::Failed.into()
        }
    }
}

/// Help that was asked for, or what is wrong with the arguments.
fn usage(error: &clap::Error) -> ! {
    let mut args = std::env::args_os().take_while(|arg| arg != "--");
    let text = error.render().to_string();
    if error.use_stderr() && args.any(|arg| arg == "--json") {
        // Behind the first empty line stand hints.
        let what: Vec<&str> =
            text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
        Output::new(true, false).error_object(what.join(" ").trim_start_matches("error: "));
    }
    match masked(&text) {
        Cow::Owned(masked) if error.use_stderr() => {
            say(masked.trim_end());
            std::process::exit(error.exit_code())
        }
        _ => error.exit(),
    }
}

fn run(command: Command, output: &mut Output) -> anyhow::Result<Exit> {
    match command {
        Command::Create(args) => commands::create::run(*args, output),
        Command::List(args) => commands::list::run(args, output),
        Command::Extract(args) => commands::extract::run(args, output),
        Command::Cat(args) => commands::cat::run(args, output),
        Command::Info(args) => commands::info::run(args, output),
        Command::Verify(args) => commands::verify::run(args, output),
        Command::Repair(args) => commands::repair::run(args, output),
        Command::Protect(args) => commands::protect::run(args, output),
        Command::Scrub(args) => commands::scrub::run(args, output),
        Command::Rekey(args) => commands::rekey::run(args, output),
        Command::Carve(args) => commands::carve::run(args, output),
        Command::Car(args) => commands::car::run(*args, output),
        Command::Store(args) => commands::store::run(args, output),
        Command::Hppr(args) => commands::hppr::run(args, output),
        Command::Sign(args) => commands::sign::run(args, output),
        Command::Keygen(args) => commands::keygen::run(args, output),
        Command::Completions(args) => commands::completions::run(args, output),
        Command::Man(args) => commands::man::run(args, output),
    }
}
