//! Private keys of OpenSSH that sign.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};
use ssh_key::private::KeypairData;
use ssh_key::{Algorithm, EcdsaCurve, HashAlg, Kdf, PrivateKey};
use zeroize::Zeroizing;

use super::sshsig::is_strong;
use super::{Digest, Error, ErrorKind, NAMESPACE, Signature};
use crate::MAX_LEN;

/// A private key that signs packs. It is wiped from memory when dropped.
pub struct SigningKey(PrivateKey);

impl SigningKey {
    /// Reads a key file of at most [`MAX_LEN`] bytes. `ask` is called for the passphrase of a locked one, and of no other.
    ///
    /// # Errors
    /// [`Read`](ErrorKind::Read), and as [`from_bytes`](Self::from_bytes).
    pub fn read_file(
        path: impl AsRef<Path>,
        ask: impl FnOnce() -> io::Result<SecretString>,
    ) -> Result<Self, Error> {
        let path = path.as_ref();
        let file = File::open(path);
        let file =
            file.map_err(|error| Error::with_source(ErrorKind::Read, error).in_file(path))?;
        Self::read(file, path, ask)
    }

    /// The same from any reader, which errors call `name`.
    ///
    /// # Errors
    /// As for [`read_file`](Self::read_file).
    pub fn read(
        reader: impl Read,
        name: impl AsRef<Path>,
        ask: impl FnOnce() -> io::Result<SecretString>,
    ) -> Result<Self, Error> {
        let name = name.as_ref();
        // A buffer that grows leaves copies of secrets behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_LEN + 1));
        let read = reader.take(MAX_LEN as u64 + 1).read_to_end(&mut bytes);
        read.map_err(|error| Error::with_source(ErrorKind::Read, error).in_file(name))?;
        Self::from_bytes(&bytes, name, ask)
    }

    /// The same from the text of a key.
    ///
    /// # Errors
    /// [`TooLarge`](ErrorKind::TooLarge), [`BadKey`](ErrorKind::BadKey), [`KeySize`](ErrorKind::KeySize); of a locked key
    /// [`ExcessiveWork`](ErrorKind::ExcessiveWork), [`Prompt`](ErrorKind::Prompt), [`WrongPassphrase`](ErrorKind::WrongPassphrase).
    pub fn from_bytes(
        bytes: &[u8],
        name: impl AsRef<Path>,
        ask: impl FnOnce() -> io::Result<SecretString>,
    ) -> Result<Self, Error> {
        parse(bytes, ask).map(Self).map_err(|error| error.in_file(name.as_ref()))
    }

    /// The fingerprint of the key, as `ssh-keygen -l` prints it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.0.fingerprint(HashAlg::Sha256).to_string()
    }

    /// The type of the key, such as `ssh-ed25519`.
    #[must_use]
    pub fn key_type(&self) -> String {
        self.0.public_key().algorithm().as_str().to_owned()
    }

    /// Signs the stored bytes of a pack, which are known by their digest. RSA keys sign with SHA-512.
    ///
    /// # Errors
    /// [`ErrorKind::BrokenKey`].
    pub fn sign(&self, pack: [u8; 16], digest: &Digest) -> Result<Signature, Error> {
        let broken = || Error::new(ErrorKind::BrokenKey);
        let inner = self.0.sign_prehash(NAMESPACE, digest.hash().to_ssh(), digest.as_bytes());
        let signature = Signature::new(inner.map_err(|_| broken())?, pack, digest.clone())?;
        signature.verify(pack, digest).map_err(|_| broken())?;
        Ok(signature)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.fingerprint()).finish()
    }
}

fn parse(
    bytes: &[u8],
    ask: impl FnOnce() -> io::Result<SecretString>,
) -> Result<PrivateKey, Error> {
    if bytes.len() > MAX_LEN {
        return Err(Error::new(ErrorKind::TooLarge { limit: MAX_LEN }));
    }
    let bytes = bytes.trim_ascii();
    let bad = |why| Error::new(ErrorKind::BadKey(why));
    if !bytes.starts_with(b"-----BEGIN OPENSSH PRIVATE KEY-----") {
        return Err(bad(other_format(bytes)));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| bad("it is not text"))?;
    // The library wants Unix or Windows line ends throughout, and one at the end.
    let mut lines = Zeroizing::new(String::with_capacity(text.len().saturating_add(1)));
    for line in text.lines() {
        lines.push_str(line.trim_end());
        lines.push('\n');
    }
    let key = PrivateKey::from_openssh(lines.as_bytes());
    let key = key.map_err(|_| bad("it is cut off or damaged"))?;
    can_sign(&key)?;
    if !key.is_encrypted() {
        return Ok(key);
    }
    if let Kdf::Bcrypt { rounds, .. } = key.kdf()
        && *rounds > MOST_ROUNDS
    {
        return Err(Error::new(ErrorKind::ExcessiveWork(*rounds)));
    }
    let passphrase = ask().map_err(|error| Error::with_source(ErrorKind::Prompt, error))?;
    let opened = key.decrypt(passphrase.expose_secret().as_bytes());
    // Damage to what is locked cannot be told from a wrong passphrase.
    let opened = opened.map_err(|_| Error::new(ErrorKind::WrongPassphrase))?;
    match opened.key_data() {
        KeypairData::Encrypted(_) => Err(Error::new(ErrorKind::WrongPassphrase)),
        _ => Ok(opened),
    }
}

fn can_sign(key: &PrivateKey) -> Result<(), Error> {
    let bad = |why| Err(Error::new(ErrorKind::BadKey(why)));
    match key.public_key().algorithm() {
        Algorithm::Ed25519 | Algorithm::Rsa { .. } => {}
        Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 } => {}
        Algorithm::Ecdsa { .. } => return bad("of the curves of NIST only P-256 is known"),
        Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256 => {
            return bad("it lies in a security key; sign with ssh-keygen -Y sign");
        }
        _ => return bad("keys of its type are not known"),
    }
    is_strong(key.public_key().key_data())
}

/// What else it may be.
fn other_format(bytes: &[u8]) -> &'static str {
    let is_public = [b"ssh-".as_slice(), b"ecdsa-", b"sk-"];
    if bytes.is_empty() {
        "the file is empty"
    } else if is_public.iter().any(|begin| bytes.starts_with(begin)) {
        "it is a public key"
    } else if bytes.starts_with(b"-----BEGIN") {
        "it is not in the format of OpenSSH; ssh-keygen -p -f KEYFILE rewrites it"
    } else if bytes.starts_with(b"# created:") || bytes.starts_with(b"AGE-SECRET-KEY-") {
        "it is an identity of age, which cannot sign; ssh-keygen makes keys that can"
    } else {
        "it is not in the format of OpenSSH"
    }
}

/// The most rounds of bcrypt for which a key is unlocked: a minute or so. `ssh-keygen` takes 16 or 24 unless told otherwise.
const MOST_ROUNDS: u32 = 4096;
