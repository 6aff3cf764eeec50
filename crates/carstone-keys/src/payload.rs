//! The bridge to the age library: bytes into an age file, and out of one.

use std::collections::HashSet;
use std::io::{self, BufRead, Read};
use std::sync::{Mutex, PoisonError};

use age::{DecryptError, Decryptor, EncryptError, Encryptor};
use age_core::format::{FileKey, Stanza};
use age_core::primitives::hkdf;
use chacha20poly1305::ChaCha20Poly1305;
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::content_key::fill_random;
use crate::error::{Error, ErrorKind};
use crate::header::Header;

/// Encrypts `plain`, at most 64 KiB, to all of `recipients`.
///
/// The library makes the header. The payload is made here, since the library would leave a copy of `plain` in memory.
pub(crate) fn seal<'a>(
    plain: &[u8],
    recipients: impl Iterator<Item = &'a dyn age::Recipient>,
) -> Result<Vec<u8>, Error> {
    fill_random(&mut [0; 32])?;
    let noted = Mutex::new(None);
    let recipients: Vec<_> =
        recipients.map(|recipient| Noting { recipient, noted: &noted }).collect();
    let each = recipients.iter().map(|recipient| recipient as &dyn age::Recipient);
    let encryptor = Encryptor::with_recipients(each).map_err(from_encrypt)?;
    let mut sealed = Vec::new();
    // Header and nonce are written at once; what would write the payload is dropped.
    encryptor.wrap_output(&mut sealed).map_err(|_| Error::new(ErrorKind::Damaged))?;
    let file_key = noted.into_inner().unwrap_or_else(PoisonError::into_inner);
    let file_key = file_key.ok_or_else(|| Error::new(ErrorKind::NoRecipients))?;
    seal_chunk(&file_key, plain, &mut sealed)?;
    Ok(sealed)
}

/// Appends the payload of an age file (C2SP age, "Payload") that is one chunk long. `sealed` ends in the nonce of the payload.
fn seal_chunk(file_key: &FileKey, plain: &[u8], sealed: &mut Vec<u8>) -> Result<(), Error> {
    let fails = || Error::new(ErrorKind::Damaged);
    let nonce = sealed.last_chunk::<NONCE_LEN>().ok_or_else(fails)?;
    let key = Zeroizing::new(hkdf(nonce, b"payload", file_key.expose_secret()));
    // Room for all, so that no half of a plain text stays behind where the bytes once were.
    sealed.reserve_exact(plain.len() + TAG_LEN);
    let start = sealed.len();
    sealed.extend_from_slice(plain);
    let chunk = sealed.get_mut(start..).filter(|chunk| chunk.len() <= CHUNK_LEN);
    // Chunk number 0, and the last one.
    let nonce = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let tag = ChaCha20Poly1305::new((&*key).into())
        .encrypt_inout_detached(&nonce.into(), b"", chunk.ok_or_else(fails)?.into())
        .map_err(|_| fails())?;
    sealed.extend_from_slice(&tag);
    Ok(())
}

/// A recipient that notes which file key was wrapped to it.
struct Noting<'a> {
    recipient: &'a dyn age::Recipient,
    noted: &'a Mutex<Option<FileKey>>,
}

impl age::Recipient for Noting<'_> {
    fn wrap_file_key(
        &self,
        file_key: &FileKey,
    ) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        let note = FileKey::init_with_mut(|key| key.copy_from_slice(file_key.expose_secret()));
        *self.noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(note);
        self.recipient.wrap_file_key(file_key)
    }
}

/// Checks everything about an age file that needs no key.
pub(crate) fn check(bytes: &[u8], header: &Header) -> Result<(), Error> {
    decryptor(bytes, header).map(|_| ())
}

/// Opens an age file with the first of `identities` that fits, and takes at most `limit` bytes out of it.
pub(crate) fn open<'a>(
    bytes: &[u8],
    header: &Header,
    identities: impl Iterator<Item = &'a dyn age::Identity>,
    limit: usize,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let reader = decryptor(bytes, header)?.decrypt(identities).map_err(from_decrypt)?;
    read_payload(reader, bytes.len(), limit)
}

/// Opens an age file with one identity whose errors `explain` knows better.
#[cfg(feature = "plugin")]
pub(crate) fn open_with(
    bytes: &[u8],
    header: &Header,
    identity: &dyn age::Identity,
    limit: usize,
    explain: impl FnOnce(DecryptError) -> Error,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let identity = std::iter::once(identity);
    let reader = decryptor(bytes, header)?.decrypt(identity).map_err(explain)?;
    read_payload(reader, bytes.len(), limit)
}

/// Opens an age file that was sealed to a passphrase.
pub(crate) fn open_scrypt(
    bytes: &[u8],
    header: &Header,
    passphrase: &SecretString,
    max_work_factor: u8,
    limit: usize,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut identity = age::scrypt::Identity::new(passphrase.clone());
    identity.set_max_work_factor(max_work_factor);
    let reader = decryptor(bytes, header)?
        .decrypt(std::iter::once(&identity as &dyn age::Identity))
        .map_err(|error| match error {
            DecryptError::DecryptionFailed => Error::new(ErrorKind::WrongPassphrase),
            DecryptError::ExcessiveWork { required, .. } => Error::new(ErrorKind::ExcessiveWork {
                required: required.into(),
                allowed: max_work_factor,
            }),
            other => from_decrypt(other),
        })?;
    read_payload(reader, bytes.len(), limit)
}

fn read_payload(
    reader: impl Read,
    sealed_len: usize,
    limit: usize,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    // One byte more than wanted tells a longer plaintext, and reading up to the end checks the last tag. The
    // room is there from the start, because a buffer that grows leaves copies behind.
    let most = limit.saturating_add(1);
    let mut plain = Zeroizing::new(Vec::with_capacity(sealed_len.min(most)));
    reader
        .take(u64::try_from(most).unwrap_or(u64::MAX))
        .read_to_end(&mut plain)
        .map_err(|_| Error::new(ErrorKind::Damaged))?;
    if plain.len() > limit {
        return Err(Error::new(ErrorKind::BadPlaintext));
    }
    Ok(plain)
}

fn decryptor<'a>(bytes: &'a [u8], header: &Header) -> Result<Decryptor<Whole<'a>>, Error> {
    let payload = bytes.len().saturating_sub(header.len);
    if payload < NONCE_LEN + TAG_LEN {
        return Err(
            Error::new(ErrorKind::NotAnEnvelope("the payload ends in the middle")).at(bytes.len())
        );
    }
    let (head, payload) = bytes.split_at_checked(header.len).unwrap_or((bytes, &[][..]));
    Decryptor::new_buffered(Whole { head, payload }).map_err(from_decrypt)
}

/// An age file that gives its whole header as one line.
///
/// The library parses the header anew after each line that it reads, which for a header of many short lines
/// takes time by the square of its length.
struct Whole<'a> {
    head: &'a [u8],
    payload: &'a [u8],
}

impl Read for Whole<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.head.is_empty() { self.payload.read(buf) } else { self.head.read(buf) }
    }
}

impl BufRead for Whole<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(if self.head.is_empty() { self.payload } else { self.head })
    }

    fn consume(&mut self, amount: usize) {
        let part = if self.head.is_empty() { &mut self.payload } else { &mut self.head };
        *part = part.get(amount..).unwrap_or_default();
    }

    fn read_until(&mut self, _byte: u8, buf: &mut Vec<u8>) -> io::Result<usize> {
        let head = std::mem::take(&mut self.head);
        buf.extend_from_slice(head);
        Ok(head.len())
    }
}

pub(crate) fn from_decrypt(error: DecryptError) -> Error {
    Error::new(match error {
        DecryptError::InvalidHeader => ErrorKind::NotAnEnvelope("malformed header"),
        DecryptError::UnknownFormat => ErrorKind::NotAnEnvelope("another version of the format"),
        DecryptError::Io(_) => ErrorKind::NotAnEnvelope("the header ends in the middle"),
        // The caller knows how many identities there were, and fills that in.
        DecryptError::NoMatchingKeys => ErrorKind::NoMatchingKey { tried: 0, needs: Vec::new() },
        // A MAC that does not hold, a stanza that is ours and does not decrypt.
        _ => ErrorKind::Damaged,
    })
}

fn from_encrypt(error: EncryptError) -> Error {
    #[cfg(feature = "plugin")]
    if let Some(error) = crate::plugin::from_encrypt(&error) {
        return error;
    }
    match error {
        EncryptError::MissingRecipients => Error::new(ErrorKind::NoRecipients),
        EncryptError::MixedRecipientAndPassphrase => Error::new(ErrorKind::MixedPassphrase),
        EncryptError::IncompatibleRecipients { .. } => Error::new(ErrorKind::MixedPostQuantum),
        _ => Error::new(ErrorKind::BadRecipient("the key cannot be encrypted to")),
    }
}

const NONCE_LEN: usize = 16;
const TAG_LEN: usize = 16;
/// The longest chunk of a payload; only the last one is shorter.
const CHUNK_LEN: usize = 64 << 10;
