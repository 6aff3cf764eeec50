//! Keys: whom a pack is encrypted to, and what opens it.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail};
use carstone::encrypt::{ContentKeyBytes, KeySource};
use carstone::keys::secrecy::SecretString;
use carstone::keys::{
    Envelope, Error, ErrorKind, Identities, PassphraseFor, Recipient, Recipients,
};
use carstone::stack::Protection;

use crate::cli::{KeyArgs, PassphraseArgs, ReaderArgs};
use crate::input::chain;

mod passphrase;
mod terminal;

use passphrase::ask;
use terminal::Terminal;

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
    recipients.plugin_ui(Terminal);
    for (number, text) in (1..).zip(&args.recipient) {
        recipients.add(Recipient::parse(text).with_context(|| named(number, text))?);
    }
    for path in &args.recipients_file {
        match is_stdin(path) {
            true => recipients.add_reader(io::stdin().lock(), path)?,
            false => recipients.add_file(path)?,
        }
    }
    if let Some(passphrase) = passphrase::given(&args.passphrase)? {
        recipients.passphrase(passphrase);
    } else if args.passphrase.passphrase {
        recipients.passphrase(match dry_run {
            true => "not asked for".to_owned().into(),
            false => passphrase::new()?,
        });
    }
    Ok(recipients)
}

/// How messages call a recipient. What is neither an age recipient nor an SSH key may be a secret that was given by
/// mistake, and is not repeated.
fn named(number: usize, text: &str) -> String {
    let is_public = text.starts_with("age1") || text.starts_with("ssh-");
    match text.get(..SHOWN) {
        _ if !is_public => format!("recipient number {number}"),
        Some(start) => format!("recipient \"{}…\"", start.escape_debug()),
        None => format!("recipient {text:?}"),
    }
}

/// What may open a pack.
pub(crate) struct Keys {
    given: Identities,
    /// Of the environment, where nothing was given.
    fallback: Option<Fallback>,
}

/// The key file that the environment names.
struct Fallback {
    path: PathBuf,
    identities: OnceLock<Result<Identities, String>>,
    /// Whether the work is done without it where it does not open a pack.
    is_optional: bool,
    has_failed: AtomicBool,
}

impl Keys {
    /// No keys, wherever they may be.
    pub(crate) fn none() -> Self {
        Self { given: Identities::new(), fallback: None }
    }

    /// What the options give for `pack`. Passphrases are asked for only when they are needed. Where there are no
    /// options, the file in `CARSTONE_IDENTITY` is used, which is read only when a pack is encrypted.
    pub(crate) fn new(args: &KeyArgs, pack: &Path) -> anyhow::Result<Self> {
        Self::of(args, pack, false, NEEDS_PASSPHRASE)
    }

    /// The same with another word for who has a passphrase and did not say so.
    pub(crate) fn with_hint(
        args: &KeyArgs,
        pack: &Path,
        hint: &'static str,
    ) -> anyhow::Result<Self> {
        Self::of(args, pack, false, hint)
    }

    /// The same for commands that do something for everybody, and more with a key: a file in `CARSTONE_IDENTITY` that
    /// does not open the pack, or takes a passphrase or a plugin to open it, counts as none.
    pub(crate) fn optional(args: &KeyArgs, pack: &Path) -> anyhow::Result<Self> {
        Self::of(args, pack, true, NEEDS_PASSPHRASE)
    }

    fn of(
        args: &KeyArgs,
        pack: &Path,
        is_optional: bool,
        hint: &'static str,
    ) -> anyhow::Result<Self> {
        once(args.identity.iter().map(PathBuf::as_path).chain([pack]))?;
        let mut given = Identities::new();
        for path in &args.identity {
            match is_stdin(path) {
                true => given.add_reader(io::stdin().lock(), path)?,
                false => given.add_file(path)?,
            }
        }
        if let Some(passphrase) = passphrase::given(&args.passphrase)? {
            given.passphrase(passphrase);
        } else if args.passphrase.passphrase || !args.identity.is_empty() {
            ask_for(&mut given, args.passphrase.passphrase, hint);
        }
        given.plugin_ui(Terminal);
        let path = env::var_os(IDENTITY).filter(|path| !path.is_empty() && given.is_empty());
        let fallback = path.map(|path| Fallback {
            path: path.into(),
            identities: OnceLock::new(),
            is_optional,
            has_failed: AtomicBool::new(false),
        });
        Ok(Self { given, fallback })
    }

    /// Whether there is no key at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.given.is_empty() && self.fallback.is_none()
    }

    /// Whether there is something to open this envelope with. Of keys that were given nothing else is asked.
    pub(crate) fn may_open(&self, envelope: &[u8]) -> bool {
        match &self.fallback {
            Some(fallback) => matches!(fallback.open(envelope), Ok(Some(_))),
            None => !self.given.is_empty(),
        }
    }

    /// Whether the key file of the environment opened nothing.
    pub(crate) fn has_failed(&self) -> bool {
        self.fallback.as_ref().is_some_and(|fallback| fallback.has_failed.load(Ordering::Relaxed))
    }

    /// Opens envelopes.
    pub(crate) fn source(&self) -> impl KeySource + '_ {
        |envelope: &[u8]| match &self.fallback {
            _ if envelope.is_empty() => Ok(None),
            Some(fallback) => fallback.open(envelope),
            None if self.given.is_empty() => Ok(None),
            None => {
                let key = self.given.open(&Envelope::from_bytes(envelope)?)?;
                Ok(Some(ContentKeyBytes::new(*key.as_bytes())))
            }
        }
    }
}

/// What unlocks the private key in this file: what the options give, else what is typed.
pub(crate) fn passphrase_of(args: &PassphraseArgs, key: &Path) -> io::Result<SecretString> {
    match passphrase::given(args) {
        Ok(Some(passphrase)) => Ok(passphrase),
        Ok(None) => ask(&format!("Passphrase of {}: ", key.display())),
        Err(error) => Err(io::Error::other(format!("{error:#}"))),
    }
}

impl Fallback {
    /// `None` where it is as if there were no key file.
    fn open(&self, envelope: &[u8]) -> io::Result<Option<ContentKeyBytes>> {
        let opened = match self.try_open(envelope) {
            Err(error) if self.is_optional || is_for_others(&error) => Ok(None),
            opened => opened,
        };
        if !matches!(opened, Ok(Some(_))) {
            self.has_failed.store(true, Ordering::Relaxed);
        }
        opened
    }

    fn try_open(&self, envelope: &[u8]) -> io::Result<Option<ContentKeyBytes>> {
        let envelope = Envelope::from_bytes(envelope)?;
        if envelope.needs_passphrase() {
            return Ok(None);
        }
        let identities = self.identities.get_or_init(|| self.read());
        let identities = identities.as_ref().map_err(|error| io::Error::other(error.clone()))?;
        let key = identities.open(&envelope)?;
        Ok(Some(ContentKeyBytes::new(*key.as_bytes())))
    }

    fn read(&self) -> Result<Identities, String> {
        let mut identities = Identities::new();
        let read = identities.add_file(&self.path);
        read.map_err(|error| format!("{IDENTITY}: {}", chain(&error)))?;
        match self.is_optional {
            true => identities.forget_plugins(),
            false => {
                ask_for(&mut identities, false, NEEDS_PASSPHRASE);
                identities.plugin_ui(Terminal);
            }
        }
        Ok(identities)
    }
}

/// Whether a pack is sealed to others than those whose keys are at hand.
pub(crate) fn is_for_others(error: &io::Error) -> bool {
    Error::of(error).is_some_and(|error| {
        matches!(error.kind(), ErrorKind::NoMatchingKey { .. } | ErrorKind::WrongPassphrase)
    })
}

/// Lets passphrases be asked for: those of key files, and that of the pack where it is wanted.
fn ask_for(identities: &mut Identities, for_pack: bool, hint: &'static str) {
    identities.passphrase_callback(move |what| match what {
        PassphraseFor::Envelope if !for_pack => Err(io::Error::other(hint)),
        PassphraseFor::Envelope => ask("Passphrase of the pack: "),
        PassphraseFor::IdentityFile(path) | PassphraseFor::SshKey(path) => {
            ask(&format!("Passphrase of {}: ", path.display()))
        }
        _ => ask("Passphrase: "),
    });
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

/// Names the key file that is used where no option gives a key.
pub(crate) const IDENTITY: &str = "CARSTONE_IDENTITY";
/// Characters of a recipient in a message; post-quantum ones have 1959.
const SHOWN: usize = 70;

/// What is said where a passphrase opens a pack, and none may be asked for.
const NEEDS_PASSPHRASE: &str = "the pack is sealed to a passphrase: give -p";
