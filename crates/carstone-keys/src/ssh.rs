//! Keys of OpenSSH.

use data_encoding::{BASE64, BASE64_NOPAD};
use secrecy::SecretString;
use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind};

/// A private key that was read: ready for use, or locked by a passphrase.
pub(crate) enum PrivateKey {
    Open(age::ssh::Identity),
    /// With what stanzas for it say about it.
    Locked(age::ssh::Identity, Option<String>),
}

pub(crate) fn parse_public(text: &str) -> Result<age::ssh::Recipient, &'static str> {
    use age::ssh::ParseRecipientKeyError as Refused;
    text.parse().map_err(|error| match error {
        Refused::RsaModulusTooLarge => "the RSA key is too long",
        Refused::RsaModulusTooSmall => "RSA keys shorter than 2048 bits are not safe",
        Refused::Ignore | Refused::Unsupported(_) => "SSH keys of this kind are not supported",
        _ => "the SSH key is mistyped or cut short",
    })
}

pub(crate) fn parse_private(text: &[u8]) -> Result<PrivateKey, Error> {
    let key = age::ssh::Identity::from_buffer(text, None).map_err(|_| {
        Error::new(ErrorKind::BadIdentity(
            "the SSH private key is not complete or of an unknown format",
        ))
    })?;
    match key {
        age::ssh::Identity::Unencrypted(_) => Ok(PrivateKey::Open(key)),
        age::ssh::Identity::Encrypted(_) => Ok(PrivateKey::Locked(key, tag_of(text))),
        age::ssh::Identity::Unsupported(_) => Err(Error::new(ErrorKind::BadIdentity(
            "SSH private keys of this kind are not supported",
        ))),
    }
}

/// What a stanza for this private key says about it: the first four bytes of the SHA-256 of the public key (C2SP age, "ssh-ed25519"). The public
/// key stands in the file as it is, before what is locked (`PROTOCOL.key` of OpenSSH, section 1).
fn tag_of(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?;
    let lines = text.lines().map(str::trim).skip(1);
    let body: String = lines.take_while(|line| !line.starts_with('-')).collect();
    let bytes = BASE64.decode(body.as_bytes()).ok()?;
    let mut rest = bytes.strip_prefix(b"openssh-key-v1\0")?;
    let number = |rest: &mut &[u8]| {
        let (number, behind) = rest.split_first_chunk()?;
        *rest = behind;
        Some(u32::from_be_bytes(*number))
    };
    // Cipher, function of the passphrase, its options; then the number of keys, and the public one.
    for _ in 0..3 {
        let len = usize::try_from(number(&mut rest)?).ok()?;
        rest = rest.get(len..)?;
    }
    number(&mut rest).filter(|&keys| keys == 1)?;
    let len = usize::try_from(number(&mut rest)?).ok()?;
    let hash = Sha256::digest(rest.get(..len)?);
    Some(BASE64_NOPAD.encode(hash.get(..TAG_LEN)?))
}

/// Unlocks a key that [`parse_private`] found locked.
pub(crate) fn unlock(
    key: &age::ssh::Identity,
    passphrase: SecretString,
) -> Result<age::ssh::Identity, Error> {
    match key {
        age::ssh::Identity::Encrypted(locked) => locked
            .decrypt(passphrase)
            .map(Into::into)
            .map_err(|_| Error::new(ErrorKind::WrongPassphrase)),
        other => Ok(other.clone()),
    }
}

const TAG_LEN: usize = 4;
