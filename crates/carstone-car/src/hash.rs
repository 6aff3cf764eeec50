//! From data to CIDs, and whether data belongs to a CID.

use cid::Cid;
use multihash::Multihash;
use sha2::Digest;

use crate::error::{Error, ErrorKind, Result};

mod lanes;

pub(crate) use lanes::sha2_256_each;

/// Checks that `data` hashes to the digest in `cid`. For an identity CID, the digest must be the data.
///
/// Only full digests count: of every function its standard length, of the BLAKE2 family any length from 20 bytes on. All else,
/// cut digests as well as unknown functions, gives [`ErrorKind::Unverifiable`], which says neither yes nor no.
///
/// ```
/// use carstone_car::{ErrorKind, cid_of, codec, verify};
/// let cid = cid_of(codec::RAW, b"hello");
/// assert!(verify(&cid, b"hello").is_ok());
/// let error = verify(&cid, b"Hello").unwrap_err();
/// assert!(matches!(error.kind(), ErrorKind::Mismatch { .. }));
/// ```
pub fn verify(cid: &Cid, data: &[u8]) -> Result<()> {
    verify_with(cid, data, false)
}

/// The same, where SHA-1 counts too if `sha1` is accepted.
pub(crate) fn verify_with(cid: &Cid, data: &[u8], sha1: bool) -> Result<()> {
    let expected = cid.hash();
    let equal = match (expected.code(), usize::from(expected.size())) {
        (hash_code::IDENTITY, _) => expected.digest() == data,
        (hash_code::SHA1, 20) if sha1 => sha1::Sha1::digest(data)[..] == *expected.digest(),
        (code, size) if digest_len(code) == Some(size) => match multihash_of(code, data) {
            Some(found) => found.digest() == expected.digest(),
            None => return Err(unverifiable(cid)),
        },
        _ => return Err(unverifiable(cid)),
    };
    if equal {
        return Ok(());
    }
    let cid = Box::new(*cid);
    Err(Error::new(ErrorKind::Mismatch { cid }))
}

/// The CIDv1 of `data` with the hash function sha2-256. `codec` is a multicodec code, see [`codec`].
///
/// ```
/// let cid = carstone_car::cid_of(carstone_car::codec::RAW, b"hello");
/// assert_eq!(cid.to_string(), "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq");
/// ```
pub fn cid_of(codec: u64, data: &[u8]) -> Cid {
    cid_of_sha2_256(codec, &sha2::Sha256::digest(data).into())
}

/// The CIDs of several blocks, as [`cid_of`] gives them, but sooner: a core hashes two side by side in less time than one after the other.
///
/// ```
/// use carstone_car::{cid_of, cids_of, codec};
/// let cids = cids_of(codec::RAW, [&b"hello"[..], b"car"]);
/// assert_eq!(cids, [cid_of(codec::RAW, b"hello"), cid_of(codec::RAW, b"car")]);
/// ```
pub fn cids_of<'a>(codec: u64, blocks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Cid> {
    let mut cids = Vec::new();
    sha2_256_each(blocks, |number, digest| {
        if cids.len() <= number {
            cids.resize(number + 1, Cid::default());
        }
        cids[number] = cid_of_sha2_256(codec, &digest);
    });
    cids
}

/// The CIDv1 of data whose SHA-256 is known.
pub fn cid_of_sha2_256(codec: u64, digest: &[u8; 32]) -> Cid {
    let hash = Multihash::wrap(hash_code::SHA2_256, digest);
    Cid::new_v1(codec, hash.expect("32 bytes fit in a multihash of 64"))
}

/// The hash of `data` with the function that has this multihash code, or `None` if it is not known here. (The identity is known, but holds no
/// more than 64 bytes.)
pub fn multihash_of(code: u64, data: &[u8]) -> Option<Multihash<64>> {
    use hash_code::*;
    match code {
        IDENTITY => Multihash::wrap(code, data).ok(),
        SHA2_256 => wrap(code, &sha2::Sha256::digest(data)),
        SHA2_512 => wrap(code, &sha2::Sha512::digest(data)),
        SHA2_384 => wrap(code, &sha2::Sha384::digest(data)),
        SHA2_224 => wrap(code, &sha2::Sha224::digest(data)),
        SHA2_512_224 => wrap(code, &sha2::Sha512_224::digest(data)),
        SHA2_512_256 => wrap(code, &sha2::Sha512_256::digest(data)),
        DBL_SHA2_256 => wrap(code, &sha2::Sha256::digest(sha2::Sha256::digest(data))),
        SHA3_224 => wrap(code, &sha3::Sha3_224::digest(data)),
        SHA3_256 => wrap(code, &sha3::Sha3_256::digest(data)),
        SHA3_384 => wrap(code, &sha3::Sha3_384::digest(data)),
        SHA3_512 => wrap(code, &sha3::Sha3_512::digest(data)),
        KECCAK_224 => wrap(code, &sha3::Keccak224::digest(data)),
        KECCAK_256 => wrap(code, &sha3::Keccak256::digest(data)),
        KECCAK_384 => wrap(code, &sha3::Keccak384::digest(data)),
        KECCAK_512 => wrap(code, &sha3::Keccak512::digest(data)),
        BLAKE3 => wrap(code, blake3::hash(data).as_bytes()),
        BLAKE2B_160..=BLAKE2B_512 => {
            let mut params = blake2b_simd::Params::new();
            params.hash_length(digest_len(code)?);
            wrap(code, params.hash(data).as_bytes())
        }
        BLAKE2S_160..=BLAKE2S_256 => {
            let mut params = blake2s_simd::Params::new();
            params.hash_length(digest_len(code)?);
            wrap(code, params.hash(data).as_bytes())
        }
        _ => None,
    }
}

/// The number of bytes of a full digest of the function with this multihash code, or `None` if it is not known here or, as with the
/// identity, has no fixed length.
pub fn digest_len(code: u64) -> Option<usize> {
    use hash_code::*;
    Some(match code {
        SHA2_224 | SHA2_512_224 | SHA3_224 | KECCAK_224 => 28,
        SHA2_256 | SHA2_512_256 | DBL_SHA2_256 | SHA3_256 | KECCAK_256 | BLAKE3 => 32,
        SHA2_384 | SHA3_384 | KECCAK_384 => 48,
        SHA2_512 | SHA3_512 | KECCAK_512 => 64,
        // Each length has a code of its own: 20 bytes and all above.
        BLAKE2B_160..=BLAKE2B_512 => 20 + (code - BLAKE2B_160) as usize,
        BLAKE2S_160..=BLAKE2S_256 => 20 + (code - BLAKE2S_160) as usize,
        _ => return None,
    })
}

/// Multicodec codes of block formats.
pub mod codec {
    /// Bytes as they are.
    pub const RAW: u64 = 0x55;
    /// Protocol buffers of UnixFS nodes.
    pub const DAG_PB: u64 = 0x70;
    /// CBOR with links.
    pub const DAG_CBOR: u64 = 0x71;
    /// JSON with links.
    pub const DAG_JSON: u64 = 0x0129;
}

/// Multihash codes of the hash functions that [`verify`](crate::verify) knows.
pub mod hash_code {
    /// The data itself.
    pub const IDENTITY: u64 = 0x00;
    /// SHA-1, for which two files with the same digest have been made. It is evidence only where
    /// [an option](crate::ReaderOptions::danger_accept_sha1) says so.
    pub const SHA1: u64 = 0x11;
    /// SHA-256.
    pub const SHA2_256: u64 = 0x12;
    /// SHA-512.
    pub const SHA2_512: u64 = 0x13;
    /// SHA-384.
    pub const SHA2_384: u64 = 0x20;
    /// SHA-224.
    pub const SHA2_224: u64 = 0x1013;
    /// SHA-512/224.
    pub const SHA2_512_224: u64 = 0x1014;
    /// SHA-512/256.
    pub const SHA2_512_256: u64 = 0x1015;
    /// SHA-256 of SHA-256.
    pub const DBL_SHA2_256: u64 = 0x56;
    /// SHA3-512.
    pub const SHA3_512: u64 = 0x14;
    /// SHA3-384.
    pub const SHA3_384: u64 = 0x15;
    /// SHA3-256.
    pub const SHA3_256: u64 = 0x16;
    /// SHA3-224.
    pub const SHA3_224: u64 = 0x17;
    /// Keccak-224.
    pub const KECCAK_224: u64 = 0x1a;
    /// Keccak-256.
    pub const KECCAK_256: u64 = 0x1b;
    /// Keccak-384.
    pub const KECCAK_384: u64 = 0x1c;
    /// Keccak-512.
    pub const KECCAK_512: u64 = 0x1d;
    /// BLAKE3 with 32 bytes.
    pub const BLAKE3: u64 = 0x1e;
    /// BLAKE2b with 20 bytes, the shortest that is taken as evidence. The next codes are those of 21 bytes and so on.
    pub const BLAKE2B_160: u64 = 0xb214;
    /// BLAKE2b with 32 bytes.
    pub const BLAKE2B_256: u64 = 0xb220;
    /// BLAKE2b with 64 bytes.
    pub const BLAKE2B_512: u64 = 0xb240;
    /// BLAKE2s with 20 bytes, the shortest that is taken as evidence. The next codes are those of 21 bytes and so on.
    pub const BLAKE2S_160: u64 = 0xb254;
    /// BLAKE2s with 32 bytes.
    pub const BLAKE2S_256: u64 = 0xb260;
}

fn wrap(code: u64, digest: &[u8]) -> Option<Multihash<64>> {
    Multihash::wrap(code, digest).ok()
}

fn unverifiable(cid: &Cid) -> Error {
    let cid = Box::new(*cid);
    Error::new(ErrorKind::Unverifiable { cid })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: u64, expected: &str) {
        let hash = multihash_of(code, b"abc").expect("a known function");
        let hex: String = hash.digest().iter().map(|b| format!("{b:02x}")).collect();
        assert!(hex.starts_with(expected), "{code:#x}: {hex}");
        assert_eq!(digest_len(code), Some(usize::from(hash.size())));
        let cid = Cid::new_v1(codec::RAW, hash);
        assert!(verify(&cid, b"abc").is_ok());
        let error = verify(&cid, b"abd").expect_err("other data");
        assert!(matches!(error.kind(), ErrorKind::Mismatch { .. }));
        let cut = Cid::new_v1(codec::RAW, hash.truncate(hash.size() - 1));
        let error = verify(&cut, b"abc").expect_err("a cut digest");
        assert!(matches!(error.kind(), ErrorKind::Unverifiable { .. }));
    }

    #[test]
    fn sha1_is_evidence_only_where_it_is_accepted() {
        // The digest that FIPS 180 gives for `abc`.
        let digest =
            b"\xa9\x99\x3e\x36\x47\x06\x81\x6a\xba\x3e\x25\x71\x78\x50\xc2\x6c\x9c\xd0\xd8\x9d";
        let hash = Multihash::wrap(hash_code::SHA1, digest).expect("20 bytes");
        let cid = Cid::new_v1(codec::RAW, hash);
        assert!(verify_with(&cid, b"abc", true).is_ok());
        let kind = |data, sha1| {
            let error: Error = verify_with(&cid, data, sha1).expect_err("no evidence");
            format!("{:?}", error.kind())
        };
        assert!(kind(b"abd", true).starts_with("Mismatch"));
        assert!(kind(b"abc", false).starts_with("Unverifiable"));
    }

    #[test]
    fn every_known_function_gives_its_published_digest_of_abc() {
        check(hash_code::SHA2_224, "23097d22");
        check(hash_code::SHA2_256, "ba7816bf");
        check(hash_code::SHA2_384, "cb00753f");
        check(hash_code::SHA2_512, "ddaf35a1");
        check(hash_code::SHA2_512_224, "4634270f");
        check(hash_code::SHA2_512_256, "53048e26");
        check(hash_code::DBL_SHA2_256, "4f8b42c2");
        check(hash_code::SHA3_224, "e642824c");
        check(hash_code::SHA3_256, "3a985da7");
        check(hash_code::SHA3_384, "ec014982");
        check(hash_code::SHA3_512, "b751850b");
        check(hash_code::KECCAK_224, "c30411768506ebe1");
        check(hash_code::KECCAK_256, "4e03657a");
        check(hash_code::KECCAK_384, "f7df1165");
        check(hash_code::KECCAK_512, "18587dc2");
        check(hash_code::BLAKE2B_160, "384264f676f39536");
        check(hash_code::BLAKE2B_256, "bddd813c");
        check(hash_code::BLAKE2B_512, "ba80a53f");
        check(hash_code::BLAKE2S_256, "508c5e8c");
        check(hash_code::BLAKE3, "6437b3ac");
        for code in hash_code::BLAKE2S_160..=hash_code::BLAKE2S_256 {
            check(code, "");
        }
    }

    #[test]
    fn an_identity_cid_must_hold_the_data() {
        let hash = multihash_of(hash_code::IDENTITY, b"abc").expect("short");
        let cid = Cid::new_v1(codec::RAW, hash);
        assert!(verify(&cid, b"abc").is_ok());
        for other in [&b""[..], b"ab", b"abcd", b"abd"] {
            assert!(verify(&cid, other).is_err());
        }
        assert!(multihash_of(hash_code::IDENTITY, &[0; 64]).is_some());
        assert!(multihash_of(hash_code::IDENTITY, &[0; 65]).is_none());
    }

    #[test]
    fn unknown_and_short_hashes_are_neither_right_nor_wrong() {
        // sha1, murmur3-x64-64, BLAKE2b with 8 and 152 bits, BLAKE2s with 152 bits, just outside of the ranges.
        for code in [0x11, 0x22, 0xb201, 0xb213, 0xb253, 0xb261, u64::MAX] {
            assert!(multihash_of(code, b"abc").is_none());
            let hash = Multihash::wrap(code, &[1; 20]).expect("20 bytes");
            let error = verify(&Cid::new_v1(codec::RAW, hash), b"abc").expect_err("unknown");
            assert!(matches!(error.kind(), ErrorKind::Unverifiable { .. }));
        }
    }
}
