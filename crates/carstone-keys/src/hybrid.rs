//! The hybrid post-quantum recipient `mlkem768x25519` of the age format.
//!
//! <https://c2sp.org/age>, *The mlkem768x25519 recipient type*. A stanza holds the encapsulated key of HPKE in
//! base mode (RFC 9180) with the KEM of [`kem`], HKDF-SHA256 and ChaCha20-Poly1305, and the file key sealed
//! under it.

use std::collections::HashSet;
use std::{fmt, io};

use age::{DecryptError, EncryptError};
use age_core::format::{FileKey, Stanza};
use age_core::primitives::{bech32_decode, bech32_encode_to_fmt};
use bech32::Hrp;
use data_encoding::BASE64_NOPAD;
use hpke::aead::{AeadTag, ChaCha20Poly1305};
use hpke::kdf::HkdfSha256;
use hpke::{Deserializable, HpkeError, Kem, OpModeR, OpModeS};
use rand_core::OsRng;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::content_key::fill_random;
use crate::error::Error;

mod kem;

use kem::{EncappedKey, PublicKey, SEED_LEN, Seed, XWing};

/// The secret key `AGE-SECRET-KEY-PQ-1…`.
#[derive(Clone)]
pub(crate) struct HybridIdentity(Seed);

impl HybridIdentity {
    pub(crate) fn generate() -> Result<Self, Error> {
        let mut seed = Seed([0; SEED_LEN]);
        fill_random(&mut seed.0)?;
        Ok(Self(seed))
    }

    /// Reads the text of a key; `None` if it is anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut seed = Seed([0; SEED_LEN]);
        decode(text, IDENTITY, &mut seed.0)?;
        let identity = Self(seed);
        // Only the one form that writers give: no other case, no bits behind the last byte.
        (identity.to_text().expose_secret() == text).then_some(identity)
    }

    pub(crate) fn to_public(&self) -> HybridRecipient {
        HybridRecipient(XWing::sk_to_pk(&self.0))
    }

    pub(crate) fn to_text(&self) -> SecretString {
        // Neither grows, so neither leaves copies behind.
        let mut text = Zeroizing::new(String::with_capacity(IDENTITY_CHARS));
        // A string takes all that is written to it.
        let _ = bech32_encode_to_fmt(&mut *text, IDENTITY, &self.0.0);
        text.make_ascii_uppercase();
        SecretString::from(text.as_str())
    }
}

impl age::Identity for HybridIdentity {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        if stanza.tag != TAG {
            return None;
        }
        // Whose body has another length is refused before it is decrypted, as the specification demands.
        let Some((encapped, body)) = parts(stanza) else {
            return Some(Err(DecryptError::InvalidHeader));
        };
        match open(&self.0, &encapped, body) {
            Ok(key) => Some(Ok(key)),
            // The tag of a stanza for somebody else does not hold either.
            Err(HpkeError::OpenError) => None,
            Err(_) => Some(Err(DecryptError::InvalidHeader)),
        }
    }
}

/// The public key `age1pq1…`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct HybridRecipient(PublicKey);

impl HybridRecipient {
    /// Reads the text of a key; `None` if it is anything else, or a key that keeps nothing secret.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; RECIPIENT_LEN];
        decode(text, RECIPIENT, &mut bytes)?;
        let recipient = Self(PublicKey::from_bytes(&bytes).ok()?);
        (recipient.0.is_sound() && recipient.to_string() == text).then_some(recipient)
    }
}

impl age::Recipient for HybridRecipient {
    fn wrap_file_key(&self, key: &FileKey) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        let (encapped, body) = hpke::single_shot_seal::<ChaCha20Poly1305, HkdfSha256, XWing, _>(
            &OpModeS::Base,
            &self.0,
            INFO,
            key.expose_secret(),
            &[],
            &mut OsRng,
        )
        .map_err(|error| EncryptError::Io(io::Error::other(error.to_string())))?;
        let args = vec![BASE64_NOPAD.encode(encapped.as_slice())];
        let stanza = Stanza { tag: TAG.to_owned(), args, body };
        Ok((vec![stanza], HashSet::from([LABEL.to_owned()])))
    }
}

impl fmt::Display for HybridRecipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        bech32_encode_to_fmt(f, RECIPIENT, self.0.as_slice())
    }
}

/// Encapsulated key, then file key with its tag.
fn parts(stanza: &Stanza) -> Option<(EncappedKey, &[u8; SEALED_LEN])> {
    let [encapped] = stanza.args.as_slice() else { return None };
    let encapped = BASE64_NOPAD.decode(encapped.as_bytes()).ok()?;
    Some((EncappedKey::from_bytes(&encapped).ok()?, stanza.body.as_slice().try_into().ok()?))
}

fn open(
    seed: &Seed,
    encapped: &EncappedKey,
    body: &[u8; SEALED_LEN],
) -> Result<FileKey, HpkeError> {
    let (sealed, tag) = body.split_at(FILE_KEY_LEN);
    let tag = AeadTag::<ChaCha20Poly1305>::from_bytes(tag)?;
    FileKey::try_init_with_mut(|key| {
        key.copy_from_slice(sealed);
        hpke::single_shot_open_in_place_detached::<ChaCha20Poly1305, HkdfSha256, XWing>(
            &OpModeR::Base,
            seed,
            encapped,
            INFO,
            key,
            &[],
            &tag,
        )
    })
}

/// Bech32 of BIP 173 without its limit of length: exactly as many bytes as `out` has.
fn decode(text: &str, prefix: Hrp, out: &mut [u8]) -> Option<()> {
    bech32_decode(
        text,
        |_| (),
        |found| if found == prefix { Ok(()) } else { Err(()) },
        |_, mut bytes| {
            if bytes.len() != out.len() {
                return Err(());
            }
            out.iter_mut().zip(&mut bytes).for_each(|(to, from)| *to = from);
            Ok(())
        },
    )
    .ok()
}

const TAG: &str = "mlkem768x25519";
const INFO: &[u8] = b"age-encryption.org/mlkem768x25519";
/// What age sees that all recipients of a file have, or none.
const LABEL: &str = "postquantum";
const RECIPIENT: Hrp = Hrp::parse_unchecked("age1pq");
const IDENTITY: Hrp = Hrp::parse_unchecked("age-secret-key-pq-");
/// Prefix, separator, 52 characters for 32 bytes, checksum.
const IDENTITY_CHARS: usize = 77;
const RECIPIENT_LEN: usize = 1216;
const FILE_KEY_LEN: usize = 16;
/// File key and tag.
const SEALED_LEN: usize = FILE_KEY_LEN + 16;

#[cfg(test)]
mod tests;
