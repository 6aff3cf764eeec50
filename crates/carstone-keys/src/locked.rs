//! Key files that a passphrase locks.

use std::borrow::Cow;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use age::armor::ArmoredReader;

use crate::envelope::MAX_LEN;
use crate::error::{Error, ErrorKind};
use crate::header::{Header, RecipientKind};
use crate::identities::{Identities, Keys, PassphraseFor, parse_keys};

/// A key file that takes a passphrase to read.
///
/// It is unlocked when it is first needed, and stays so.
pub(crate) struct LockedFile {
    name: PathBuf,
    content: Locked,
    keys: Mutex<Option<Arc<Keys>>>,
}

impl LockedFile {
    /// Whether the content of a key file is an age file, binary or armored.
    pub(crate) fn is_age(bytes: &[u8]) -> bool {
        bytes.starts_with(b"age-encryption.org/") || bytes.trim_ascii_start().starts_with(ARMOR)
    }

    pub(crate) fn from_age(bytes: &[u8], name: &Path) -> Result<Self, Error> {
        let binary = without_armor(bytes)?.into_owned();
        let header = Header::parse(&binary)?;
        if !header.is_scrypt() {
            return Err(Error::new(ErrorKind::BadIdentity(
                "the file is sealed, and not to a passphrase",
            )));
        }
        Ok(Self::new(Locked::Age { binary, header }, name))
    }

    #[cfg(feature = "ssh")]
    pub(crate) fn from_ssh(key: age::ssh::Identity, tag: Option<String>, name: &Path) -> Self {
        Self::new(Locked::Ssh { key, tag }, name)
    }

    /// Whether it is worth asking for the passphrase.
    pub(crate) fn may_open(&self, header: &Header) -> bool {
        match &self.content {
            Locked::Age { .. } => header.kinds.iter().any(|kind| match kind {
                RecipientKind::X25519 | RecipientKind::MlKem768X25519 => true,
                // There may be keys of plugins in it, which make stanzas of any kind.
                RecipientKind::Scrypt | RecipientKind::SshEd25519 | RecipientKind::SshRsa => false,
                _ => cfg!(feature = "plugin"),
            }),
            #[cfg(feature = "ssh")]
            Locked::Ssh { tag, .. } => {
                header.ssh_tags.iter().any(|found| tag.as_ref().is_none_or(|tag| tag == found))
            }
        }
    }

    /// The keys in the file, with the passphrases and the callback of `owner`.
    pub(crate) fn unlock(&self, owner: &Identities) -> Result<Arc<Keys>, Error> {
        let mut known = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(keys) = &*known {
            return Ok(Arc::clone(keys));
        }
        let keys = Arc::new(self.read(owner)?);
        *known = Some(Arc::clone(&keys));
        Ok(keys)
    }

    fn new(content: Locked, name: &Path) -> Self {
        Self { name: name.to_owned(), content, keys: Mutex::new(None) }
    }

    fn read(&self, owner: &Identities) -> Result<Keys, Error> {
        let placed = |error: Error| error.in_file(&self.name, None);
        match &self.content {
            Locked::Age { binary, header } => {
                let what = PassphraseFor::IdentityFile(&self.name);
                let plain = owner.open_scrypt(binary, header, MAX_LEN, what).map_err(placed)?;
                parse_keys(&plain, &self.name)
            }
            #[cfg(feature = "ssh")]
            Locked::Ssh { key, .. } => owner
                .try_passphrases(PassphraseFor::SshKey(&self.name), |passphrase| {
                    crate::ssh::unlock(key, passphrase.clone())
                })
                .map(|key| Keys::of(Box::new(key)))
                .map_err(placed),
        }
    }
}

/// Takes the armor off an age file. White space around the armor does not count; anything else comes
/// back unchanged.
pub(crate) fn without_armor(bytes: &[u8]) -> Result<Cow<'_, [u8]>, Error> {
    let trimmed = bytes.trim_ascii();
    if !trimmed.starts_with(ARMOR) {
        return Ok(Cow::Borrowed(bytes));
    }
    let mut binary = Vec::new();
    ArmoredReader::new(trimmed)
        .read_to_end(&mut binary)
        .map_err(|_| Error::new(ErrorKind::BadIdentity("the armor is malformed")))?;
    Ok(Cow::Owned(binary))
}

enum Locked {
    Age {
        binary: Vec<u8>,
        header: Header,
    },
    #[cfg(feature = "ssh")]
    Ssh {
        key: age::ssh::Identity,
        /// What stanzas for it say about it, in base64; `None` for a file that does not tell.
        tag: Option<String>,
    },
}

const ARMOR: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";
