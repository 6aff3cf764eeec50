//! Blocks that are so small that their CID holds them.

use std::io;

use carstone_car::{Cid, hash_code, multihash_of};

use crate::BlockSink;

/// The identity CID of a block.
pub(crate) fn identity(codec: u64, block: &[u8]) -> Option<Cid> {
    multihash_of(hash_code::IDENTITY, block).map(|hash| Cid::new_v1(codec, hash))
}

/// Whether the CID holds its block.
pub(crate) fn is_inline(cid: &Cid) -> bool {
    cid.hash().code() == hash_code::IDENTITY
}

/// Hands on a block that its CID does not hold.
pub(crate) fn put(sink: &mut BlockSink<'_>, cid: &Cid, block: &[u8]) -> io::Result<()> {
    match is_inline(cid) {
        true => Ok(()),
        false => sink(cid, block),
    }
}
