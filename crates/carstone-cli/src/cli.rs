//! The command line, as clap derives it.

use std::ffi::OsString;
use std::path::PathBuf;

use carstone::compress::Codec;
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

/// Packs trees of files into one verifiable, compressed, encrypted, seekable file, and reads it in whole, in part, or
/// from a pipe.
///
/// A pack is named .cstone by convention and recognised by its content. Wherever a PACK is read, `-` is standard
/// input, and a plain CARv1 is understood too.
#[derive(Debug, Parser)]
#[command(name = "carstone", version, max_term_width = 100, after_long_help = EXAMPLES)]
#[command(
    disable_help_subcommand = false,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    /// Print JSON Lines: objects with a `type`, one a line.
    #[arg(long, global = true, display_order = 900)]
    pub json: bool,
    /// No progress bar, no summary; only results and problems.
    #[arg(long, short, global = true, display_order = 901)]
    pub quiet: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Pack files and directories.
    Create(CreateArgs),
    /// List what a pack holds.
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Restore files from a pack.
    Extract(ExtractArgs),
    /// Write one file of a pack, or a range of it, to standard output.
    Cat(CatArgs),
    /// Tell what a pack is made of.
    Info(InfoArgs),
    /// Check every byte of a pack, or compare it with a directory.
    Verify(VerifyArgs),
    /// Make an age identity, a key to encrypt to.
    Keygen(KeygenArgs),
    /// Print completions for a shell.
    Completions(CompletionsArgs),
}

/// `carstone create`.
#[derive(Debug, Args)]
#[command(after_long_help = CREATE_EXAMPLES)]
pub(crate) struct CreateArgs {
    /// The pack to write; `-` is standard output. It appears under its name only when it is complete.
    #[arg(short, long, value_name = "PACK", value_hint = ValueHint::FilePath)]
    pub output: PathBuf,
    /// Files and directories to pack. One directory alone is the root of the pack; else each stands under its path as
    /// given.
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
    /// Paths are looked up below this directory.
    #[arg(short = 'C', long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub directory: Option<PathBuf>,
    /// Replace an existing output.
    #[arg(long)]
    pub force: bool,

    /// How to compress: none, brotli[:0-11] or zstd[:1-22] [default: brotli:5].
    #[arg(long, value_name = "CODEC", help_heading = "Stored form")]
    pub compress: Option<Codec>,
    /// Bytes that are compressed together, 64K to 16M: larger compresses better, smaller reads faster in the middle
    /// [default: 4M].
    #[arg(long, value_name = "SIZE", value_parser = block_size, help_heading = "Stored form")]
    pub block_size: Option<u32>,
    /// Write a plain CARv1, which every IPLD tool opens; so does an output that ends in `.car`. Mode, times, owner and
    /// extended attributes are lost, and names that are not UTF-8 are left out.
    #[arg(long, help_heading = "Stored form")]
    pub plain: bool,
    /// Threads that read, hash, compress and encrypt. The bytes of a pack do not depend on it.
    #[arg(long, value_name = "N", help_heading = "Stored form")]
    pub threads: Option<usize>,

    /// Encrypt to this age recipient; can be given again.
    #[arg(short, long, value_name = "RECIPIENT", help_heading = "Encryption")]
    pub recipient: Vec<String>,
    /// Encrypt to the recipients in this file, one a line; can be given again.
    #[arg(short = 'R', long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Encryption")]
    pub recipients_file: Vec<PathBuf>,
    /// How a passphrase is given.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,

    /// Leave out what matches: a pattern without `/` is compared with names, one with `/` with paths in the pack. A
    /// directory that matches is not entered.
    #[arg(long, value_name = "GLOB", help_heading = "Choosing files")]
    pub exclude: Vec<String>,
    /// Leave out what matches a pattern in this file, one a line.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Choosing files")]
    pub exclude_from: Vec<PathBuf>,
    /// Read more paths from this file, one a line; `-` is standard input.
    #[arg(short = 'T', long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Choosing files")]
    pub files_from: Option<PathBuf>,
    /// Paths in the list end with a NUL byte instead of a line end.
    #[arg(long, requires = "files_from", help_heading = "Choosing files")]
    pub null: bool,
    /// Do not enter directories: pack only what is named.
    #[arg(long, help_heading = "Choosing files")]
    pub no_recursion: bool,
    /// Do not enter other file systems.
    #[arg(short = 'x', long, help_heading = "Choosing files")]
    pub one_file_system: bool,
    /// In which order files are packed. By type compresses best; plain CARs keep path order.
    #[arg(long, value_name = "ORDER", default_value = "type", help_heading = "Choosing files")]
    pub order: OrderArg,
    /// Pack standard input as one file of this name.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["paths", "files_from"], help_heading = "Choosing files")]
    pub stdin_name: Option<OsString>,
}

/// Order of files in a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OrderArg {
    /// By extension, name and size.
    Type,
    /// By path.
    Path,
    /// As they are given and found.
    Given,
}

/// How a passphrase is given: never as an argument.
#[derive(Debug, Default, Args)]
pub(crate) struct PassphraseArgs {
    /// Use a passphrase, asked for on the terminal.
    #[arg(short, long, help_heading = "Encryption", conflicts_with_all = ["passphrase_file", "passphrase_command"])]
    pub passphrase: bool,
    /// Use the passphrase on the first line of this file.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Encryption")]
    pub passphrase_file: Option<PathBuf>,
    /// Use the passphrase on the first line that this shell command prints.
    #[arg(
        long,
        value_name = "COMMAND",
        conflicts_with = "passphrase_file",
        help_heading = "Encryption"
    )]
    pub passphrase_command: Option<OsString>,
}

/// What opens an encrypted pack.
#[derive(Debug, Default, Args)]
pub(crate) struct KeyArgs {
    /// Decrypt with the age identities in this file; can be given again. `-` is standard input.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Encryption")]
    pub identity: Vec<PathBuf>,
    /// How a passphrase is given.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

/// `carstone list`.
#[derive(Debug, Args)]
#[command(after_long_help = LIST_EXAMPLES)]
pub(crate) struct ListArgs {
    /// The pack; `-` is standard input.
    #[arg(value_name = "PACK", value_hint = ValueHint::FilePath)]
    pub pack: PathBuf,
    /// List only what matches, and everything below it.
    #[arg(value_name = "PATTERN")]
    pub patterns: Vec<OsString>,
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
}

/// `carstone extract`.
#[derive(Debug, Args)]
#[command(after_long_help = EXTRACT_EXAMPLES)]
pub(crate) struct ExtractArgs {
    /// The pack; `-` is standard input.
    #[arg(value_name = "PACK", value_hint = ValueHint::FilePath)]
    pub pack: PathBuf,
    /// Restore only what matches, and everything below it.
    #[arg(value_name = "PATTERN")]
    pub patterns: Vec<OsString>,
    /// Restore into this directory, which is made if it is missing. Nothing is ever written outside of it.
    #[arg(short = 'C', long, value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    pub directory: PathBuf,
    /// What to do with files that exist.
    #[arg(long, value_name = "WHEN", default_value = "never")]
    pub overwrite: OverwriteArg,
    /// Leave out the first N components of each path; what has no more is left out.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub strip_components: usize,
    /// Restore the whole mode, with setuid, setgid and sticky bits and without regard to the umask.
    #[arg(long)]
    pub same_permissions: bool,
    /// Restore owner and group, which usually takes root.
    #[arg(long)]
    pub same_owner: bool,
    /// What opens an encrypted pack.
    #[command(flatten)]
    pub keys: KeyArgs,
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

/// `carstone cat`.
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

/// `carstone info`.
#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    /// The pack; `-` is standard input.
    #[arg(value_name = "PACK", value_hint = ValueHint::FilePath)]
    pub pack: PathBuf,
    /// What opens an encrypted pack; without it only the public part is told.
    #[command(flatten)]
    pub keys: KeyArgs,
}

/// `carstone verify`.
#[derive(Debug, Args)]
#[command(after_long_help = VERIFY_EXAMPLES)]
pub(crate) struct VerifyArgs {
    /// The pack; `-` is standard input.
    #[arg(value_name = "PACK", value_hint = ValueHint::FilePath)]
    pub pack: PathBuf,
    /// Compare the pack with this directory instead; differences are exit status 1.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub against: Option<PathBuf>,
    /// What opens an encrypted pack; without it only frames are checked.
    #[command(flatten)]
    pub keys: KeyArgs,
    /// Threads that decode and hash.
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

/// `carstone keygen`.
#[derive(Debug, Args)]
pub(crate) struct KeygenArgs {
    /// Write the identity to this new file, which only its owner can read, instead of standard output.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
}

/// `carstone completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    pub shell: clap_complete::Shell,
}

fn block_size(text: &str) -> Result<u32, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        _ => return Err("a size is a number with K or M".to_owned()),
    };
    let bytes = digits.parse::<u32>().ok().and_then(|number| number.checked_mul(factor));
    match bytes {
        Some(bytes) if (64 << 10..=16 << 20).contains(&bytes) => Ok(bytes),
        Some(_) => Err("a block size is 64K to 16M".to_owned()),
        None => Err("a size is a number with K or M".to_owned()),
    }
}

const EXAMPLES: &str = "\
Examples:
  carstone create -o docs.cstone docs/            pack a directory
  carstone list -l docs.cstone                    list it with sizes and SHA-256
  carstone cat docs.cstone guide/intro.md         read one file
  carstone extract -C restored docs.cstone        restore everything
  carstone keygen -o key.txt                      make a key
  carstone create -o - -r age1... docs | ssh host 'cat > docs.cstone'
                                                  encrypt into a pipe
  carstone verify -i key.txt docs.cstone          check every byte

Exit status: 0 everything is intact; 1 done, but damage, a difference or an unreadable file was found;
2 it could not be done; 130 interrupted.";
const CREATE_EXAMPLES: &str = "\
Examples:
  carstone create -o docs.cstone docs
  carstone create -o backup.cstone -C /home/me -R readers.txt --exclude '*.o' src notes.txt
  carstone create -o fast.cstone --compress zstd:3 data
  carstone create -o site.car public              a plain CARv1
  find . -name '*.rs' -print0 | carstone create -o rust.cstone -T - --null
  pg_dump shop | carstone create -o shop.cstone --stdin-name shop.sql

When the output is a file, the CID of the root directory is printed.";
const LIST_EXAMPLES: &str = "\
Examples:
  carstone list docs.cstone
  carstone list -l docs.cstone 'guide/*.md' images
  curl -s https://example.org/docs.cstone | carstone list -";
const EXTRACT_EXAMPLES: &str = "\
Examples:
  carstone extract -C restored docs.cstone
  carstone extract -i key.txt docs.cstone guide 'images/*.png'
  carstone create -o - docs | carstone extract -C copy -";
const CAT_EXAMPLES: &str = "\
Examples:
  carstone cat docs.cstone guide/intro.md
  carstone cat --range 0-511 disk.cstone image.raw
  carstone cat --range -1000 logs.cstone server.log";
const VERIFY_EXAMPLES: &str = "\
Examples:
  carstone verify docs.cstone
  carstone verify -i key.txt backup.cstone
  carstone verify docs.cstone --against docs";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn block_sizes_have_suffixes_and_bounds() {
        assert_eq!(block_size("64K"), Ok(64 << 10));
        assert_eq!(block_size("16MiB"), Ok(16 << 20));
        assert_eq!(block_size("65536"), Ok(65536));
        for bad in ["63K", "17M", "", "M", "1G", "4294967297", "8 M", "99999999M"] {
            assert!(block_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ranges_are_those_of_http() {
        assert_eq!("0-0".parse(), Ok(ByteRange::FromTo(0, 0)));
        assert_eq!("5-".parse(), Ok(ByteRange::From(5)));
        assert_eq!("-7".parse(), Ok(ByteRange::Last(7)));
        for bad in ["", "-", "3", "4-3", "a-b", "1-2-3"] {
            assert!(bad.parse::<ByteRange>().is_err(), "{bad}");
        }
    }

    #[test]
    fn every_option_says_what_it_does() {
        let mut command = Cli::command();
        command.build();
        for sub in command.get_subcommands() {
            for arg in sub.get_arguments() {
                assert!(arg.get_help().is_some(), "{} {}", sub.get_name(), arg.get_id());
            }
        }
    }
}
