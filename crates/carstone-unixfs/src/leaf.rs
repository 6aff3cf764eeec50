//! The leaves of files, where they are not the content alone.

use carstone_car::{Cid, cid_of};

use crate::decode::{RAW, TYPE_FILE};
use crate::proto::{put_bytes, put_number, put_varint, varint_len};

/// A leaf as a block. [`Profile::leaf`](crate::Profile::leaf) makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leaf {
    /// The CID of the block.
    pub cid: Cid,
    /// The block: the content itself, or a node with the content inside.
    pub block: Vec<u8>,
    /// Bytes of content.
    pub size: u64,
}

/// The CID of a raw leaf: a block whose bytes are content.
pub fn leaf_cid(data: &[u8]) -> Cid {
    cid_of(RAW, data)
}

/// A node of type File with `content` inside. Empty content is left out, its size is not.
pub(crate) fn encode(content: &[u8]) -> Vec<u8> {
    let (size, data_len) = (content.len() as u64, data_len(content.len() as u64));
    let mut block = Vec::with_capacity(content.len() + ENVELOPE);
    block.push(DATA);
    put_varint(&mut block, data_len);
    put_number(&mut block, 1, TYPE_FILE);
    if !content.is_empty() {
        put_bytes(&mut block, 2, content);
    }
    put_number(&mut block, 3, size);
    block
}

/// Bytes that [`encode`] makes of `size` bytes.
pub(crate) fn encoded_len(size: u64) -> u64 {
    let data = data_len(size);
    data.saturating_add(1 + varint_len(data) as u64)
}

/// Length of the UnixFS message in the node.
fn data_len(size: u64) -> u64 {
    let number = varint_len(size) as u64;
    let content = if size == 0 { 0 } else { size.saturating_add(1 + number) };
    content.saturating_add(2 + 1 + number)
}

/// Key of the data in a dag-pb node.
const DATA: u8 = 1 << 3 | 2;
/// More than keys and lengths around content take.
const ENVELOPE: usize = 48;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_leaf_is_known_from_its_content() {
        for size in [0, 1, 2, 119, 120, 121, 122, 123, 124, 127, 128, 129, 16_383, 16_384, 262_144]
        {
            assert_eq!(encode(&vec![7; size]).len() as u64, encoded_len(size as u64), "{size}");
        }
    }
}
