//! What `rekey` is told.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::texts::REKEY_EXAMPLES;
use super::{KeyArgs, PassphraseArgs, ReaderArgs};

// `carstone rekey`.
#[derive(Debug, Args)]
#[command(after_long_help = REKEY_EXAMPLES)]
pub(crate) struct RekeyArgs {
    /// The encrypted pack, without damage; `-` is standard input, kept in a temporary file.
    #[arg(value_name = "PACK", value_hint = ValueHint::FilePath)]
    pub pack: PathBuf,
    /// The new pack to write; `-` is standard output. It appears under its name only when it is complete.
    #[arg(short, long, value_name = "NEW", value_hint = ValueHint::FilePath)]
    pub output: PathBuf,
    /// Replace an existing output, also the pack itself.
    #[arg(long)]
    pub force: bool,
    /// Pack and encrypt all content anew, under a new key and a new pack id, so that a key somebody kept opens nothing of it. Takes as long as making the pack.
    #[arg(long)]
    pub fresh: bool,
    /// All who may read the new pack.
    #[command(flatten)]
    pub readers: ReaderArgs,
    /// What opens the old pack.
    #[command(flatten)]
    pub old: OldKeyArgs,
    /// Threads that check, and with --fresh decode and compress.
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

// What opens the old pack, where a passphrase for the new one may be given too.
#[derive(Debug, Args)]
pub(crate) struct OldKeyArgs {
    /// Decrypt with the age identities in this file; can be given again. `-` is standard input.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Decryption")]
    pub identity: Vec<PathBuf>,
    /// The old pack has a passphrase, asked for on the terminal.
    #[arg(long, help_heading = "Decryption", conflicts_with_all = ["old_passphrase_file", "old_passphrase_command"])]
    pub old_passphrase: bool,
    /// The passphrase of the old pack is on the first line of this file; `-` is standard input.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Decryption")]
    pub old_passphrase_file: Option<PathBuf>,
    /// The passphrase of the old pack is on the first line that this shell command prints.
    #[arg(
        long,
        value_name = "COMMAND",
        conflicts_with = "old_passphrase_file",
        help_heading = "Decryption"
    )]
    pub old_passphrase_command: Option<OsString>,
}

impl OldKeyArgs {
    /// As other commands have them.
    pub(crate) fn key_args(&self) -> KeyArgs {
        KeyArgs {
            identity: self.identity.clone(),
            passphrase: PassphraseArgs {
                passphrase: self.old_passphrase,
                passphrase_file: self.old_passphrase_file.clone(),
                passphrase_command: self.old_passphrase_command.clone(),
            },
        }
    }
}
