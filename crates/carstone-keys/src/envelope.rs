//! The sealed form of a content key.

use std::fmt;

use crate::error::{Error, ErrorKind};
use crate::header::{Header, RecipientKind};
use crate::payload;

/// A content key, sealed: a binary age v1 file.
///
/// It is public data. Its stanzas tell which kinds of keys open it, and it can be stored, copied and
/// repeated anywhere.
#[derive(Clone)]
pub struct Envelope {
    bytes: Vec<u8>,
    header: Header,
}

impl Envelope {
    /// Takes the stored bytes of an envelope.
    ///
    /// Only what can be seen without a key is checked: that this is an age v1 file, and its length.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooLarge`] above [`MAX_LEN`], [`ErrorKind::NotAnEnvelope`] with the offset of what is wrong.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_LEN {
            return Err(Error::new(ErrorKind::TooLarge { limit: MAX_LEN }));
        }
        Self::from_vec(bytes.to_vec())
    }

    pub(crate) fn from_vec(bytes: Vec<u8>) -> Result<Self, Error> {
        if bytes.len() > MAX_LEN {
            return Err(Error::new(ErrorKind::TooLarge { limit: MAX_LEN }));
        }
        let header = Header::parse(&bytes)?;
        payload::check(&bytes, &header)?;
        Ok(Self { bytes, header })
    }

    /// The bytes to store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes to store, without a copy.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The kinds of keys that it was sealed to, one per recipient, as far as they can be seen without a key.
    ///
    /// Stanzas that stand for nobody (tags that end in `-grease`) are left out.
    #[must_use]
    pub fn recipients(&self) -> Vec<RecipientKind> {
        self.header.kinds.clone()
    }

    /// Whether it takes a passphrase to open it.
    #[must_use]
    pub fn needs_passphrase(&self) -> bool {
        self.header.is_scrypt()
    }

    pub(crate) fn header(&self) -> &Header {
        &self.header
    }
}

impl AsRef<[u8]> for Envelope {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl PartialEq for Envelope {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Envelope {}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope")
            .field("len", &self.bytes.len())
            .field("recipients", &self.header.kinds)
            .finish()
    }
}

/// The most bytes that an envelope or a key file may have: 1 MiB.
pub const MAX_LEN: usize = 1 << 20;
