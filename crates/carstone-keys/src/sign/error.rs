//! What can go wrong with signatures, and where.

use std::error::Error as StdError;
use std::path::{Path, PathBuf};
use std::{fmt, io};

/// An error about a signature: what happened, and in which file, line or byte.
///
/// What a message repeats of a file is quoted and short, and never from a private key.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    file: Option<PathBuf>,
    /// In a list of signers, from 1.
    line: Option<u64>,
    /// In the decoded signature.
    offset: Option<u64>,
    source: Option<io::Error>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Input: the signature file is empty.
    Empty,
    /// Input: no signature of OpenSSH begins at the first line.
    NotASignature,
    /// Input: the signature stops before its end.
    Truncated,
    /// Input: the signature is not well formed; why.
    Malformed(&'static str),
    /// Input: a version of the format that is not known.
    Version(u32),
    /// Input: the signature was made for this, and not for packs.
    Namespace(String),
    /// Input: a hash that is not known.
    UnknownHash(String),
    /// Input: a type of key that is not known here, or a certificate.
    UnknownKeyType(String),
    /// Input: the key signs in no such way.
    UnknownAlgorithm(String),
    /// Input: an RSA key of so few, or so many, bits.
    KeySize(u64),
    /// Limit: the file is longer than `limit` bytes.
    TooLarge {
        /// The most that is accepted, in bytes.
        limit: usize,
    },

    /// Input: the list of signers has no line with a key.
    NoSigners,
    /// Input: a line of the list is not UTF-8.
    NotText,
    /// Input: a line names no principal, or does not close its quotes.
    BadPrincipals,
    /// Input: a line has no key where one must stand, or the key is not well formed; why.
    BadListedKey(&'static str),
    /// Input: an option of a line that is not known. It could say that the key does not count.
    UnknownOption(String),
    /// Input: an option of a line is not well formed; why.
    BadOption(&'static str),
    /// Input: a time that is none, or that the time zone skips.
    BadTime(String),

    /// Verdict: the key that signed is not in the list.
    NotListed {
        /// Of the key, as `ssh-keygen -l` prints it.
        fingerprint: String,
    },
    /// Verdict: the key is listed for other principals.
    OtherPrincipal(String),
    /// Verdict: the key is listed for other namespaces.
    OtherNamespace,
    /// Verdict: the key is listed as an authority that signs certificates, which are not read here.
    Authority,
    /// Verdict: the key does not count yet.
    NotYetValid,
    /// Verdict: the key does not count any more.
    Expired,
    /// Verdict: the key signed this pack as it was before a change.
    Stale,
    /// Verdict: the key signed another pack.
    OtherPack {
        /// Its id, which nobody vouches for.
        pack: [u8; 16],
    },
    /// Verdict: the signature does not hold for these bytes, and nothing tells for which it might.
    Mismatch,

    /// Input: the file is not a private key that can sign; why.
    BadKey(&'static str),
    /// Limit: unlocking would take so many rounds of bcrypt.
    ExcessiveWork(u32),
    /// Keys: the passphrase does not open the key.
    WrongPassphrase,
    /// Environment: nobody gave a passphrase.
    Prompt,
    /// Environment: a file cannot be read.
    Read,
    /// The new signature does not hold: the two halves of the key do not belong together.
    BrokenKey,
}

impl Error {
    /// What happened.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// The file that the error is about, or what it was called.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The line of the list of signers, from 1.
    #[must_use]
    pub fn line(&self) -> Option<u64> {
        self.line
    }

    /// Offset in bytes into the decoded signature, behind its armor.
    #[must_use]
    pub fn offset(&self) -> Option<u64> {
        self.offset
    }

    /// Whether everything could be read, and the outcome is that the signature does not count.
    #[must_use]
    pub fn is_verdict(&self) -> bool {
        use ErrorKind as Kind;
        matches!(
            self.kind,
            Kind::NotListed { .. }
                | Kind::OtherPrincipal(_)
                | Kind::OtherNamespace
                | Kind::Authority
                | Kind::NotYetValid
                | Kind::Expired
                | Kind::Stale
                | Kind::OtherPack { .. }
                | Kind::Mismatch
        )
    }

    pub(crate) fn new(kind: ErrorKind) -> Self {
        Self { kind, file: None, line: None, offset: None, source: None }
    }

    pub(crate) fn with_source(kind: ErrorKind, source: io::Error) -> Self {
        Self { source: Some(source), ..Self::new(kind) }
    }

    pub(crate) fn at(self, offset: usize) -> Self {
        Self { offset: u64::try_from(offset).ok(), ..self }
    }

    pub(crate) fn in_file(self, file: &Path) -> Self {
        Self { file: Some(file.to_owned()), ..self }
    }

    pub(crate) fn on_line(self, line: u64) -> Self {
        Self { line: Some(line), ..self }
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self::new(kind)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut colon = "";
        if let Some(file) = &self.file {
            write!(f, "{}", file.display())?;
            colon = ": ";
        }
        if let Some(line) = self.line {
            write!(f, "{}line {line}", if colon.is_empty() { "" } else { ", " })?;
            colon = ": ";
        }
        if let Some(offset) = self.offset {
            write!(f, "{}byte {offset}", if colon.is_empty() { "" } else { ", " })?;
            colon = ": ";
        }
        write!(f, "{colon}{}", self.kind)
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
            Self::Empty => f.write_str("the signature file is empty"),
            Self::NotASignature => f.write_str("not a signature of OpenSSH"),
            Self::Truncated => f.write_str("the signature is cut off"),
            Self::Malformed(why) => write!(f, "not a well-formed signature: {why}"),
            Self::Version(version) => write!(f, "version {version} of signatures is not known"),
            Self::Namespace(name) => {
                write!(f, "the signature was made for the namespace {}", Quoted(name))
            }
            Self::UnknownHash(name) => write!(f, "the hash {} is not known", Quoted(name)),
            Self::UnknownKeyType(name) => {
                write!(f, "signatures by keys of the type {} are not known", Quoted(name))
            }
            Self::UnknownAlgorithm(name) => {
                write!(f, "the signature algorithm {} is not accepted for this key", Quoted(name))
            }
            Self::KeySize(bits) => {
                write!(f, "an RSA key of {bits} bits is not accepted, only 2,048 to 8,192")
            }
            Self::TooLarge { limit } => write!(f, "longer than {limit} bytes"),
            Self::NoSigners => f.write_str("the list names no signer"),
            Self::NotText => f.write_str("the line is not UTF-8"),
            Self::BadPrincipals => f.write_str("the line does not begin with principals"),
            Self::BadListedKey(why) => write!(f, "no usable public key: {why}"),
            Self::UnknownOption(name) => write!(f, "the option {} is not known", Quoted(name)),
            Self::BadOption(why) => write!(f, "not a well-formed option: {why}"),
            Self::BadTime(text) => write!(f, "{} is no time", Quoted(text)),
            Self::NotListed { fingerprint } => {
                write!(f, "signed by a key that is not listed, {fingerprint}")
            }
            Self::OtherPrincipal(name) => {
                write!(f, "signed by a key that is not listed for {}", Quoted(name))
            }
            Self::OtherNamespace => f.write_str("signed by a key that is listed for other uses"),
            Self::Authority => f.write_str("signed by a key that may sign certificates only"),
            Self::NotYetValid => f.write_str("signed by a key that is not valid yet"),
            Self::Expired => f.write_str("signed by a key that is not valid any more"),
            Self::Stale => f.write_str(
                "the signature is stale: it is of other bytes, by its own words of this pack before it was changed",
            ),
            Self::OtherPack { pack } => {
                f.write_str("the signature is of another pack, ")?;
                pack.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Self::Mismatch => {
                f.write_str("the signature does not hold: it, or the pack, is not as it was signed")
            }
            Self::BadKey(why) => write!(f, "not a usable private key: {why}"),
            Self::ExcessiveWork(rounds) => {
                write!(f, "unlocking the key would take {rounds} rounds of bcrypt")
            }
            Self::WrongPassphrase => f.write_str("wrong passphrase"),
            Self::Prompt => f.write_str("no passphrase was given"),
            Self::Read => f.write_str("cannot read"),
            Self::BrokenKey => {
                f.write_str("the key signs wrongly: its two halves do not belong together")
            }
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match (&error.kind, &error.source) {
            (_, Some(source)) => source.kind(),
            (ErrorKind::WrongPassphrase, None) => io::ErrorKind::PermissionDenied,
            (ErrorKind::Truncated | ErrorKind::Empty, None) => io::ErrorKind::UnexpectedEof,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

/// Text of others in a message: escaped, and not longer than what fits a line.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short: String = self.0.chars().take(MOST_QUOTED).collect();
        let more = if short.len() < self.0.len() { "…" } else { "" };
        write!(f, "{short:?}{more}")
    }
}

const MOST_QUOTED: usize = 64;
