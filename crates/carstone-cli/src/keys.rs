//! Keys: whom a pack is encrypted to, and what opens it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::bail;
use carstone::encrypt::{ContentKeyBytes, KeySource};
use carstone::keys::secrecy::SecretString;
use carstone::keys::{Envelope, Error, ErrorKind, Identities, PassphraseFor};
use sha2::{Digest, Sha256};

use crate::cli::{KeyArgs, PassphraseArgs};

mod environment;
mod passphrase;
mod readers;
mod secret;
mod terminal;

use environment::Fallback;
pub(crate) use environment::{IDENTITY, Variable};
use passphrase::ask;
pub(crate) use readers::{new_recipients, protection, recipients};
pub(crate) use secret::{masked, names_a_file};
use terminal::Terminal;

/// What may open a pack.
pub(crate) struct Keys {
    given: Identities,
    /// Of the environment, where nothing was given.
    fallback: Option<Fallback>,
    opened: Mutex<Vec<Opened>>,
}

/// The content key of an envelope that was opened before. A pack is opened more than once where it is checked or damaged, and neither scrypt runs then,
/// nor is somebody asked, again.
struct Opened {
    envelope: [u8; 32],
    key: ContentKeyBytes,
}

impl Keys {
    /// No keys, wherever they may be.
    pub(crate) fn none() -> Self {
        Self { given: Identities::new(), fallback: None, opened: Mutex::default() }
    }

    /// What the options give for `pack`. Passphrases are asked for only when they are needed. Where there are no
    /// options, the file in `CARSTONE_IDENTITY` is used, which is read only when a pack is encrypted.
    pub(crate) fn new(args: &KeyArgs, pack: &Path) -> anyhow::Result<Self> {
        Self::of(args, pack, false, NEEDS_PASSPHRASE)
    }

    /// The same for a pack whose readers are to be others: questions and hints are about the old one.
    pub(crate) fn old(args: &KeyArgs, pack: &Path) -> anyhow::Result<Self> {
        Self::of(args, pack, false, OLD_NEEDS_PASSPHRASE)
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
        let passphrase = &args.passphrase;
        let named = args.identity.iter().chain(&passphrase.passphrase_file);
        once(named.map(PathBuf::as_path).chain([pack]))?;
        let mut given = Identities::new();
        for path in &args.identity {
            names_a_file(path)?;
            match is_stdin(path) {
                true => given.add_reader(io::stdin().lock(), path)?,
                false => given.add_file(path)?,
            }
        }
        if let Some(passphrase) = passphrase::given(passphrase)? {
            given.passphrase(passphrase);
        } else if passphrase.passphrase || !args.identity.is_empty() {
            ask_for(&mut given, passphrase.passphrase, hint);
        }
        given.plugin_ui(Terminal);
        let fallback = if given.is_empty() { Fallback::new(is_optional) } else { None };
        Ok(Self { given, fallback, opened: Mutex::default() })
    }

    /// Whether there is no key at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.given.is_empty() && self.fallback.is_none()
    }

    /// Whether the environment alone names a key.
    pub(crate) fn is_of_environment(&self) -> bool {
        self.fallback.is_some()
    }

    /// Whether there is something to open this envelope with. Of keys that were given nothing else is asked.
    pub(crate) fn may_open(&self, envelope: &[u8]) -> bool {
        match &self.fallback {
            Some(_) => matches!(self.open(envelope), Ok(Some(_))),
            None => !self.given.is_empty(),
        }
    }

    /// Why the key file of the environment opened nothing, when it was tried.
    pub(crate) fn failure(&self) -> Option<String> {
        self.fallback.as_ref().and_then(Fallback::failure)
    }

    /// Whether it was tried, and opened nothing.
    pub(crate) fn has_failed(&self) -> bool {
        self.failure().is_some()
    }

    /// Opens envelopes, each once.
    pub(crate) fn source(&self) -> impl KeySource + '_ {
        |envelope: &[u8]| self.open(envelope)
    }

    /// The content key in an envelope; `None` where there is no key to open it with.
    pub(crate) fn open(&self, envelope: &[u8]) -> io::Result<Option<ContentKeyBytes>> {
        if envelope.is_empty() || self.is_empty() {
            return Ok(None);
        }
        let digest: [u8; 32] = Sha256::digest(envelope).into();
        // Whoever else wants the same key waits, and does not ask too.
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = opened.iter().find(|known| known.envelope == digest) {
            return Ok(Some(known.key.clone()));
        }
        let key = match &self.fallback {
            Some(fallback) => fallback.open(envelope)?,
            None => {
                let key = self.given.open(&Envelope::from_bytes(envelope)?)?;
                Some(ContentKeyBytes::copy_of(key.as_bytes()))
            }
        };
        if let Some(key) = &key {
            if opened.len() == REMEMBERED {
                opened.remove(0);
            }
            opened.push(Opened { envelope: digest, key: key.clone() });
        }
        Ok(key)
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

/// Whether a pack is sealed to others than those whose keys are at hand.
pub(crate) fn is_for_others(error: &io::Error) -> bool {
    Error::of(error).is_some_and(|error| {
        matches!(error.kind(), ErrorKind::NoMatchingKey { .. } | ErrorKind::WrongPassphrase)
    })
}

/// Lets passphrases be asked for: those of key files, and that of the pack where it is wanted. What was typed is remembered for the same question.
fn ask_for(identities: &mut Identities, for_pack: bool, hint: &'static str) {
    let mut typed: Vec<(String, SecretString)> = Vec::new();
    identities.passphrase_callback(move |what| {
        let question = match what {
            PassphraseFor::Envelope if !for_pack => return Err(io::Error::other(hint)),
            PassphraseFor::Envelope if hint == OLD_NEEDS_PASSPHRASE => {
                "Passphrase of the old pack: ".to_owned()
            }
            PassphraseFor::Envelope => "Passphrase of the pack: ".to_owned(),
            PassphraseFor::IdentityFile(path) | PassphraseFor::SshKey(path) => {
                format!("Passphrase of {}: ", path.display())
            }
            _ => "Passphrase: ".to_owned(),
        };
        if let Some((_, known)) = typed.iter().find(|(asked, _)| *asked == question) {
            return Ok(known.clone());
        }
        let passphrase = ask(&question)?;
        typed.push((question, passphrase.clone()));
        Ok(passphrase)
    });
}

/// Whether a path means standard input.
pub(crate) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Standard input can be read for one purpose only.
///
/// # Errors
/// It is given twice.
pub(crate) fn once<'a>(paths: impl IntoIterator<Item = &'a Path>) -> anyhow::Result<()> {
    match paths.into_iter().filter(|path| is_stdin(path)).count() {
        0 | 1 => Ok(()),
        _ => bail!("standard input (-) can be given once only"),
    }
}

/// What is said where a passphrase opens a pack, and none may be asked for.
const NEEDS_PASSPHRASE: &str = "the pack is sealed to a passphrase: give -p";
const OLD_NEEDS_PASSPHRASE: &str = "the pack is sealed to a passphrase: give --old-passphrase";
/// Content keys that are kept at a time. A store has one for each pack.
const REMEMBERED: usize = 64;
