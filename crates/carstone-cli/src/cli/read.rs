//! What commands read files with: `list`, `extract`, `cat`.

use std::ffi::OsString;
use std::path::PathBuf;

use carstone::car::{Cid, ReaderOptions};
use clap::{Args, ValueEnum, ValueHint};

use super::KeyArgs;
use super::texts::{CAT_EXAMPLES, EXTRACT_EXAMPLES, LIST_EXAMPLES};

// `carstone list`.
#[derive(Debug, Args)]
#[command(after_long_help = LIST_EXAMPLES)]
pub(crate) struct ListArgs {
    /// The pack; `-` is standard input.
    #[arg(value_name = "PACK", value_hint = ValueHint::FilePath)]
    pub pack: PathBuf,
    /// List only what matches, and everything below it.
    #[arg(value_name = "PATTERN")]
    pub patterns: Vec<OsString>,
    /// Of a plain CAR, list what begins at this block, and not at its roots.
    #[arg(long, value_name = "CID")]
    pub root: Option<Cid>,
    /// Show kind, mode, size, modification time (UTC), SHA-256 and link target.
    #[arg(short, long)]
    pub long: bool,
    /// End names with a NUL byte instead of a line end, and escape nothing.
    #[arg(short = '0', long, conflicts_with = "long")]
    pub null: bool,
    /// What opens an encrypted pack.
    #[command(flatten)]
    pub keys: KeyArgs,
    /// Threads that decode ahead.
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// What is accepted of a plain CAR.
    #[arg(skip)]
    pub reading: ReaderOptions,
}

// `carstone extract`.
#[derive(Debug, Args)]
#[command(after_long_help = EXTRACT_EXAMPLES)]
pub(crate) struct ExtractArgs {
    /// The pack; `-` is standard input.
    #[arg(value_name = "PACK", value_hint = ValueHint::FilePath)]
    pub pack: PathBuf,
    /// Restore only what matches, and everything below it.
    #[arg(value_name = "PATTERN")]
    pub patterns: Vec<OsString>,
    /// Of a plain CAR, restore what begins at this block, and not at its roots.
    #[arg(long, value_name = "CID")]
    pub root: Option<Cid>,
    /// Where it goes, and how.
    #[command(flatten)]
    pub restore: RestoreArgs,
    /// What opens an encrypted pack.
    #[command(flatten)]
    pub keys: KeyArgs,
    /// What is accepted of a plain CAR.
    #[arg(skip)]
    pub reading: ReaderOptions,
}

// Where files are restored, and how.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// Restore into this directory, which is made if it is missing. Nothing is ever written outside of it.
    #[arg(short = 'C', long, value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    pub directory: PathBuf,
    /// What to do with files that exist.
    #[arg(long, value_name = "WHEN", default_value = "never")]
    pub overwrite: OverwriteArg,
    /// Keep what is left of files that are damaged, as NAME.partial. Without it only whole files are restored.
    #[arg(long)]
    pub salvage: bool,
    /// Leave out the first N components of each path; what has no more is left out.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub strip_components: usize,
    /// Restore the whole mode, with setuid, setgid and sticky bits and without regard to the umask.
    #[arg(long)]
    pub same_permissions: bool,
    /// Restore owner and group, which usually takes root.
    #[arg(long)]
    pub same_owner: bool,
    /// Threads that decode and write.
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

/// What to do with files that exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OverwriteArg {
    /// Leave them, and say so.
    Never,
    /// Replace them.
    Always,
    /// Replace them where the pack's is newer.
    IfNewer,
}

// `carstone cat`.
#[derive(Debug, Args)]
#[command(after_long_help = CAT_EXAMPLES)]
pub(crate) struct CatArgs {
    /// The pack; `-` is standard input.
    #[arg(value_name = "PACK", value_hint = ValueHint::FilePath)]
    pub pack: PathBuf,
    /// The file in it.
    #[arg(value_name = "PATH")]
    pub path: OsString,
    /// Only these bytes: FIRST-LAST (both included, from 0), FIRST-, or -COUNT for the last COUNT.
    #[arg(long, value_name = "RANGE", allow_hyphen_values = true)]
    pub range: Option<ByteRange>,
    /// What opens an encrypted pack.
    #[command(flatten)]
    pub keys: KeyArgs,
    /// What is accepted of a plain CAR.
    #[arg(skip)]
    pub reading: ReaderOptions,
}

/// A range of bytes, as in HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ByteRange {
    /// From the first to the last, both included.
    FromTo(u64, u64),
    /// From the first to the end.
    From(u64),
    /// So many at the end.
    Last(u64),
}

impl std::str::FromStr for ByteRange {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = "a range is FIRST-LAST, FIRST- or -COUNT";
        let number = |text: &str| text.parse().map_err(|_| bad);
        match text.split_once('-').ok_or(bad)? {
            ("", count) => Ok(Self::Last(number(count)?)),
            (first, "") => Ok(Self::From(number(first)?)),
            (first, last) => match (number(first)?, number(last)?) {
                (first, last) if first <= last => Ok(Self::FromTo(first, last)),
                _ => Err("the last byte of a range is before the first"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_http() {
        assert_eq!("0-0".parse(), Ok(ByteRange::FromTo(0, 0)));
        assert_eq!("5-".parse(), Ok(ByteRange::From(5)));
        assert_eq!("-7".parse(), Ok(ByteRange::Last(7)));
        for bad in ["", "-", "3", "4-3", "a-b", "1-2-3"] {
            assert!(bad.parse::<ByteRange>().is_err(), "{bad}");
        }
    }
}
