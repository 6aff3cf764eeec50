//! Whom a pack is encrypted to.

use std::io;
use std::path::PathBuf;

use anyhow::Context;
use carstone::keys::{Recipient, Recipients};
use carstone::stack::Protection;

use super::secret::{is_secret, names_a_file};
use super::terminal::Terminal;
use super::{is_stdin, once, passphrase};
use crate::cli::ReaderArgs;
use crate::input::chain;
use crate::output::warning;

/// How a new pack is encrypted; `None` when nothing asks for it. A dry run asks for no passphrase.
pub(crate) fn protection(args: &ReaderArgs, dry_run: bool) -> anyhow::Result<Option<Protection>> {
    let recipients = recipients(args, dry_run)?;
    match recipients.is_empty() {
        true => Ok(None),
        false => Ok(Some(Protection::seal(&recipients)?)),
    }
}

/// Those who are to read what is encrypted; none if it is not.
pub(crate) fn recipients(args: &ReaderArgs, dry_run: bool) -> anyhow::Result<Recipients> {
    let mut recipients = public_keys(args)?;
    if let Some(passphrase) = passphrase::given(&args.passphrase)? {
        recipients.passphrase(passphrase);
    } else if args.passphrase.passphrase {
        recipients.passphrase(match dry_run {
            true => "not asked for".to_owned().into(),
            false => passphrase::new("Passphrase")?,
        });
    }
    Ok(recipients)
}

/// The same where another passphrase is asked for before.
pub(crate) fn new_recipients(args: &ReaderArgs) -> anyhow::Result<Recipients> {
    let mut recipients = public_keys(args)?;
    if let Some(passphrase) = passphrase::given(&args.passphrase)? {
        recipients.passphrase(passphrase);
    } else if args.passphrase.passphrase {
        recipients.passphrase(passphrase::new("New passphrase")?);
    }
    Ok(recipients)
}

fn public_keys(args: &ReaderArgs) -> anyhow::Result<Recipients> {
    let mut recipients = Recipients::new();
    recipients.plugin_ui(Terminal);
    let files = args.recipients_file.iter().chain(&args.passphrase.passphrase_file);
    once(files.map(PathBuf::as_path))?;
    for (number, text) in (1..).zip(&args.recipient) {
        recipients.add(Recipient::parse(text).with_context(|| named(number, text))?);
    }
    for path in &args.recipients_file {
        names_a_file(path)?;
        match is_stdin(path) {
            true => recipients.add_reader(io::stdin().lock(), path)?,
            false => recipients.add_file(path)?,
        }
    }
    for error in recipients.passed_over() {
        warning(&format!("{}; it is passed over", chain(error)));
    }
    Ok(recipients)
}

/// How messages call a recipient. What is neither an age recipient nor an SSH key may be a secret that was given by
/// mistake, and is not repeated; of an SSH key its kind is.
fn named(number: usize, text: &str) -> String {
    if let Some(kind) = SSH_KINDS.iter().find(|kind| text.starts_with(**kind)) {
        return format!("recipient number {number}, {kind}");
    }
    match text.get(..SHOWN) {
        _ if !text.starts_with("age1") || is_secret(text.as_ref()) => {
            format!("recipient number {number}")
        }
        Some(start) => format!("recipient \"{}…\"", start.escape_debug()),
        None => format!("recipient {text:?}"),
    }
}

const SSH_KINDS: [&str; 4] = ["ssh-ed25519", "ssh-rsa", "ssh-dss", "ecdsa-sha2-"];
/// Characters of a recipient in a message; post-quantum ones have 1959.
const SHOWN: usize = 70;
