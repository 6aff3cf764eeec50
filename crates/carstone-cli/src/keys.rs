//! Keys: whom a pack is encrypted to, and what opens it.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, anyhow, bail};
use carstone::encrypt::{ContentKeyBytes, KeySource};
use carstone::keys::secrecy::{ExposeSecret, SecretString};
use carstone::keys::{Envelope, Identities, PassphraseFor, Recipient, Recipients};
use carstone::stack::Protection;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::cli::{KeyArgs, PassphraseArgs, ReaderArgs};

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
    let mut recipients = Recipients::new();
    for text in &args.recipient {
        let recipient = Recipient::parse(text).with_context(|| format!("recipient {text:?}"))?;
        recipients.add(recipient);
    }
    for path in &args.recipients_file {
        match is_stdin(path) {
            true => recipients.add_reader(io::stdin().lock(), path)?,
            false => recipients.add_file(path)?,
        }
    }
    if let Some(passphrase) = given_passphrase(&args.passphrase)? {
        recipients.passphrase(passphrase);
    } else if args.passphrase.passphrase {
        recipients.passphrase(match dry_run {
            true => "not asked for".to_owned().into(),
            false => new_passphrase()?,
        });
    }
    Ok(recipients)
}

/// What may open a pack.
pub(crate) struct Keys(Identities);

impl Keys {
    /// What the options give for `pack`. Passphrases are asked for only when they are needed.
    pub(crate) fn new(args: &KeyArgs, pack: &Path) -> anyhow::Result<Self> {
        once(args.identity.iter().map(PathBuf::as_path).chain([pack]))?;
        let mut identities = Identities::new();
        for path in &args.identity {
            match is_stdin(path) {
                true => identities.add_reader(io::stdin().lock(), path)?,
                false => identities.add_file(path)?,
            }
        }
        if let Some(passphrase) = given_passphrase(&args.passphrase)? {
            identities.passphrase(passphrase);
        } else if args.passphrase.passphrase || !args.identity.is_empty() {
            let for_pack = args.passphrase.passphrase;
            identities.passphrase_callback(move |what| match what {
                PassphraseFor::Envelope if !for_pack => {
                    Err(io::Error::other("the pack is sealed to a passphrase: give -p"))
                }
                PassphraseFor::Envelope => ask("Passphrase of the pack: "),
                PassphraseFor::IdentityFile(path) | PassphraseFor::SshKey(path) => {
                    ask(&format!("Passphrase of {}: ", path.display()))
                }
                _ => ask("Passphrase: "),
            });
        }
        Ok(Self(identities))
    }

    /// Whether no key was given.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Opens envelopes.
    pub(crate) fn source(&self) -> impl KeySource + '_ {
        |envelope: &[u8]| -> io::Result<Option<ContentKeyBytes>> {
            if envelope.is_empty() || self.0.is_empty() {
                return Ok(None);
            }
            let key = self.0.open(&Envelope::from_bytes(envelope)?)?;
            Ok(Some(ContentKeyBytes::new(*key.as_bytes())))
        }
    }
}

/// Whether a path means standard input.
pub(crate) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Standard input can be read for one purpose only.
pub(crate) fn once<'a>(paths: impl IntoIterator<Item = &'a Path>) -> anyhow::Result<()> {
    match paths.into_iter().filter(|path| is_stdin(path)).count() {
        0 | 1 => Ok(()),
        _ => bail!("standard input (-) can be given once only"),
    }
}

/// A passphrase from a file or a command.
fn given_passphrase(args: &PassphraseArgs) -> anyhow::Result<Option<SecretString>> {
    if let Some(path) = &args.passphrase_file {
        let file = std::fs::File::open(path);
        let file = file.with_context(|| format!("{}: cannot open", path.display()))?;
        return first_line(file).with_context(|| path.display().to_string()).map(Some);
    }
    let Some(command) = &args.passphrase_command else { return Ok(None) };
    let name = || format!("passphrase command {command:?}");
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = shell.spawn().with_context(name)?;
    let stdout = child.stdout.take().context("the command has no output")?;
    let passphrase = first_line(stdout).with_context(name);
    let status = child.wait().with_context(name)?;
    if !status.success() {
        bail!("{}: {status}", name());
    }
    passphrase.map(Some)
}

#[expect(clippy::unbuffered_bytes, reason = "a buffer would keep a copy of the passphrase")]
fn first_line(source: impl Read) -> anyhow::Result<SecretString> {
    // All the room from the start, since a vector that grows leaves copies behind.
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_PASSPHRASE));
    for byte in source.take(MAX_PASSPHRASE as u64).bytes() {
        match byte.context("cannot read")? {
            b'\n' => break,
            byte => line.push(byte),
        }
    }
    let passphrase = str::from_utf8(&line).map_err(|_| anyhow!("it is no UTF-8 text"))?;
    let passphrase = passphrase.strip_suffix('\r').unwrap_or(passphrase);
    if passphrase.is_empty() {
        bail!("there is no passphrase on its first line");
    }
    Ok(passphrase.to_owned().into())
}

fn new_passphrase() -> anyhow::Result<SecretString> {
    let first = ask("Passphrase: ").context("cannot ask for a passphrase")?;
    if first.expose_secret().is_empty() {
        bail!("the passphrase is empty");
    }
    let second = ask("Passphrase again: ").context("cannot ask for a passphrase")?;
    if !is_same(first.expose_secret(), second.expose_secret()) {
        bail!("the passphrases differ");
    }
    Ok(first)
}

/// Compares in a time that depends on nothing but the lengths.
fn is_same(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

fn ask(prompt: &str) -> io::Result<SecretString> {
    rpassword::prompt_password(prompt).map(SecretString::from)
}

const MAX_PASSPHRASE: usize = 64 << 10;
