//! The key file that the environment names, where no option gives a key.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};

use carstone::encrypt::ContentKeyBytes;
use carstone::keys::{Envelope, Error, ErrorKind, Identities};

use super::secret::names_a_file;
use super::terminal::Terminal;
use super::{NEEDS_PASSPHRASE, ask_for, is_for_others};
use crate::input::{chain, io_chain};

/// Names the key file that is used where no option gives a key.
pub(crate) const IDENTITY: &str = "CARSTONE_IDENTITY";

/// The key file that the environment names.
pub(super) struct Fallback {
    path: PathBuf,
    identities: OnceLock<Result<Identities, String>>,
    /// Whether the work is done without it where it does not open a pack.
    is_optional: bool,
    /// Why it opened nothing.
    failure: Mutex<Option<String>>,
}

impl Fallback {
    /// What the variable names, if it names something.
    pub(super) fn new(is_optional: bool) -> Option<Self> {
        let path = std::env::var_os(IDENTITY).filter(|path| !path.is_empty())?;
        let (identities, failure) = (OnceLock::new(), Mutex::new(None));
        Some(Self { path: path.into(), identities, is_optional, failure })
    }

    /// Why it opened nothing; `None` where it opened all that it was tried on.
    pub(super) fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// `None` where it is as if there were no key file.
    pub(super) fn open(&self, envelope: &[u8]) -> io::Result<Option<ContentKeyBytes>> {
        let error = match self.try_open(envelope) {
            Ok(key) => return Ok(Some(key)),
            Err(error) => error,
        };
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert_with(|| why(&error));
        let is_sealed = matches!(Variable::of(&error), Some(Variable::Sealed));
        match self.is_optional || is_sealed || is_for_others(&error) {
            true => Ok(None),
            false => Err(error),
        }
    }

    fn try_open(&self, envelope: &[u8]) -> io::Result<ContentKeyBytes> {
        let envelope = Envelope::from_bytes(envelope)?;
        if envelope.needs_passphrase() {
            return Err(Variable::Sealed.into());
        }
        let identities = self.identities.get_or_init(|| self.read());
        let identities = identities.as_ref().map_err(|why| Variable::Unreadable(why.clone()))?;
        Ok(ContentKeyBytes::copy_of(identities.open(&envelope)?.as_bytes()))
    }

    fn read(&self) -> Result<Identities, String> {
        names_a_file(&self.path).map_err(|error| error.to_string())?;
        let mut identities = Identities::new();
        identities.add_file(&self.path).map_err(|error| chain(&error))?;
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

fn why(error: &io::Error) -> String {
    match Error::of(error).map(Error::kind) {
        // Those of plugins were left out.
        Some(ErrorKind::NoMatchingKey { tried: 0, .. }) => {
            "nobody is asked for its keys, which plugins keep".to_owned()
        }
        _ => io_chain(error),
    }
}

/// What keeps the variable from being of use.
#[derive(Debug)]
pub(crate) enum Variable {
    /// The file cannot be read, or is no key file.
    Unreadable(String),
    /// The pack takes a passphrase.
    Sealed,
}

impl Variable {
    /// What travels inside an I/O error.
    pub(crate) fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => f.write_str(why),
            Self::Sealed => f.write_str("the pack is sealed to a passphrase"),
        }
    }
}

impl StdError for Variable {}

impl From<Variable> for io::Error {
    fn from(variable: Variable) -> Self {
        Self::other(variable)
    }
}
