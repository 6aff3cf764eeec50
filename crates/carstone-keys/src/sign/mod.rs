//! Signatures over packs, with the keys of OpenSSH (feature `sign`).
//!
//! ```
//! use std::time::SystemTime;
//! use carstone_keys::sign::{self, Hash, Signature, Signers, SigningKey};
//! # let key_file = include_bytes!("../../tests/keys/ed25519");
//! # let public = include_str!("../../tests/keys/ed25519.pub");
//! let (id, pack) = ([7; 16], b"the stored bytes of a pack");
//!
//! let key = SigningKey::from_bytes(key_file, "key", || unreachable!("it is not locked"))?;
//! let text = key.sign(id, &sign::digest(Hash::Sha512, &pack[..])?)?.to_text();
//!
//! let signers = Signers::parse(format!("alice@example.org {public}").as_bytes(), "signers")?;
//! let signature = Signature::parse(text.as_bytes(), "pack.sig")?;
//! let signer = signers.find(&signature, None, SystemTime::now())?;
//! assert_eq!(signer.principals(), "alice@example.org");
//! signature.verify(id, &sign::digest(signature.hash(), &pack[..])?)?;
//!
//! // After any change it does not hold.
//! let changed = sign::digest(signature.hash(), &b"other bytes"[..])?;
//! assert!(signature.verify(id, &changed).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A signature says that whoever has the key had these bytes. It is what an envelope cannot say: see *What an envelope does not
//! prove* of the [crate](crate#what-an-envelope-does-not-prove).
//!
//! # Guarantees
//!
//! - [`Signers::find`] knows only keys that are listed, for this namespace, at this time, for this principal;
//!   [`Signature::verify`] holds only for the very bytes that were signed. Both are needed.
//! - Whatever the bytes of a signature or a list, the outcome is a value or an [`Error`]: nothing is allocated by a length that was
//!   not checked, and a file has at most [`MAX_SIGNATURE_LEN`] or [`MAX_LEN`](crate::MAX_LEN) bytes.
//! - A new signature is verified before it is given: a key whose halves do not belong together, or a slip of the processor, gives an
//!   error and no signature.
//!
//! # Format
//!
//! SSHSIG as OpenSSH has it (`PROTOCOL.sshsig`), namespace [`NAMESPACE`], and `allowed_signers` as in `ssh-keygen(1)`; section *Signatures*
//! of `docs/format.md`. Keys: `ssh-ed25519`, `ssh-rsa` of 2,048 bits or more with SHA-2, `ecdsa-sha2-nistp256`.

mod error;
mod key;
mod pattern;
mod signers;
mod sshsig;
mod when;
mod wire;

use std::io::{self, Read};

use sha2::{Digest as _, Sha256, Sha512};

pub use error::{Error, ErrorKind};
pub use key::SigningKey;
pub use signers::{Signer, Signers};
pub use sshsig::{MAX_SIGNATURE_LEN, Signature};

/// What the signatures of packs are for, so that none that was made for something else counts.
pub const NAMESPACE: &str = "carstone";

/// The hash under a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hash {
    /// SHA-256, which is read.
    Sha256,
    /// SHA-512, which is read and written.
    Sha512,
}

impl Hash {
    /// Its name in signatures.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Bytes of a digest.
    pub(crate) fn len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    pub(crate) fn named(name: &[u8]) -> Option<Self> {
        [Self::Sha256, Self::Sha512].into_iter().find(|hash| hash.name().as_bytes() == name)
    }

    fn to_ssh(self) -> ssh_key::HashAlg {
        match self {
            Self::Sha256 => ssh_key::HashAlg::Sha256,
            Self::Sha512 => ssh_key::HashAlg::Sha512,
        }
    }
}

/// The hash of what is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    hash: Hash,
    bytes: Vec<u8>,
}

impl Digest {
    /// A digest that was computed elsewhere; `None` where it has another length than those of `hash`.
    #[must_use]
    pub fn from_bytes(hash: Hash, bytes: &[u8]) -> Option<Self> {
        (bytes.len() == hash.len()).then(|| Self { hash, bytes: bytes.to_vec() })
    }

    /// The hash.
    #[must_use]
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Hashes all of a stream, in pieces of 256 KiB.
///
/// # Errors
/// The stream cannot be read.
pub fn digest(hash: Hash, stream: impl Read) -> io::Result<Digest> {
    let bytes = match hash {
        Hash::Sha256 => hashed(Sha256::new(), stream)?,
        Hash::Sha512 => hashed(Sha512::new(), stream)?,
    };
    Ok(Digest { hash, bytes })
}

fn hashed(mut hasher: impl sha2::Digest, mut stream: impl Read) -> io::Result<Vec<u8>> {
    let mut piece = vec![0; 256 << 10];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return Ok(hasher.finalize().to_vec()),
            Ok(n) => hasher.update(piece.get(..n).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
