//! How a pack is encrypted, and who opens it.

use std::io;

use carstone_encrypt::{ContentKeyBytes, KeySource};
use carstone_keys::{ContentKey, Envelope, Identities, Recipients};

/// Encrypts a pack: the content key, and the envelope that carries it to the readers.
pub struct Protection {
    pub(super) key: ContentKey,
    pub(super) envelope: Vec<u8>,
}

impl Protection {
    /// A fresh content key, sealed to the recipients.
    ///
    /// # Errors
    /// No randomness, or recipients that cannot stand together.
    pub fn seal(recipients: &Recipients) -> Result<Self, carstone_keys::Error> {
        let key = ContentKey::generate()?;
        let envelope = recipients.seal(&key)?.as_bytes().to_vec();
        Ok(Self { key, envelope })
    }

    /// A content key that the readers have by other means; the pack carries no envelope. A key that is not random, or is used for
    /// something else too, gives no secrecy.
    pub fn content_key(key: [u8; 32]) -> Self {
        Self { key: ContentKey::from_bytes(key), envelope: Vec::new() }
    }

    /// A content key and an envelope that was made for it.
    pub fn with_envelope(key: ContentKey, envelope: &Envelope) -> Self {
        Self { key, envelope: envelope.as_bytes().to_vec() }
    }
}

/// Opens envelopes with these identities. A pack without envelope has no key for them.
pub fn envelope_keys(identities: &Identities) -> impl KeySource + '_ {
    |envelope: &[u8]| -> io::Result<Option<ContentKeyBytes>> {
        if envelope.is_empty() || identities.is_empty() {
            return Ok(None);
        }
        let key = identities.open(&Envelope::from_bytes(envelope)?)?;
        Ok(Some(ContentKeyBytes::copy_of(key.as_bytes())))
    }
}
