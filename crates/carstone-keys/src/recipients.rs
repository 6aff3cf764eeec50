//! Sealing a content key.

use std::fmt;
use std::io::Read;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use crate::content_key::{ContentKey, wipe_stack};
use crate::envelope::Envelope;
use crate::error::{Error, ErrorKind};
use crate::key_file;
use crate::payload;
use crate::recipient::{Recipient, is_other_ssh_key};

/// Whom a content key is sealed to: any number of public keys, or one passphrase.
pub struct Recipients {
    keys: Vec<Recipient>,
    passphrase: Option<SecretString>,
    work_factor: u8,
    passed_over: Vec<Error>,
    #[cfg(feature = "plugin")]
    ui: crate::plugin::Ui,
}

impl Recipients {
    /// Nobody yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            keys: Vec::new(),
            passphrase: None,
            work_factor: DEFAULT_WORK_FACTOR,
            passed_over: Vec::new(),
            #[cfg(feature = "plugin")]
            ui: crate::plugin::Ui::default(),
        }
    }

    /// Adds a public key.
    pub fn add(&mut self, recipient: Recipient) {
        self.keys.push(recipient);
    }

    /// Adds the public keys of a file: one a line, `#` before comments, blank lines, at most 1 MiB. SSH keys of kinds that nothing is sealed
    /// to, such as `ecdsa-…` in a list of somebody's keys, are [passed over](Self::passed_over) where another key is left.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Read`], [`ErrorKind::TooLarge`], [`ErrorKind::NoKeysInFile`], or
    /// [`ErrorKind::BadRecipient`] with the line. Nothing was added then.
    pub fn add_file(&mut self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        self.add_bytes(&key_file::read(path)?, path)
    }

    /// The same from any reader, such as standard input, which errors call `name`.
    ///
    /// # Errors
    ///
    /// As for [`add_file`](Self::add_file).
    pub fn add_reader(&mut self, reader: impl Read, name: impl AsRef<Path>) -> Result<(), Error> {
        let name = name.as_ref();
        self.add_bytes(&key_file::read_from(reader, name, 0)?, name)
    }

    /// Seals to a passphrase, which must then be alone. A second call replaces the first.
    pub fn passphrase(&mut self, passphrase: SecretString) {
        self.passphrase = Some(passphrase);
    }

    /// Sets the cost of trying a passphrase: 2^`log_n` iterations of scrypt in 2^`log_n` KiB of memory. The
    /// default, [`DEFAULT_WORK_FACTOR`], takes 256 MiB and about a second.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::BadWorkFactor`] outside of 1 to 63. Readers refuse much before that.
    pub fn with_work_factor(mut self, log_n: u8) -> Result<Self, Error> {
        if !(1..=63).contains(&log_n) {
            return Err(Error::new(ErrorKind::BadWorkFactor(log_n)));
        }
        self.work_factor = log_n;
        Ok(self)
    }

    /// Sets whom plugins show messages to and ask; without, nobody. A second call replaces the first.
    #[cfg(feature = "plugin")]
    pub fn plugin_ui(&mut self, ui: impl crate::PluginUi + 'static) {
        self.ui = crate::plugin::Ui::new(ui);
    }

    /// Whether there is nobody to seal to.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.passphrase.is_none()
    }

    /// The public keys.
    #[must_use]
    pub fn keys(&self) -> &[Recipient] {
        &self.keys
    }

    /// The lines of files that were passed over, each with its place and the reason.
    #[must_use]
    pub fn passed_over(&self) -> &[Error] {
        &self.passed_over
    }

    /// Seals a content key so that each recipient can open it alone.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NoRecipients`], [`ErrorKind::MixedPassphrase`], [`ErrorKind::EmptyPassphrase`],
    /// [`ErrorKind::MixedPostQuantum`], [`ErrorKind::TooLarge`] (some thousand recipients),
    /// [`ErrorKind::Randomness`], or [`ErrorKind::PluginMissing`] and [`ErrorKind::PluginFailed`] (feature
    /// `plugin`).
    pub fn seal(&self, key: &ContentKey) -> Result<Envelope, Error> {
        let sealed = self.sealed(key);
        wipe_stack();
        Envelope::from_vec(sealed?)
    }

    // Not inlined, so that all that it calls stands on the stack where it is wiped afterwards.
    #[inline(never)]
    fn sealed(&self, key: &ContentKey) -> Result<Vec<u8>, Error> {
        self.seal_bytes(key.to_plaintext().as_slice())
    }

    /// Seals any bytes, which need not be a content key.
    pub(crate) fn seal_bytes(&self, plain: &[u8]) -> Result<Vec<u8>, Error> {
        let Some(passphrase) = &self.passphrase else {
            return self.seal_to_keys(plain);
        };
        if !self.keys.is_empty() {
            return Err(Error::new(ErrorKind::MixedPassphrase));
        }
        if passphrase.expose_secret().is_empty() {
            return Err(Error::new(ErrorKind::EmptyPassphrase));
        }
        let mut recipient = age::scrypt::Recipient::new(passphrase.clone());
        recipient.set_work_factor(self.work_factor);
        payload::seal(plain, std::iter::once(&recipient as &dyn age::Recipient))
    }

    #[cfg(feature = "plugin")]
    fn seal_to_keys(&self, plain: &[u8]) -> Result<Vec<u8>, Error> {
        let plugins: Vec<_> = self.keys.iter().filter_map(Recipient::as_plugin).cloned().collect();
        let plugins = crate::plugin::sealers(&plugins, &self.ui)?;
        let plugins = plugins.iter().map(|plugin| plugin as &dyn age::Recipient);
        payload::seal(plain, self.keys.iter().filter_map(Recipient::as_age).chain(plugins))
    }

    #[cfg(not(feature = "plugin"))]
    fn seal_to_keys(&self, plain: &[u8]) -> Result<Vec<u8>, Error> {
        payload::seal(plain, self.keys.iter().filter_map(Recipient::as_age))
    }

    fn add_bytes(&mut self, bytes: &[u8], name: &Path) -> Result<(), Error> {
        let (mut keys, mut others) = (Vec::new(), Vec::new());
        key_file::each_key(bytes, name, |number, line| {
            match Recipient::parse(line) {
                Ok(key) => keys.push(key),
                Err(error) if is_other_ssh_key(line) => {
                    others.push(error.in_file(name, Some(number)));
                }
                Err(error) => return Err(error),
            }
            Ok(())
        })?;
        if keys.is_empty() && !others.is_empty() {
            return Err(others.swap_remove(0));
        }
        self.keys.append(&mut keys);
        self.passed_over.append(&mut others);
        Ok(())
    }
}

impl Default for Recipients {
    fn default() -> Self {
        Self::new()
    }
}

impl Extend<Recipient> for Recipients {
    fn extend<I: IntoIterator<Item = Recipient>>(&mut self, recipients: I) {
        self.keys.extend(recipients);
    }
}

impl FromIterator<Recipient> for Recipients {
    fn from_iter<I: IntoIterator<Item = Recipient>>(recipients: I) -> Self {
        let mut all = Self::new();
        all.extend(recipients);
        all
    }
}

impl fmt::Debug for Recipients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recipients")
            .field("keys", &self.keys)
            .field("passphrase", &self.passphrase.is_some())
            .finish_non_exhaustive()
    }
}

/// The work factor of a new passphrase envelope. It is fixed rather than measured, so that a busy machine does
/// not seal weakly.
pub const DEFAULT_WORK_FACTOR: u8 = 18;
