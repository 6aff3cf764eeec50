//! What can be wrong.

use std::{error, fmt};

/// What is wrong, and at which byte of what was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    at: Option<u64>,
}

/// The kinds of fault.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A byte that is none of the 64 symbols of B64A.
    BadSymbol,
    /// Bits are set behind the last byte of a text of B64A.
    BadTail,
    /// A text has another length than it is to have.
    BadLength,
    /// A typed text has not its form, `T.….H3`.
    BadText,
    /// A typed text is one of something else than is asked for.
    BadType,
    /// A time has not its form, `seconds:subseconds` of ten and nine digits.
    BadTime,
    /// A secret scalar that is 0, or not below the order of the curve.
    BadScalar,
    /// A key is to be made of a secret without a byte.
    EmptySecret,
    /// No point of the curve has the x-coordinate that is given as a key.
    BadKey,
    /// The first half of a signature is no coordinate: it is not below the prime of the curve.
    BadSignaturePoint,
    /// The second half of a signature is no scalar: it is not below the order of the curve.
    BadSignatureScalar,
    /// A signature is not one of this key under this digest.
    BadSignature,
    /// The random bytes for a signature are all zero.
    ZeroRandom,
    /// The nonce of a signature came out as 0: other random bytes are needed.
    ZeroNonce,
    /// A signature that was just made does not verify, so that it was not given out.
    FaultySignature,
    /// The system gave no random bytes.
    NoRandom,
    /// The name of the ring that a password is for is no segment of a path.
    BadRing,
    /// Parameters of Argon2id that it does not take, or that need more than is allowed.
    BadPasswordParameters,
    /// A password is longer than Argon2id takes, or there is no memory for it.
    PasswordFailed,
}

/// A [`Result`](std::result::Result) of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn new(kind: ErrorKind) -> Self {
        Self { kind, at: None }
    }

    /// The same at this byte, unless it has one.
    #[must_use]
    pub(crate) fn at(mut self, at: u64) -> Self {
        self.at.get_or_insert(at);
        self
    }

    /// The same in something that what was given begins so many bytes into.
    #[must_use]
    pub(crate) fn behind(mut self, bytes: u64) -> Self {
        self.at = Some(self.at.unwrap_or(0).saturating_add(bytes));
        self
    }

    /// What is wrong.
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// The byte of what was given at which that shows.
    pub fn offset(&self) -> Option<u64> {
        self.at
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at) = self.at {
            write!(f, "byte {at}: ")?;
        }
        self.kind.fmt(f)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadSymbol => "it is no symbol of B64A",
            Self::BadTail => "bits are set behind the last byte of a text of B64A",
            Self::BadLength => "the text has another length than it is to have",
            Self::BadText => "it is no typed text, T.….H3",
            Self::BadType => "the text is one of something else",
            Self::BadTime => "it is no time, ten digits, a colon and nine digits",
            Self::BadScalar => "the secret scalar is 0, or not below the order of the curve",
            Self::EmptySecret => "the secret is empty",
            Self::BadKey => "the key is no x-coordinate of a point of the curve",
            Self::BadSignaturePoint => "the first half of the signature is no coordinate",
            Self::BadSignatureScalar => "the second half of the signature is no scalar",
            Self::BadSignature => "the signature is not one of this key under this digest",
            Self::ZeroRandom => "the random bytes for a signature are all zero",
            Self::ZeroNonce => "the nonce is 0, and other random bytes are needed",
            Self::FaultySignature => "the signature that was made does not verify",
            Self::NoRandom => "the system gives no random bytes",
            Self::BadRing => "the ring is no segment of a path",
            Self::BadPasswordParameters => "Argon2id does not take these parameters",
            Self::PasswordFailed => "the password is too long, or there is no memory for it",
        })
    }
}

impl error::Error for Error {}
