//! CIDs of blocks.

pub use cid::Cid;
use sha2::Digest;

/// CIDv1, SHA-256.
pub(crate) fn cid_of(codec: u64, data: &[u8]) -> Cid {
    let digest = sha2::Sha256::digest(data);
    Cid::new_v1(codec, multihash::Multihash::wrap(0x12, &digest).expect("32 bytes fit"))
}
