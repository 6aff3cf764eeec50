//! The key that a pack is encrypted under.

use std::hint::black_box;
use std::{fmt, io};

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::error::{Error, ErrorKind};

/// The 32-byte key that a pack's contents are encrypted under.
///
/// It is wiped from memory when dropped, is compared in constant time, and `Debug` does not show it. It lies in one place on the heap:
/// moving it leaves no copies behind.
pub struct ContentKey(Box<Zeroizing<[u8; Self::LEN]>>);

impl ContentKey {
    /// Length of a content key in bytes.
    pub const LEN: usize = 32;

    /// Draws a new key from the operating system.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Randomness`] if the operating system has no random bytes to give.
    pub fn generate() -> Result<Self, Error> {
        let mut key = Self(Box::default());
        fill_random(key.0.as_mut_slice())?;
        Ok(key)
    }

    /// Takes 32 bytes as a key. Other copies of them are the caller's to wipe.
    #[must_use]
    pub fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self::copy_of(&Zeroizing::new(bytes))
    }

    /// Copies a key from where it lies to a place of its own, without a copy on the stack.
    #[must_use]
    pub fn copy_of(bytes: &[u8; Self::LEN]) -> Self {
        let mut key = Self(Box::default());
        key.0.copy_from_slice(bytes);
        key
    }

    /// The bytes of the key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// What is sealed in an envelope: a version byte and the key.
    pub(crate) fn to_plaintext(&self) -> Box<Zeroizing<[u8; PLAINTEXT_LEN]>> {
        let mut plain = Box::new(Zeroizing::new([VERSION; PLAINTEXT_LEN]));
        plain[1..].copy_from_slice(self.as_bytes());
        plain
    }

    pub(crate) fn from_plaintext(plain: &[u8]) -> Result<Self, Error> {
        match plain.split_first() {
            Some((&VERSION, rest)) if rest.len() == Self::LEN => {
                let mut key = Self(Box::default());
                key.0.copy_from_slice(rest);
                Ok(key)
            }
            _ => Err(Error::new(ErrorKind::BadPlaintext)),
        }
    }
}

// A derived one would make the copy on the stack.
impl Clone for ContentKey {
    fn clone(&self) -> Self {
        Self::copy_of(self.as_bytes())
    }
}

impl PartialEq for ContentKey {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes().ct_eq(other.as_bytes()).into()
    }
}

impl Eq for ContentKey {}

impl fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ContentKey(..)")
    }
}

/// Fills `out` from the operating system.
///
/// The age library panics where there is no randomness. Drawing some here first turns that into an error.
pub(crate) fn fill_random(out: &mut [u8]) -> Result<(), Error> {
    getrandom::fill(out)
        .map_err(|error| Error::with_source(ErrorKind::Randomness, io::Error::other(error)))
}

/// Overwrites what was left below on the stack by functions that have returned: ciphers and hashes do not wipe all that they work on.
#[inline(never)]
pub(crate) fn wipe_stack() {
    let mut area = [0_u8; STACK_USED];
    area.zeroize(); // Its writes are not optimised away.
    black_box(&area);
}

/// More than what opening the payload of an age file uses of the stack.
const STACK_USED: usize = 64 << 10;

/// Length of what is sealed: the version byte and the key.
pub(crate) const PLAINTEXT_LEN: usize = 1 + ContentKey::LEN;
const VERSION: u8 = 0x01;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plaintext_is_a_version_byte_and_the_key() {
        let plain = ContentKey::from_bytes([7; 32]).to_plaintext();
        assert_eq!(plain[0], 1);
        assert_eq!(plain[1..], [7; 32]);
    }

    #[test]
    fn plaintext_of_another_length_or_version_is_refused() {
        for len in [0, 1, 32, 34, 66] {
            let error = ContentKey::from_plaintext(&vec![1; len]).expect_err("wrong length");
            assert_eq!(*error.kind(), ErrorKind::BadPlaintext, "{len}");
        }
        for version in [0, 2, 0xff] {
            let mut plain = [1; 33];
            plain[0] = version;
            let error = ContentKey::from_plaintext(&plain).expect_err("wrong version");
            assert_eq!(*error.kind(), ErrorKind::BadPlaintext, "{version}");
        }
        assert!(ContentKey::from_plaintext(&[1; 33]).is_ok());
    }

    #[test]
    fn keys_differ_in_any_byte() {
        let key = ContentKey::from_bytes([9; 32]);
        for i in 0..32 {
            let mut other = [9; 32];
            other[i] ^= 1;
            assert_ne!(key, ContentKey::from_bytes(other));
        }
        assert_eq!(key, key.clone());
    }

    #[test]
    fn two_draws_differ() {
        let draw = || ContentKey::generate().expect("randomness");
        assert_ne!(draw(), draw());
    }

    #[test]
    fn debug_hides_the_key() {
        assert_eq!(format!("{:?}", ContentKey::from_bytes([0xab; 32])), "ContentKey(..)");
    }
}
