//! Where content keys come from, and what is derived from them (`docs/format.md`, section 4.1).

use std::hint::black_box;
use std::ops::Deref;
use std::{fmt, io};

use carstone_layer::{LayerList, PackId};
use hkdf::{Hkdf, InvalidLength};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::format::AES_256_GCM;
use crate::{Error, ErrorKind, LayerHeader};

/// A content key that is wiped from memory when it is dropped. It lies in one place on the heap: moving it leaves no copies behind.
pub struct ContentKeyBytes(Box<Zeroizing<[u8; 32]>>);

impl ContentKeyBytes {
    /// Takes 32 bytes as a key. Where they are a secret already, [`copy_of`](Self::copy_of) puts no more copies of them on the stack.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self::copy_of(&Zeroizing::new(bytes))
    }

    /// Copies a key from where it lies to a place of its own.
    #[must_use]
    pub fn copy_of(bytes: &[u8; 32]) -> Self {
        let mut key = Self(Box::default());
        key.0.copy_from_slice(bytes);
        key
    }
}

impl Deref for ContentKeyBytes {
    type Target = [u8; 32];

    fn deref(&self) -> &[u8; 32] {
        &self.0
    }
}

// A derived one would make the copy on the stack.
impl Clone for ContentKeyBytes {
    fn clone(&self) -> Self {
        Self::copy_of(self)
    }
}

impl fmt::Debug for ContentKeyBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ContentKeyBytes(..)")
    }
}

/// Finds the content key of a stream by the key envelope in its header.
///
/// A `&[u8; 32]` is the key of any stream; a closure opens the envelope.
///
/// ```
/// use carstone_encrypt::{ContentKeyBytes, EncryptReader, EncryptWriter};
///
/// let stored = EncryptWriter::new(Vec::new(), &[7; 32])?.finish()?;
/// let open_envelope = |envelope: &[u8]| {
///     assert!(envelope.is_empty()); // The key was agreed elsewhere.
///     Ok(Some(ContentKeyBytes::new([7; 32])))
/// };
/// assert_eq!(EncryptReader::open_at(stored, open_envelope)?.len(), 0);
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait KeySource {
    /// The content key for a stream with this envelope, or `None` when there is none.
    ///
    /// # Errors
    /// Whatever opening the envelope gives.
    fn content_key(&mut self, envelope: &[u8]) -> io::Result<Option<ContentKeyBytes>>;
}

impl KeySource for &[u8; 32] {
    fn content_key(&mut self, _envelope: &[u8]) -> io::Result<Option<ContentKeyBytes>> {
        Ok(Some(ContentKeyBytes::copy_of(self)))
    }
}

impl<F: FnMut(&[u8]) -> io::Result<Option<ContentKeyBytes>>> KeySource for F {
    fn content_key(&mut self, envelope: &[u8]) -> io::Result<Option<ContentKeyBytes>> {
        self(envelope)
    }
}

/// What is derived from one content key for one pack.
pub(crate) struct Keys {
    /// On the heap, so that moving it leaves no copies.
    pub payload: Box<Zeroizing<[u8; 32]>>,
    pub commitment: [u8; 32],
}

impl Keys {
    pub(crate) fn derive(content_key: &[u8; 32], pack: PackId, layers: &LayerList) -> Self {
        let keys = Self::derived(content_key, pack, layers);
        wipe_stack();
        keys
    }

    // Not inlined, so that all that it calls stands on the stack where it is wiped afterwards.
    #[inline(never)]
    fn derived(content_key: &[u8; 32], pack: PackId, layers: &LayerList) -> Self {
        let prk = Prk::extract(pack.as_bytes(), content_key);
        let segment = SEGMENT.to_le_bytes();
        let mut keys = Self { payload: Box::default(), commitment: [0; 32] };
        let payload_info: &[&[u8]] = &[b"carstone/1 payload", &[AES_256_GCM], &segment];
        prk.expand(payload_info, keys.payload.as_mut_slice())
            .expect("32 bytes are under the limit");
        let list = layers.canonical();
        let commit_info: &[&[u8]] = &[b"carstone/1 commit", &[AES_256_GCM], &segment, &list];
        prk.expand(commit_info, &mut keys.commitment).expect("32 bytes are under the limit");
        keys
    }

    /// The keys for a stream that is there; a wrong content key is told before anything is decrypted.
    pub(crate) fn of_stream(
        header: &LayerHeader,
        content_key: &[u8; 32],
        layers: &LayerList,
    ) -> Result<Self, Error> {
        let keys = Self::derive(content_key, header.pack_id, layers);
        if !keys.commits_to(&header.commitment) {
            return Err(Error::new(ErrorKind::WrongKey, 0));
        }
        Ok(keys)
    }

    /// Compares in a time that does not depend on the bytes.
    pub(crate) fn commits_to(&self, commitment: &[u8; 32]) -> bool {
        self.commitment.ct_eq(commitment).into()
    }
}

/// A pseudorandom key of HKDF with SHA-256 (RFC 5869, section 2).
struct Prk(Hkdf<Sha256>);

impl Prk {
    fn extract(salt: &[u8], ikm: &[u8]) -> Self {
        Self(Hkdf::new(Some(salt), ikm))
    }

    /// Fills `out`, at most 8160 bytes; `info` is in parts, which are joined.
    fn expand(&self, info: &[&[u8]], out: &mut [u8]) -> Result<(), InvalidLength> {
        self.0.expand_multi_info(info, out)
    }
}

/// Overwrites what was left below on the stack by functions that have returned: hashes hold keys in blocks that they do not wipe.
#[inline(never)]
fn wipe_stack() {
    let mut area = [0_u8; STACK_USED];
    area.zeroize(); // Its writes are not optimised away.
    black_box(&area);
}

/// More than what deriving keys uses of the stack, which is some two kilobytes.
const STACK_USED: usize = 16 << 10;

const SEGMENT: u32 = 0;

#[cfg(test)]
mod vector_tests;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slot;

    #[test]
    fn debug_hides_the_key() {
        assert_eq!(format!("{:?}", ContentKeyBytes::new([0xab; 32])), "ContentKeyBytes(..)");
    }

    fn derive(key: u8, pack: u8, layers: &LayerList) -> Keys {
        Keys::derive(&[key; 32], PackId::from_bytes([pack; 16]), layers)
    }

    #[test]
    fn keys_depend_on_all_that_they_are_bound_to() {
        let alone = LayerList::single(slot());
        let position = carstone_layer::LayerSlot {
            id: carstone_layer::LayerId::POSITION,
            algorithm: 0,
            unit: 0,
        };
        let two = LayerList::new(vec![slot(), position]).expect("valid list");
        let keys = derive(1, 2, &alone);
        assert_ne!(**keys.payload, keys.commitment);
        assert_ne!(keys.payload, derive(3, 2, &alone).payload);
        assert_ne!(keys.payload, derive(1, 3, &alone).payload);
        assert_ne!(keys.commitment, derive(3, 2, &alone).commitment);
        assert_ne!(keys.commitment, derive(1, 3, &alone).commitment);
        assert_eq!(keys.payload, derive(1, 2, &two).payload);
        assert_ne!(keys.commitment, derive(1, 2, &two).commitment);
    }
}
