//! Opening an envelope.

use std::fmt;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::content_key::{ContentKey, PLAINTEXT_LEN, wipe_stack};
use crate::envelope::Envelope;
use crate::error::{Error, ErrorKind};
use crate::header::Header;
use crate::identity::Identity;
use crate::key_file;
use crate::locked::LockedFile;
use crate::payload;

/// What a passphrase is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PassphraseFor<'a> {
    /// The envelope itself.
    Envelope,
    /// A file of identities, sealed to a passphrase with age.
    IdentityFile(&'a Path),
    /// A private key of OpenSSH.
    SshKey(&'a Path),
}

/// Everything that may open an envelope: secret keys, key files, passphrases.
pub struct Identities {
    keys: Keys,
    locked: Vec<LockedFile>,
    passphrases: Vec<SecretString>,
    callback: Option<Mutex<Callback>>,
    max_work_factor: u8,
    #[cfg(feature = "plugin")]
    ui: crate::plugin::Ui,
}

impl Identities {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            keys: Keys::default(),
            locked: Vec::new(),
            passphrases: Vec::new(),
            callback: None,
            max_work_factor: DEFAULT_MAX_WORK_FACTOR,
            #[cfg(feature = "plugin")]
            ui: crate::plugin::Ui::default(),
        }
    }

    /// Adds a secret key as text, `AGE-SECRET-KEY-1…` or `AGE-SECRET-KEY-PQ-1…`; with the feature `plugin` also
    /// `AGE-PLUGIN-NAME-1…`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadIdentity`].
    pub fn add(&mut self, text: &str) -> Result<(), Error> {
        self.keys.add(text)
    }

    /// Adds a secret key.
    pub fn add_identity(&mut self, identity: Identity) {
        self.keys.native.push(identity.into_age());
    }

    /// Adds a key file of at most 1 MiB. It may be
    ///
    /// - what `age-keygen` writes: secret keys, one a line, with comments and blank lines; and of plugins likewise
    ///   (feature `plugin`);
    /// - such a file sealed to a passphrase with age, binary or armored;
    /// - a private key of OpenSSH, with a passphrase or without (feature `ssh`).
    ///
    /// A locked file is unlocked by the first [`open`](Self::open) that no other key satisfies; a locked SSH key only for an envelope that is
    /// sealed to it, as far as the four bytes tell that stand there. One that cannot be unlocked is passed over, and is the error where
    /// nothing else opens the envelope.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Read`], [`ErrorKind::TooLarge`], [`ErrorKind::NoKeysInFile`], or
    /// [`ErrorKind::BadIdentity`] with the line. Nothing was added then.
    pub fn add_file(&mut self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        self.add_bytes(&key_file::read(path)?, path)
    }

    /// The same from any reader, such as standard input, which errors and questions call `name`.
    ///
    /// # Errors
    ///
    /// As for [`add_file`](Self::add_file).
    pub fn add_reader(&mut self, reader: impl Read, name: impl AsRef<Path>) -> Result<(), Error> {
        let name = name.as_ref();
        self.add_bytes(&key_file::read_from(reader, name, 0)?, name)
    }

    /// Adds a passphrase, to be tried on whatever is locked by one. Of several, each is tried.
    pub fn passphrase(&mut self, passphrase: SecretString) {
        self.passphrases.push(passphrase);
    }

    /// Sets who is asked for a passphrase when one is needed and those at hand do not fit. A second call
    /// replaces the first.
    ///
    /// It must not use the same [`Identities`] again.
    pub fn passphrase_callback(
        &mut self,
        ask: impl FnMut(PassphraseFor<'_>) -> io::Result<SecretString> + Send + 'static,
    ) {
        self.callback = Some(Mutex::new(Box::new(ask)));
    }

    /// Sets whom plugins show messages to and ask; without, nobody. A second call replaces the first.
    #[cfg(feature = "plugin")]
    pub fn plugin_ui(&mut self, ui: impl crate::PluginUi + 'static) {
        self.ui = crate::plugin::Ui::new(ui);
    }

    /// Leaves out the keys of plugins that were added, for work at which nobody is to be bothered. Those in locked files
    /// stay.
    #[cfg(feature = "plugin")]
    pub fn forget_plugins(&mut self) {
        self.keys.plugins = crate::plugin::PluginKeys::default();
    }

    /// Sets the highest scrypt work factor that is accepted; the default is [`DEFAULT_MAX_WORK_FACTOR`].
    ///
    /// The work is 2^`log_n` iterations, and the memory 2^`log_n` KiB: 4 GiB at 22.
    #[must_use]
    pub fn with_max_work_factor(mut self, log_n: u8) -> Self {
        self.max_work_factor = log_n;
        self
    }

    /// Whether there is nothing to open an envelope with.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.len() == 0
            && self.locked.is_empty()
            && self.passphrases.is_empty()
            && self.callback.is_none()
    }

    /// Opens an envelope.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NoMatchingKey`], [`ErrorKind::WrongPassphrase`], [`ErrorKind::PassphraseNeeded`],
    ///   [`ErrorKind::Prompt`]: the keys do not fit, or could not be had.
    /// - [`ErrorKind::ExcessiveWork`]: above the limit of [`with_max_work_factor`](Self::with_max_work_factor).
    /// - [`ErrorKind::NotAnEnvelope`], [`ErrorKind::Damaged`], [`ErrorKind::BadPlaintext`]: the envelope is not
    ///   sound. Damage to a stanza cannot be told from a stanza for somebody else, or from a wrong
    ///   passphrase.
    pub fn open(&self, envelope: &Envelope) -> Result<ContentKey, Error> {
        let opened = self.opened(envelope);
        wipe_stack();
        opened
    }

    // Not inlined, so that all that it calls stands on the stack where it is wiped afterwards.
    #[inline(never)]
    fn opened(&self, envelope: &Envelope) -> Result<ContentKey, Error> {
        let plain = self.open_bytes(envelope.as_bytes(), envelope.header(), PLAINTEXT_LEN)?;
        ContentKey::from_plaintext(&plain)
    }

    /// Opens any age file and takes at most `limit` bytes out of it.
    pub(crate) fn open_bytes(
        &self,
        bytes: &[u8],
        header: &Header,
        limit: usize,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        if header.is_scrypt() {
            return self.open_scrypt(bytes, header, limit, PassphraseFor::Envelope);
        }
        let no_match = |error: &Error| matches!(error.kind(), ErrorKind::NoMatchingKey { .. });
        let mut tried = self.keys.len();
        // A plugin that failed may be the one whose key is wanted, but a locked file may do as well.
        let mut failed = match self.open_by(&self.keys, bytes, header, limit) {
            Err(error) if no_match(&error) => None,
            Err(error) if error.is_of_plugin() => Some(error),
            done => return done,
        };
        for file in self.locked.iter().filter(|file| file.may_open(header)) {
            let keys = match file.unlock(self) {
                Ok(keys) => keys,
                // The passphrase at hand may be that of the next file.
                Err(error) => {
                    failed.get_or_insert(error);
                    continue;
                }
            };
            tried = tried.saturating_add(keys.len());
            match self.open_by(&keys, bytes, header, limit) {
                Err(error) if no_match(&error) => {}
                done => return done,
            }
        }
        let needs = || header.kinds.clone();
        Err(failed
            .unwrap_or_else(|| Error::new(ErrorKind::NoMatchingKey { tried, needs: needs() })))
    }

    /// The native keys first, then those of plugins.
    fn open_by(
        &self,
        keys: &Keys,
        bytes: &[u8],
        header: &Header,
        limit: usize,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let native = keys.native.iter().map(|key| &**key as &dyn age::Identity);
        let opened = payload::open(bytes, header, native, limit);
        #[cfg(feature = "plugin")]
        if let Err(error) = &opened
            && matches!(error.kind(), ErrorKind::NoMatchingKey { .. })
        {
            return keys.plugins.open(bytes, header, limit, &self.ui);
        }
        opened
    }

    /// Opens an age file that was sealed to a passphrase.
    pub(crate) fn open_scrypt(
        &self,
        bytes: &[u8],
        header: &Header,
        limit: usize,
        what: PassphraseFor<'_>,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        // Before anybody is asked for anything.
        if let Some(required) = header.work_factor
            && required > self.max_work_factor.into()
        {
            return Err(Error::new(ErrorKind::ExcessiveWork {
                required,
                allowed: self.max_work_factor,
            }));
        }
        self.try_passphrases(what, |passphrase| {
            payload::open_scrypt(bytes, header, passphrase, self.max_work_factor, limit)
        })
    }

    /// Calls `attempt` with the passphrases at hand, then with one that is asked for, as long as it says
    /// [`ErrorKind::WrongPassphrase`].
    pub(crate) fn try_passphrases<T>(
        &self,
        what: PassphraseFor<'_>,
        attempt: impl Fn(&SecretString) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut last = Err(Error::new(ErrorKind::PassphraseNeeded));
        for passphrase in &self.passphrases {
            last = attempt(passphrase);
            match &last {
                Err(error) if *error.kind() == ErrorKind::WrongPassphrase => {}
                _ => return last,
            }
        }
        let Some(callback) = &self.callback else {
            return last;
        };
        let asked = callback.lock().unwrap_or_else(PoisonError::into_inner)(what);
        attempt(&asked.map_err(|error| Error::with_source(ErrorKind::Prompt, error))?)
    }

    fn add_bytes(&mut self, bytes: &[u8], name: &Path) -> Result<(), Error> {
        let placed = |error: Error| error.in_file(name, None);
        if LockedFile::is_age(bytes) {
            let file = LockedFile::from_age(bytes, name).map_err(placed)?;
            self.locked.push(file);
            return Ok(());
        }
        if bytes.trim_ascii_start().starts_with(b"-----BEGIN") {
            return self.add_pem(bytes, name).map_err(placed);
        }
        self.keys.append(parse_keys(bytes, name)?);
        Ok(())
    }

    #[cfg(feature = "ssh")]
    fn add_pem(&mut self, bytes: &[u8], name: &Path) -> Result<(), Error> {
        match crate::ssh::parse_private(bytes.trim_ascii_start())? {
            crate::ssh::PrivateKey::Open(key) => self.keys.native.push(Box::new(key)),
            crate::ssh::PrivateKey::Locked(key, tag) => {
                self.locked.push(LockedFile::from_ssh(key, tag, name));
            }
        }
        Ok(())
    }

    #[cfg(not(feature = "ssh"))]
    fn add_pem(&mut self, _bytes: &[u8], _name: &Path) -> Result<(), Error> {
        Err(Error::new(ErrorKind::BadIdentity("SSH private keys are not supported in this build")))
    }
}

impl Default for Identities {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identities")
            .field("keys", &self.keys.len())
            .field("locked", &self.locked.len())
            .field("passphrases", &self.passphrases.len())
            .field("callback", &self.callback.is_some())
            .field("max_work_factor", &self.max_work_factor)
            .finish()
    }
}

/// Reads the lines of an identity file.
pub(crate) fn parse_keys(bytes: &[u8], name: &Path) -> Result<Keys, Error> {
    let mut keys = Keys::default();
    key_file::each_key(bytes, name, |_, line| keys.add(line))?;
    Ok(keys)
}

/// Keys that are ready for use.
#[derive(Default)]
pub(crate) struct Keys {
    native: Vec<AgeIdentity>,
    #[cfg(feature = "plugin")]
    plugins: crate::plugin::PluginKeys,
}

impl Keys {
    /// A single one.
    #[cfg(feature = "ssh")]
    pub(crate) fn of(key: AgeIdentity) -> Self {
        let mut keys = Self::default();
        keys.native.push(key);
        keys
    }

    pub(crate) fn len(&self) -> usize {
        #[cfg(feature = "plugin")]
        return self.native.len().saturating_add(self.plugins.len());
        #[cfg(not(feature = "plugin"))]
        self.native.len()
    }

    fn add(&mut self, text: &str) -> Result<(), Error> {
        #[cfg(feature = "plugin")]
        if self.plugins.take(text) {
            return Ok(());
        }
        self.native.push(Identity::parse(text)?.into_age());
        Ok(())
    }

    fn append(&mut self, mut other: Self) {
        self.native.append(&mut other.native);
        #[cfg(feature = "plugin")]
        self.plugins.append(&mut other.plugins);
    }
}

pub(crate) type AgeIdentity = Box<dyn age::Identity + Send + Sync>;

type Callback = Box<dyn FnMut(PassphraseFor<'_>) -> io::Result<SecretString> + Send>;

/// The highest scrypt work factor that is accepted unless set otherwise: 4 GiB of memory and some ten seconds.
pub const DEFAULT_MAX_WORK_FACTOR: u8 = 22;
