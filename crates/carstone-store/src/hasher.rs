//! Hashes, and that of a whole pack, which is made while its bytes go by.

use carstone_car::hash_code;
use carstone_car::multihash::Multihash;
use sha2::Digest;

use crate::error::{Error, ErrorKind, Result};
use crate::name::Hash;

/// Functions that can hash what does not fit into memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HashFunction {
    /// SHA2-256.
    #[default]
    Sha2_256,
    /// SHA2-512.
    Sha2_512,
    /// BLAKE3, with digests of 32 bytes.
    Blake3,
}

impl HashFunction {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Sha2_256, Self::Sha2_512, Self::Blake3];

    /// The multihash code.
    pub fn code(self) -> u64 {
        match self {
            Self::Sha2_256 => hash_code::SHA2_256,
            Self::Sha2_512 => hash_code::SHA2_512,
            Self::Blake3 => hash_code::BLAKE3,
        }
    }

    /// That of a hash.
    ///
    /// # Errors
    /// It is none of these, or the digest is not whole.
    pub fn of(hash: &Hash) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|function| function.code() == hash.code());
        let is_whole = carstone_car::digest_len(hash.code()) == Some(usize::from(hash.size()));
        let unknown = || Error::new(ErrorKind::UnknownHash(hash.code()));
        found.filter(|_| is_whole).ok_or_else(unknown)
    }
}

/// A hash in the making.
pub(crate) enum Hasher {
    Sha2_256(sha2::Sha256),
    Sha2_512(sha2::Sha512),
    Blake3(Box<blake3::Hasher>),
}

impl Hasher {
    pub(crate) fn new(function: HashFunction) -> Self {
        match function {
            HashFunction::Sha2_256 => Self::Sha2_256(sha2::Sha256::new()),
            HashFunction::Sha2_512 => Self::Sha2_512(sha2::Sha512::new()),
            HashFunction::Blake3 => Self::Blake3(Box::default()),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha2_256(hasher) => hasher.update(bytes),
            Self::Sha2_512(hasher) => hasher.update(bytes),
            Self::Blake3(hasher) => drop(hasher.update(bytes)),
        }
    }

    pub(crate) fn finish(self) -> Hash {
        let wrap = |function: HashFunction, digest: &[u8]| {
            Multihash::wrap(function.code(), digest).unwrap_or_default()
        };
        match self {
            Self::Sha2_256(hasher) => wrap(HashFunction::Sha2_256, &hasher.finalize()),
            Self::Sha2_512(hasher) => wrap(HashFunction::Sha2_512, &hasher.finalize()),
            Self::Blake3(hasher) => wrap(HashFunction::Blake3, hasher.finalize().as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use carstone_car::multihash_of;

    use super::*;

    #[test]
    fn hashes_in_pieces_are_those_of_the_whole() {
        let data: Vec<u8> = (0..5000_u32).map(|n| n as u8).collect();
        for function in HashFunction::ALL {
            let mut hasher = Hasher::new(function);
            data.chunks(333).for_each(|piece| hasher.update(piece));
            let hash = hasher.finish();
            assert_eq!(Some(hash), multihash_of(function.code(), &data));
            assert_eq!(HashFunction::of(&hash).expect("known"), function);
        }
        let short = Multihash::wrap(hash_code::SHA2_256, &[1; 20]).expect("short");
        assert!(HashFunction::of(&short).is_err());
    }
}
