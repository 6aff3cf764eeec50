//! Keys of OpenSSH.

use secrecy::SecretString;

use crate::error::{Error, ErrorKind};

/// A private key that was read: ready for use, or locked by a passphrase.
pub(crate) enum PrivateKey {
    Open(age::ssh::Identity),
    Locked(age::ssh::Identity),
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
        age::ssh::Identity::Encrypted(_) => Ok(PrivateKey::Locked(key)),
        age::ssh::Identity::Unsupported(_) => Err(Error::new(ErrorKind::BadIdentity(
            "SSH private keys of this kind are not supported",
        ))),
    }
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
