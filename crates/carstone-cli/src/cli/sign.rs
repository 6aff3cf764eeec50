//! Signatures: `sign`, and what `verify` asks for.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::PassphraseArgs;
use super::texts::SIGN_EXAMPLES;

// `carstone sign`.
#[derive(Debug, Args)]
#[command(after_long_help = SIGN_EXAMPLES)]
pub(crate) struct SignArgs {
    /// The pack; `-` is standard input.
    #[arg(value_name = "PACK", value_hint = ValueHint::FilePath)]
    pub pack: PathBuf,
    /// Sign with the private key of OpenSSH in this file: ed25519, RSA of 2048 bits or more, or ECDSA on P-256. `-` is standard input.
    #[arg(short, long, value_name = "KEYFILE", value_hint = ValueHint::FilePath)]
    pub key: PathBuf,
    /// Write the signature to this file instead of PACK.sig; `-` is standard output.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// Replace an existing signature.
    #[arg(long)]
    pub force: bool,
    /// What unlocks the key. Without it a locked one is asked for on the terminal.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

// Whose signature a pack must have.
#[derive(Debug, Default, Args)]
pub(crate) struct SignerArgs {
    /// Check that somebody in this list has signed the pack: a file `allowed_signers` of ssh-keygen. The signature is PACK.sig.
    #[arg(long, value_name = "ALLOWED_SIGNERS", value_hint = ValueHint::FilePath, help_heading = "Signature")]
    pub signer: Option<PathBuf>,
    /// The signature, where it is not PACK.sig.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "signer", help_heading = "Signature")]
    pub signature: Option<PathBuf>,
    /// Let no signature count but that of this principal.
    #[arg(long, value_name = "WHO", requires = "signer", help_heading = "Signature")]
    pub principal: Option<String>,
}
