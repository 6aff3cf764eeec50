//! Parity: `protect`, and what other commands ask about it.

use std::path::PathBuf;

use carstone::parity::Share;
use clap::{Args, ValueHint};

use super::texts::{PROTECT_EXAMPLES, SCRUB_EXAMPLES};

// `carstone protect`.
#[derive(Debug, Args)]
#[command(after_long_help = PROTECT_EXAMPLES)]
pub(crate) struct ProtectArgs {
    /// Files, and directories whose files are protected, those below included; not those that end in `.par`, nor what commands left behind there: NAME.damaged beside NAME,
    /// and files that were not finished, .NAME??????.part. `-` is standard input, with -o.
    #[arg(value_name = "FILE", value_hint = ValueHint::AnyPath, required = true)]
    pub files: Vec<PathBuf>,
    /// How much parity may add, in percent: 1 to 100, with at most two digits behind the point [default: 10%].
    #[arg(long, value_name = "P", value_parser = share)]
    pub parity: Option<Share>,
    /// Write the parity of the only FILE to this file instead of FILE.par; `-` is standard output.
    #[arg(short, long, value_name = "FILE.par", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// Make parity anew where there is some. What was damaged before cannot be healed any more then.
    #[arg(long)]
    pub force: bool,
    /// Threads that compute.
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

// `carstone scrub`.
#[derive(Debug, Args)]
#[command(after_long_help = SCRUB_EXAMPLES)]
pub(crate) struct ScrubArgs {
    /// Directories, looked through with all below them, and files.
    #[arg(value_name = "DIR", value_hint = ValueHint::AnyPath, required = true)]
    pub paths: Vec<PathBuf>,
    /// Restore what is damaged, as far as its parity allows.
    #[arg(long)]
    pub heal: bool,
    /// With --heal, do not keep the damaged files. Those that are newer than their sidecar are kept all the same, since they may have been edited, and so are packs of
    /// whose ends too little is left to tell what stood behind them.
    #[arg(long, requires = "heal")]
    pub discard_damaged: bool,
    /// Note in this file what was found sound, and pass over what stands there and has not changed since; a run that was stopped goes on so. When all was
    /// looked at, the file is removed. It is made where it is not there, and an empty one is taken as a new one; anything else that is no such journal is refused and stays as it is.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub resume: Option<PathBuf>,
    /// Threads that compute.
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

// Parity for what is being made.
#[derive(Debug, Default, Args)]
pub(crate) struct MakeParityArgs {
    /// Make parity, by which the output can be restored after damage, without a key: so many percent of it, 1 to 100. It goes into a file beside, OUTPUT.par.
    #[arg(long, value_name = "P", value_parser = share, help_heading = "Parity")]
    pub parity: Option<Share>,
    /// Put the parity behind the pack, in the same file [default with it: --parity 10%].
    #[arg(long, help_heading = "Parity")]
    pub parity_in_pack: bool,
}

// Which parity is used.
#[derive(Debug, Default, Args)]
pub(crate) struct UseParityArgs {
    /// Use the parity in this file. Else that behind the pack is used, or that in PACK.par, if there is any.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Parity")]
    pub parity_file: Option<PathBuf>,
    /// Use no parity.
    #[arg(long, conflicts_with = "parity_file", help_heading = "Parity")]
    pub no_parity: bool,
}

/// A share such as `10%`, `10` or `2.5%`.
pub(super) fn share(text: &str) -> Result<Share, String> {
    let wrong = || "a share is 1% to 100%, with at most two digits behind the point".to_owned();
    let number = text.strip_suffix('%').unwrap_or(text);
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let digits =
        |text: &str| (1..=3).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 2 {
        return Err(wrong());
    }
    let hundredths = format!("{whole}{part:0<2}").parse().ok().and_then(Share::new);
    hundredths.ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_percent() {
        let hundredths = |text| share(text).map(Share::hundredths);
        for (text, expected) in [
            ("10%", 1000),
            ("10", 1000),
            ("2.5%", 250),
            ("1", 100),
            ("100%", 10_000),
            ("9.07", 907),
        ] {
            assert_eq!(hundredths(text), Ok(expected), "{text}");
        }
        for bad in [
            "", "%", "0", "0.99", "100.01", "101", "5.", ".5", "1.234", "-5", "+5", "1e1", "10 %",
            "10%%",
        ] {
            assert!(hundredths(bad).is_err(), "{bad}");
        }
    }
}
