//! The command line, as clap derives it.

mod car;
mod create;
mod hppr;
mod parity;
mod read;
mod rekey;
mod sign;
mod store;
mod texts;

use std::ffi::OsString;
use std::path::PathBuf;

use carstone::car::ReaderOptions;
use clap::{Args, Parser, Subcommand, ValueHint};

pub(crate) use car::{
    AttachIndexArgs, CODECS, CarArgs, CarCommand, CarListArgs, CompileArgs, CompleteArgs,
    ConcatArgs, DetachIndexArgs, DetachIndexCommand, ExportArgs, FilterArgs, GetBlockArgs,
    GetDagArgs, HashArgs, ImportArgs, IndexArgs, IndexCommand, InspectArgs, LsArgs, OneCar,
    OneToOneArgs, OutArgs, PutBlockArgs, RootsArgs, ScopeArg, SetRootsArgs, SplitArgs, WrapArgs,
    codec_named, file_options,
};
pub(crate) use create::{CarVersion, CreateArgs, FunctionArg, OrderArg, ReaderArgs};
pub(crate) use hppr::{
    HpprAddArgs, HpprArgs, HpprCheckArgs, HpprCommand, HpprDetachArgs, HpprExportArgs, HpprGetArgs,
    HpprHeadersArgs, HpprIdArgs, HpprImportArgs, HpprKeygenArgs, HpprLsArgs, HpprSealArgs,
    HpprStoreArgs, HpprTipsArgs, HpprWatchArgs,
};
pub(crate) use parity::{MakeParityArgs, ProtectArgs, ScrubArgs, UseParityArgs};
pub(crate) use read::{ByteRange, CatArgs, ExtractArgs, ListArgs, OverwriteArg, RestoreArgs};
pub(crate) use rekey::RekeyArgs;
pub(crate) use sign::{SignArgs, SignerArgs};
pub(crate) use store::{
    DedupeArg, DumpOrder, IndexForm, StoreArgs, StoreCatArgs, StoreCheckArgs, StoreCommand,
    StoreCopyArgs, StoreDumpArgs, StoreExtractArgs, StoreFindArgs, StoreGcArgs, StoreGetArgs,
    StoreHealArgs, StoreIndexAddArgs, StoreIndexCommand, StoreIndexExportArgs,
    StoreIndexImportArgs, StoreIndexPlaceArgs, StoreLsArgs, StoreProtectArgs, StorePutArgs,
    StoreRebuildArgs, StoreRmArgs,
};
pub(crate) use texts::EXIT_STATUS;
use texts::{
    CARVE_EXAMPLES, COMPLETIONS_EXAMPLES, EXAMPLES, INFO_EXAMPLES, KEYGEN_EXAMPLES, MAN_EXAMPLES,
    REPAIR_EXAMPLES, VERIFY_EXAMPLES,
};

/// Packs trees of files into one verifiable, compressed, encrypted, seekable file, and reads it in whole, in part, or
/// from a pipe.
///
/// A pack is named .cstone by convention and recognised by its content. Wherever a PACK is read, `-` is standard
/// input, and a plain CAR of either version is understood too.
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

// What can be done. Arguments of a command are made when it is called, and documentation of their type would stand in for that of the command then: it is
// a plain comment everywhere.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum Command {
    /// Pack files and directories.
    Create(Box<CreateArgs>),
    /// List what a pack holds.
    ///
    /// Of a damaged pack all that is left is listed. Content is not looked at: `verify` does that.
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Restore files from a pack.
    ///
    /// Of a damaged pack all that is whole is restored, and what is not is named. The exit status is then 1, also where nothing was lost.
    Extract(ExtractArgs),
    /// Write one file of a pack, or a range of it, to standard output.
    ///
    /// Of a damaged file, what stands before the first hole is written.
    Cat(CatArgs),
    /// Tell what a pack is made of.
    ///
    /// Content and index are not checked: `verify` does that.
    Info(InfoArgs),
    /// Check every byte of a pack, or compare it with a directory.
    ///
    /// Where parity is there, behind the pack, in PACK.par or in --parity-file, it is told too whether it is sound, what is damaged, and whether that can be healed. Any other file
    /// can be checked by its parity.
    Verify(VerifyArgs),
    /// Mend a damaged pack, byte for byte where that can be done, or make a clean one of what is left.
    ///
    /// Where parity is there, behind the pack, in PACK.par or in --parity-file, the file is restored by it, whatever it is, without a key: if not more is lost than the
    /// parity can restore, the output is the original, byte for byte. Else what could be restored is taken, and the rest goes as without parity; of a file that is no pack
    /// the output is what is left and what could be restored, with zeros for the rest, and the exit status 1.
    ///
    /// Without parity the pack is healed, for which no key is needed either: small damage is put right, frames are put in order, and what follows from others is made
    /// again. Where nothing is lost, the output is the original, byte for byte, and the exit status 0.
    ///
    /// Else, where the content can be read, because the pack is not encrypted or a key is given, the output is a clean new pack of all entries that
    /// are whole, with the same layers and for the same readers, and a new pack id. Every entry that is left out is named, and the exit status is 1.
    ///
    /// Without a key, or with --holes, what is sound stays as it is, and holes stand for what is lost.
    ///
    /// Of a plain CAR all good blocks are kept, in a CAR with the same roots and of the same version; to standard output it is a CARv1.
    Repair(RepairArgs),
    /// Make parity of packs and any other files, by which they can be restored after damage.
    ///
    /// No key is needed, and the files stay as they are: the parity of each goes into a file beside it, FILE.par. `verify` tells what is damaged and whether it can be healed,
    /// and `repair` heals it, byte for byte, as long as not more is lost than the parity can restore.
    ///
    /// Files whose parity still fits are skipped. Where it does not, the file was changed or is damaged, and the parity is kept: with --force it is made anew.
    ///
    /// Parity is no authentication: who made it says what the file was. What a pack holds is vouched for by its tags, hashes and signatures.
    Protect(ProtectArgs),
    /// Look through directories of packs and protected files for damage, and heal what can be healed.
    ///
    /// Files with parity are compared with it, packs without it are checked frame by frame; other files are passed over. No key is needed. With --heal
    /// what can be restored byte for byte gets its name again when it is whole, and the damaged file is kept beside it, as NAME.damaged; damaged parity of sound files is made anew.
    ///
    /// Nothing tells what was damaged from what was edited: a protected file that was changed on purpose differs from its parity, and --heal turns it back into what was
    /// protected. The edited one is then kept as NAME.damaged, also with --discard-damaged where it is newer than its parity. Run `protect --force` again after each change.
    ///
    /// A link is looked at as the file that it leads to where it is named, or has parity beside it. --heal changes that file only if it was named so, or lies below what was named.
    ///
    /// The exit status is 0 where all is sound in the end, and 1 where damage is left.
    Scrub(ScrubArgs),
    /// Find packs and plain CARs, or fragments of them, at any offset of an image.
    ///
    /// Everything that is found is put together as `repair` does it, without a key, and written as NUMBER-PACKID.cstone or NUMBER-OFFSET.car.
    /// Fragments may be mixed, and copies of one pack make up one. What an intact pack or CAR holds is left in it. Frames of a pack of which nothing tells what it is
    /// made of are written as they are, as NUMBER-PACKID.frames; carved together with more of it, they may become a pack. The exit status
    /// is 0 where all that was found is whole, and 1 where something has holes, or nothing was found.
    Carve(CarveArgs),
    /// Give an encrypted pack to other readers, without a look inside.
    ///
    /// -r, -R and -p name all who are to read the new pack: who is not named is left out. Content is copied as it is stored, neither decrypted nor encrypted; on the way
    /// it is checked for damage by its checksums, and not for forgery, which only `verify` with a key can tell. Pack id, entries and CIDs stay the same. Parity and signatures of the old pack do not fit the new one, and are left behind.
    ///
    /// Whoever could read the old pack and kept its content key can read the new one too, and every copy of the old pack still opens for its readers. With --fresh all
    /// content is packed and encrypted anew, under a new key and a new pack id.
    Rekey(RekeyArgs),
    /// Work on plain CARs block by block, as IPFS tools do.
    Car(Box<CarArgs>),
    /// Keep files in a store of content-addressed packs, and find them by their hashes.
    ///
    /// Everything that is put becomes blocks in packs of limited size, as IPFS has them; its root is what it is called by. Packs are whole and durable before
    /// the index speaks of them.
    Store(StoreArgs),
    /// Keep signed packets in an HPPR repository, by coordinate and time.
    ///
    /// A Blob is data, a Plex is a Blob at a coordinate, with a time and headers, and a Seal is a Plex that somebody has signed. Each is called by the BLAKE3 hash of
    /// its bytes, and everything that is read is verified.
    Hppr(HpprArgs),
    /// Sign a pack with an SSH key, in a file of its own.
    ///
    /// The signature is one of OpenSSH, for the namespace `carstone`, over the stored bytes from the container header to the trailer. What stands behind
    /// the trailer is not covered, and any change of the pack ends it. The pack is not checked beforehand: `verify` does that.
    Sign(SignArgs),
    /// Make an age identity, a key to encrypt to.
    Keygen(KeygenArgs),
    /// Print completions for a shell.
    Completions(CompletionsArgs),
    /// Write the pages of the manual.
    Man(ManArgs),
}

// How a passphrase is given: never as an argument.
#[derive(Debug, Default, Args)]
pub(crate) struct PassphraseArgs {
    /// Use a passphrase, asked for on the terminal.
    #[arg(short, long, help_heading = "Encryption", conflicts_with_all = ["passphrase_file", "passphrase_command"])]
    pub passphrase: bool,
    /// Use the passphrase on the first line of this file; `-` is standard input.
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

// What opens an encrypted pack.
#[derive(Debug, Default, Args)]
pub(crate) struct KeyArgs {
    /// Decrypt with the identities in this file, of age or an SSH key; can be given again. `-` is standard input.
    ///
    /// Where no option gives a key, the file that the environment variable CARSTONE_IDENTITY names is used.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Encryption")]
    pub identity: Vec<PathBuf>,
    /// How a passphrase is given.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

// `carstone info`.
#[derive(Debug, Args)]
#[command(after_long_help = INFO_EXAMPLES)]
pub(crate) struct InfoArgs {
    /// The pack; `-` is standard input.
    #[arg(value_name = "PACK", value_hint = ValueHint::FilePath)]
    pub pack: PathBuf,
    /// What opens an encrypted pack; without it only the public part is told.
    #[command(flatten)]
    pub keys: KeyArgs,
}

// `carstone verify`.
#[derive(Debug, Args)]
#[command(after_long_help = VERIFY_EXAMPLES)]
pub(crate) struct VerifyArgs {
    /// The pack; `-` is standard input.
    #[arg(value_name = "PACK", value_hint = ValueHint::FilePath)]
    pub pack: PathBuf,
    /// Compare the pack with this directory instead; differences are exit status 1.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub against: Option<PathBuf>,
    /// Whose signature it must have.
    #[command(flatten)]
    pub signed: SignerArgs,
    /// What opens an encrypted pack; without it only frames are checked.
    #[command(flatten)]
    pub keys: KeyArgs,
    /// Which parity is looked at.
    #[command(flatten)]
    pub parity: UseParityArgs,
    /// Threads that decode and hash.
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// What is accepted of a plain CAR.
    #[arg(skip)]
    pub reading: ReaderOptions,
}

// `carstone repair`.
#[derive(Debug, Args)]
#[command(after_long_help = REPAIR_EXAMPLES)]
pub(crate) struct RepairArgs {
    /// The damaged pack or plain CAR, or any file with parity, which is never changed; `-` is standard input.
    #[arg(value_name = "DAMAGED", value_hint = ValueHint::FilePath)]
    pub damaged: PathBuf,
    /// The mended pack to write; `-` is standard output. It appears under its name only when it is complete.
    #[arg(
        short,
        long,
        value_name = "PACK",
        value_hint = ValueHint::FilePath,
        required_unless_present = "dry_run"
    )]
    pub output: Option<PathBuf>,
    /// Replace an existing output.
    #[arg(long)]
    pub force: bool,
    /// Write nothing, and tell what would be mended and what is lost.
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Keep what is left of files with holes in the new pack, as NAME.partial, with zeros for what is missing. Without it only whole entries are
    /// kept.
    #[arg(long)]
    pub keep_partial: bool,
    /// Keep the sound frames as they are, with holes for what is lost, even where a new pack could be made.
    #[arg(long, conflicts_with = "keep_partial")]
    pub holes: bool,
    /// What opens an encrypted pack; without it only frames can be healed.
    #[command(flatten)]
    pub keys: KeyArgs,
    /// Which parity is used; no key is asked for it.
    #[command(flatten)]
    pub parity: UseParityArgs,
    /// Threads that decode and compress.
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

// `carstone carve`.
#[derive(Debug, Args)]
#[command(after_long_help = CARVE_EXAMPLES)]
pub(crate) struct CarveArgs {
    /// A disk image, a device, a concatenation, a damaged file, which is never changed; `-` is standard input, kept in a temporary file.
    #[arg(value_name = "IMAGE", value_hint = ValueHint::FilePath)]
    pub image: PathBuf,
    /// Where to write what is found; made if it is not there.
    #[arg(
        short = 'C',
        long,
        value_name = "DIR",
        value_hint = ValueHint::DirPath,
        required_unless_present = "dry_run"
    )]
    pub directory: Option<PathBuf>,
    /// Replace existing files.
    #[arg(long)]
    pub force: bool,
    /// Write nothing, and tell what would be written.
    #[arg(short = 'n', long)]
    pub dry_run: bool,
}

// `carstone keygen`.
#[derive(Debug, Args)]
#[command(after_long_help = KEYGEN_EXAMPLES)]
pub(crate) struct KeygenArgs {
    /// Write the identity to this new file, which only its owner can read, instead of standard output; `-` is standard output.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// Make a post-quantum identity (age1pq1), which age 1.3 and later reads. Packs are encrypted to recipients of this
    /// kind only, or of the other kind only.
    #[arg(long)]
    pub pq: bool,
}

// `carstone completions`.
#[derive(Debug, Args)]
#[command(after_long_help = COMPLETIONS_EXAMPLES)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    pub shell: clap_complete::Shell,
}

// `carstone man`.
#[derive(Debug, Args)]
#[command(after_long_help = MAN_EXAMPLES)]
pub(crate) struct ManArgs {
    /// The directory for the pages, one for each command, which is made if it is missing. Pages that are there are
    /// replaced.
    #[arg(long, value_name = "DIR", default_value = "man", value_hint = ValueHint::DirPath)]
    pub out: PathBuf,
}

/// A number of bytes, with a suffix.
fn size(text: &str) -> Result<u64, String> {
    let wrong = || "a size is a number with K, M or G".to_owned();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        _ => return Err(wrong()),
    };
    digits.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
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
