//! One signature: `PROTOCOL.sshsig` of OpenSSH, and a line behind it that says of what it is.

use std::fmt::Write as _;
use std::io::Read;
use std::path::{Path, PathBuf};

use data_encoding::{BASE64, HEXLOWER};
use ssh_key::public::KeyData;
use ssh_key::{Algorithm, HashAlg, LineEnding, PublicKey, SshSig};

use super::wire::{Fields, text};
use super::{Digest, Error, ErrorKind, Hash, NAMESPACE};

/// A signature over a pack.
///
/// Nothing is known of it before [`Signers::find`](super::Signers::find) and [`verify`](Self::verify).
#[derive(Clone, Debug)]
pub struct Signature {
    inner: SshSig,
    /// The public key as it stands in the signature, and in lists of signers.
    key: Vec<u8>,
    hash: Hash,
    note: Option<Note>,
    name: PathBuf,
}

/// What the line behind the signature says. Nobody vouches for the pack id; whether the key signed the digest can be checked.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Note {
    pack: [u8; 16],
    digest: Digest,
}

impl Signature {
    /// Reads a signature of at most [`MAX_SIGNATURE_LEN`] bytes, which errors call `name`.
    ///
    /// # Errors
    /// [`ErrorKind::Read`], and as [`parse`](Self::parse).
    pub fn read(reader: impl Read, name: impl AsRef<Path>) -> Result<Self, Error> {
        let name = name.as_ref();
        let mut bytes = Vec::new();
        let read = reader.take(MAX_SIGNATURE_LEN as u64 + 1).read_to_end(&mut bytes);
        read.map_err(|error| Error::with_source(ErrorKind::Read, error).in_file(name))?;
        Self::parse(&bytes, name)
    }

    /// Reads the text of a signature, which errors call `name`.
    ///
    /// # Errors
    /// It is none ([`Empty`](ErrorKind::Empty), [`NotASignature`](ErrorKind::NotASignature), [`Truncated`](ErrorKind::Truncated),
    /// [`Malformed`](ErrorKind::Malformed), [`TooLarge`](ErrorKind::TooLarge)), or none that counts here:
    /// [`Version`](ErrorKind::Version), [`Namespace`](ErrorKind::Namespace), [`UnknownHash`](ErrorKind::UnknownHash),
    /// [`UnknownKeyType`](ErrorKind::UnknownKeyType), [`UnknownAlgorithm`](ErrorKind::UnknownAlgorithm),
    /// [`KeySize`](ErrorKind::KeySize).
    pub fn parse(bytes: &[u8], name: impl AsRef<Path>) -> Result<Self, Error> {
        let name = name.as_ref();
        Self::parse_named(bytes, name).map_err(|error| error.in_file(name))
    }

    /// The text, as `ssh-keygen -Y sign` writes it, and the line that says of what it is.
    #[must_use]
    pub fn to_text(&self) -> String {
        // It was encoded once to get here, so that it can be.
        let mut text = self.inner.to_pem(LineEnding::LF).unwrap_or_default();
        if !text.ends_with('\n') {
            text.push('\n');
        }
        if let Some(Note { pack, digest }) = &self.note {
            let (pack, sum) = (HEXLOWER.encode(pack), HEXLOWER.encode(digest.as_bytes()));
            let _ = writeln!(text, "{NOTE} {pack} {} {sum}", digest.hash().name());
        }
        text
    }

    /// The hash that [`digest`](super::digest) is to compute.
    #[must_use]
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// The type of the key, such as `ssh-ed25519`.
    #[must_use]
    pub fn key_type(&self) -> String {
        self.inner.public_key().algorithm().as_str().to_owned()
    }

    /// The fingerprint of the key, as `ssh-keygen -l` prints it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.inner.public_key().fingerprint(HashAlg::Sha256).to_string()
    }

    /// Whether the key signed exactly the bytes with this digest, of the pack with this id. Whether the key is one that counts
    /// is another question.
    ///
    /// # Errors
    /// [`Stale`](ErrorKind::Stale) where the key did sign a pack of this id, as the line behind the signature says, but other bytes of it;
    /// [`OtherPack`](ErrorKind::OtherPack) where it signed what that line calls another; else [`Mismatch`](ErrorKind::Mismatch).
    pub fn verify(&self, pack: [u8; 16], digest: &Digest) -> Result<(), Error> {
        if self.holds(digest) {
            return Ok(());
        }
        let kind = match &self.note {
            // The key did sign that digest, so that the line is no mere claim of anybody.
            Some(note) if note.digest != *digest && self.holds(&note.digest) => {
                match note.pack == pack {
                    true => ErrorKind::Stale,
                    false => ErrorKind::OtherPack { pack: note.pack },
                }
            }
            _ => ErrorKind::Mismatch,
        };
        Err(Error::new(kind).in_file(&self.name))
    }

    /// The public key, in the encoding of RFC 4253.
    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    pub(super) fn name(&self) -> &Path {
        &self.name
    }

    /// A new one, with the line that says of what it is.
    pub(super) fn new(inner: SshSig, pack: [u8; 16], digest: Digest) -> Result<Self, Error> {
        let key = PublicKey::from(inner.public_key().clone()).to_bytes();
        let key = key.map_err(|_| Error::new(ErrorKind::BrokenKey))?;
        let hash = digest.hash();
        Ok(Self { inner, key, hash, note: Some(Note { pack, digest }), name: PathBuf::new() })
    }

    fn holds(&self, digest: &Digest) -> bool {
        let key = PublicKey::from(self.inner.public_key().clone());
        digest.hash() == self.hash
            && key.verify_prehash(NAMESPACE, digest.as_bytes(), &self.inner).is_ok()
    }

    fn parse_named(bytes: &[u8], name: &Path) -> Result<Self, Error> {
        let (blob, behind) = without_armor(bytes)?;
        let mut fields = Fields::new(&blob);
        if fields.take(MAGIC.len())? != MAGIC {
            return Err(Error::new(ErrorKind::Malformed("wrong magic")).at(0));
        }
        let mut at = fields.at();
        let placed = |kind: ErrorKind, at: usize| Error::new(kind).at(at);
        let version = fields.number()?;
        if version != SshSig::VERSION {
            return Err(placed(ErrorKind::Version(version), at));
        }
        at = fields.at();
        let key = fields.string()?;
        let public = public_key(key).map_err(|error| error.at(at))?;
        at = fields.at();
        let namespace = fields.string()?;
        if namespace != NAMESPACE.as_bytes() {
            return Err(placed(ErrorKind::Namespace(text(namespace)), at));
        }
        at = fields.at();
        if !fields.string()?.is_empty() {
            // Not signed, and not known: `ssh-keygen` writes none.
            return Err(placed(ErrorKind::Malformed("the reserved field is not empty"), at));
        }
        at = fields.at();
        let hash = fields.string()?;
        let hash =
            Hash::named(hash).ok_or_else(|| placed(ErrorKind::UnknownHash(text(hash)), at))?;
        at = fields.at();
        let signature = fields.string()?;
        fields.end()?;
        let signature = made_by(&public, signature).map_err(|error| error.at(at))?;
        let inner = SshSig::new(public, NAMESPACE, hash.to_ssh(), signature);
        let inner = inner.map_err(|_| placed(ErrorKind::Malformed("it cannot be used"), 0))?;
        let note = behind.lines().find_map(Note::parse).filter(|note| note.digest.hash() == hash);
        Ok(Self { inner, key: key.to_vec(), hash, note, name: name.to_owned() })
    }
}

impl Note {
    /// What the line says; `None` of any other line.
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix(NOTE)?.split_ascii_whitespace();
        let pack = HEXLOWER.decode(words.next()?.as_bytes()).ok()?;
        let hash = Hash::named(words.next()?.as_bytes())?;
        let digest = HEXLOWER.decode(words.next()?.as_bytes()).ok()?;
        Some(Self { pack: pack.try_into().ok()?, digest: Digest::from_bytes(hash, &digest)? })
    }
}

/// A key of a type that is known and strong enough.
fn public_key(bytes: &[u8]) -> Result<KeyData, Error> {
    let name = Fields::new(bytes).string()?;
    if !KEY_TYPES.iter().any(|known| known.as_bytes() == name) {
        return Err(Error::new(ErrorKind::UnknownKeyType(text(name))));
    }
    let key = PublicKey::from_bytes(bytes);
    let key = key.map_err(|_| Error::new(ErrorKind::Malformed("its public key is none")))?;
    is_strong(key.key_data())?;
    Ok(key.key_data().clone())
}

/// # Errors
/// [`ErrorKind::KeySize`].
pub(super) fn is_strong(key: &KeyData) -> Result<(), Error> {
    let Some(modulus) = key.rsa().and_then(|key| key.n().as_positive_bytes()) else {
        return Ok(());
    };
    let zeros = modulus.first().map_or(0, |byte| u64::from(byte.leading_zeros()));
    let bits = (modulus.len() as u64).saturating_mul(8).saturating_sub(zeros);
    match RSA_BITS.contains(&bits) {
        true => Ok(()),
        false => Err(Error::new(ErrorKind::KeySize(bits))),
    }
}

/// The signature itself, made in a way that goes with the key. RSA with SHA-1 (`ssh-rsa`) does not.
fn made_by(key: &KeyData, bytes: &[u8]) -> Result<ssh_key::Signature, Error> {
    let mut fields = Fields::new(bytes);
    let name = fields.string()?;
    let value = fields.string()?;
    fields.end()?;
    let unknown = || Error::new(ErrorKind::UnknownAlgorithm(text(name)));
    let algorithm = std::str::from_utf8(name).ok().and_then(|name| Algorithm::new(name).ok());
    let algorithm = algorithm.ok_or_else(unknown)?;
    let fits = match key.algorithm() {
        Algorithm::Rsa { .. } => matches!(algorithm, Algorithm::Rsa { hash: Some(_) }),
        other => other == algorithm,
    };
    if !fits {
        return Err(unknown());
    }
    let signature = ssh_key::Signature::new(algorithm, value);
    signature.map_err(|_| Error::new(ErrorKind::Malformed("its signature is none")))
}

/// The bytes inside the armor, and the text behind it. White space is left out, however long the lines are.
fn without_armor(bytes: &[u8]) -> Result<(Vec<u8>, String), Error> {
    if bytes.len() > MAX_SIGNATURE_LEN {
        return Err(Error::new(ErrorKind::TooLarge { limit: MAX_SIGNATURE_LEN }));
    }
    let bytes = bytes.trim_ascii_start();
    if bytes.is_empty() {
        return Err(Error::new(ErrorKind::Empty));
    }
    // What only begins like one is one that is cut off.
    if !bytes.starts_with(BEGIN) {
        let is_cut = BEGIN.starts_with(bytes);
        let kind = if is_cut { ErrorKind::Truncated } else { ErrorKind::NotASignature };
        return Err(Error::new(kind));
    }
    let inside = bytes.get(BEGIN.len()..).unwrap_or_default();
    let end = inside.windows(END.len()).position(|window| window == END);
    let end = end.ok_or_else(|| Error::new(ErrorKind::Truncated))?;
    let (inside, behind) = inside.split_at(end);
    let behind = text(behind.get(END.len()..).unwrap_or_default());
    let inside: Vec<u8> =
        inside.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let blob = BASE64.decode(&inside);
    let blob = blob.map_err(|_| Error::new(ErrorKind::Malformed("it is not base64")))?;
    Ok((blob, behind))
}

/// The most bytes of a signature file. Those of the largest RSA keys have some 3,000.
pub const MAX_SIGNATURE_LEN: usize = 64 << 10;

const MAGIC: &[u8] = b"SSHSIG";
const BEGIN: &[u8] = b"-----BEGIN SSH SIGNATURE-----";
const END: &[u8] = b"-----END SSH SIGNATURE-----";
/// Begins the line that says of what a signature is.
const NOTE: &str = "# carstone pack";
const KEY_TYPES: [&str; 3] = ["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256"];
const RSA_BITS: std::ops::RangeInclusive<u64> = 2048..=8192;
