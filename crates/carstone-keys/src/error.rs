//! What can go wrong with keys, and where.

use std::error::Error as StdError;
use std::path::{Path, PathBuf};
use std::{fmt, io};

use crate::header::RecipientKind;

/// An error of this crate: what happened, and in which file, line or byte.
///
/// No message repeats a line of a key file or a byte of a secret.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    place: Option<Box<Place>>,
    source: Option<io::Error>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Input: the bytes are not an age v1 file; what is wrong with them.
    NotAnEnvelope(&'static str),
    /// Input: the header's MAC or the payload's tag does not hold, although a key matched.
    Damaged,
    /// Input: the age file is sound, but what it carries is not a content key.
    BadPlaintext,
    /// Input: the text is not a recipient that can be used; why.
    BadRecipient(&'static str),
    /// Input: the text is not an identity that can be used; why.
    BadIdentity(&'static str),
    /// Input: the key file holds no key.
    NoKeysInFile,
    /// Limit: an envelope or a key file is longer than `limit` bytes.
    TooLarge {
        /// The most that is accepted, in bytes.
        limit: usize,
    },
    /// Limit: opening would take scrypt with 2^`required` iterations.
    ExcessiveWork {
        /// The work factor that was asked for.
        required: u32,
        /// The highest that is allowed.
        allowed: u8,
    },
    /// Keys: no identity at hand opens the envelope.
    NoMatchingKey {
        /// How many identities were tried.
        tried: usize,
        /// Whom the envelope is for.
        needs: Vec<RecipientKind>,
    },
    /// Keys: every passphrase at hand is wrong.
    WrongPassphrase,
    /// Keys: a passphrase is needed, and there is neither one nor a callback to ask for it.
    PassphraseNeeded,
    /// Caller: nobody to seal to.
    NoRecipients,
    /// Caller: a passphrase cannot be combined with other recipients.
    MixedPassphrase,
    /// Caller: the passphrase has no characters.
    EmptyPassphrase,
    /// Caller: post-quantum recipients cannot be combined with others.
    MixedPostQuantum,
    /// Caller: a work factor outside of 1 to 63.
    BadWorkFactor(u8),
    /// Environment: a key file cannot be read.
    Read,
    /// Environment: the callback gave no passphrase.
    Prompt,
    /// Environment: the operating system gave no random bytes.
    Randomness,
    /// Environment: the program of a plugin is not there to be run.
    PluginMissing {
        /// Its name, `age-plugin-…`.
        program: String,
    },
    /// Environment: a plugin ended early, or said that it could not do what it was asked for.
    PluginFailed {
        /// What it said, on one line.
        message: String,
    },
    /// Environment: `AGEDEBUG=plugin` is set, with which the age library prints all keys that plugins are told and tell.
    PluginDebug,
}

impl Error {
    /// What happened.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// Offset in bytes into the envelope, where it is known.
    #[must_use]
    pub fn offset(&self) -> Option<u64> {
        match self.place.as_deref()? {
            Place::Byte(at) => Some(*at),
            Place::File { .. } => None,
        }
    }

    /// The key file that the error is about.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self.place.as_deref()? {
            Place::Byte(_) => None,
            Place::File { path, .. } => Some(path),
        }
    }

    /// The line of the key file, from 1.
    #[must_use]
    pub fn line(&self) -> Option<u64> {
        match self.place.as_deref()? {
            Place::Byte(_) => None,
            Place::File { line, .. } => *line,
        }
    }

    /// The error of this crate that travels inside an [`io::Error`].
    #[must_use]
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    pub(crate) fn new(kind: ErrorKind) -> Self {
        Self { kind, place: None, source: None }
    }

    pub(crate) fn is_of_plugin(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::PluginMissing { .. }
                | ErrorKind::PluginFailed { .. }
                | ErrorKind::PluginDebug
        )
    }

    pub(crate) fn with_source(kind: ErrorKind, source: io::Error) -> Self {
        Self { source: Some(source), ..Self::new(kind) }
    }

    pub(crate) fn at(mut self, offset: usize) -> Self {
        self.place = Some(Box::new(Place::Byte(offset as u64)));
        self
    }

    pub(crate) fn in_file(mut self, path: &Path, line: Option<u64>) -> Self {
        self.place = Some(Box::new(Place::File { path: path.to_owned(), line }));
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place.as_deref() {
            Some(Place::Byte(at)) => write!(f, "byte {at} of the key envelope: ")?,
            Some(Place::File { path, line: None }) => write!(f, "{}: ", path.display())?,
            Some(Place::File { path, line: Some(line) }) => {
                write!(f, "{}, line {line}: ", path.display())?
            }
            None => {}
        }
        write!(f, "{}", self.kind)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnEnvelope(why) => write!(f, "not an age file: {why}"),
            Self::Damaged => f.write_str("the key envelope was altered or damaged"),
            Self::BadPlaintext => f.write_str("the age file does not hold a content key"),
            Self::BadRecipient(why) => write!(f, "not a usable recipient: {why}"),
            Self::BadIdentity(why) => write!(f, "not a usable identity: {why}"),
            Self::NoKeysInFile => f.write_str("the file holds no key"),
            Self::TooLarge { limit } => write!(f, "longer than {limit} bytes"),
            Self::ExcessiveWork { required, allowed } => write!(
                f,
                "the passphrase needs scrypt work factor {required}, and at most {allowed} is allowed"
            ),
            Self::NoMatchingKey { tried, needs } => {
                match tried {
                    0 => f.write_str("no identity to open the key envelope was given")?,
                    1 => f.write_str("the identity does not open the key envelope")?,
                    n => write!(f, "none of the {n} identities opens the key envelope")?,
                }
                fmt_needs(f, needs)
            }
            Self::WrongPassphrase => f.write_str("wrong passphrase"),
            Self::PassphraseNeeded => f.write_str("a passphrase is needed"),
            Self::NoRecipients => f.write_str("no recipient to seal the content key to"),
            Self::MixedPassphrase => {
                f.write_str("a passphrase cannot be combined with other recipients")
            }
            Self::EmptyPassphrase => f.write_str("the passphrase is empty"),
            Self::MixedPostQuantum => {
                f.write_str("post-quantum recipients cannot be combined with others")
            }
            Self::BadWorkFactor(n) => write!(f, "scrypt work factor {n} is not within 1 to 63"),
            Self::Read => f.write_str("cannot read the key file"),
            Self::Prompt => f.write_str("no passphrase was given"),
            Self::Randomness => f.write_str("the operating system gave no random bytes"),
            Self::PluginMissing { program } => write!(f, "the plugin {program} is not installed"),
            Self::PluginFailed { message } => write!(f, "a plugin failed: {message}"),
            Self::PluginDebug => f.write_str(
                "no plugin is run while AGEDEBUG=plugin is set, which would print the keys that it is told",
            ),
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match &error.kind {
            ErrorKind::NotAnEnvelope(_)
            | ErrorKind::Damaged
            | ErrorKind::BadPlaintext
            | ErrorKind::TooLarge { .. }
            | ErrorKind::ExcessiveWork { .. } => io::ErrorKind::InvalidData,
            ErrorKind::NoMatchingKey { .. }
            | ErrorKind::WrongPassphrase
            | ErrorKind::PassphraseNeeded => io::ErrorKind::PermissionDenied,
            ErrorKind::Read | ErrorKind::Prompt | ErrorKind::Randomness => {
                error.source.as_ref().map_or(io::ErrorKind::Other, io::Error::kind)
            }
            ErrorKind::PluginMissing { .. } => io::ErrorKind::NotFound,
            ErrorKind::PluginFailed { .. } | ErrorKind::PluginDebug => io::ErrorKind::Other,
            ErrorKind::BadRecipient(_)
            | ErrorKind::BadIdentity(_)
            | ErrorKind::NoKeysInFile
            | ErrorKind::NoRecipients
            | ErrorKind::MixedPassphrase
            | ErrorKind::EmptyPassphrase
            | ErrorKind::MixedPostQuantum
            | ErrorKind::BadWorkFactor(_) => io::ErrorKind::InvalidInput,
        };
        Self::new(kind, error)
    }
}

#[derive(Debug)]
enum Place {
    Byte(u64),
    File { path: PathBuf, line: Option<u64> },
}

/// Names each kind once: an envelope may have thousands of recipients.
fn fmt_needs(f: &mut fmt::Formatter<'_>, needs: &[RecipientKind]) -> fmt::Result {
    let mut seen: Vec<&RecipientKind> = Vec::new();
    for kind in needs {
        if seen.contains(&kind) || seen.len() == KINDS_SHOWN {
            continue;
        }
        f.write_str(if seen.is_empty() { ", which is for " } else { ", " })?;
        write!(f, "{kind}")?;
        seen.push(kind);
    }
    Ok(())
}

/// Tags are the envelope's to choose, so a message shows only the first few.
const KINDS_SHOWN: usize = 6;
