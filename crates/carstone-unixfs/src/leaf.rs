//! The leaves of files, where they are not the content alone.

use carstone_car::{Cid, cid_of};

use crate::decode::{RAW, TYPE_FILE};
use crate::metadata::Tail;
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

impl Leaf {
    /// The content: of a raw leaf the block, else what the node holds.
    pub fn content(&self) -> &[u8] {
        let len = usize::try_from(self.size).unwrap_or(usize::MAX);
        // The file size stands behind the content.
        let behind = if self.cid.codec() == RAW { 0 } else { 1 + varint_len(self.size) };
        let end = self.block.len().saturating_sub(behind);
        self.block.get(end.saturating_sub(len)..end).unwrap_or_default()
    }
}

/// The CID of a raw leaf under SHA-256: a block whose bytes are content. [`Profile::leaf`](crate::Profile::leaf) gives those of other functions.
pub fn leaf_cid(data: &[u8]) -> Cid {
    cid_of(RAW, data)
}

/// A node of UnixFS type `kind` with `content` inside. Empty content is left out, its size is not.
pub(crate) fn encode(kind: u64, content: &[u8]) -> Vec<u8> {
    node(kind, content, &Tail::NONE)
}

/// A file in one node, with metadata.
pub(crate) fn with_metadata(content: &[u8], tail: &Tail) -> Vec<u8> {
    node(TYPE_FILE, content, tail)
}

fn node(kind: u64, content: &[u8], tail: &Tail) -> Vec<u8> {
    let (size, tail) = (content.len() as u64, tail.bytes());
    let mut block = Vec::with_capacity(content.len() + tail.len() + ENVELOPE);
    block.push(DATA);
    put_varint(&mut block, data_len(size) + tail.len() as u64);
    put_number(&mut block, 1, kind);
    if !content.is_empty() {
        put_bytes(&mut block, 2, content);
    }
    put_number(&mut block, 3, size);
    block.extend_from_slice(tail);
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
    use crate::{Leaves, Profile};

    #[test]
    fn the_length_of_a_leaf_is_known_from_its_content() {
        for size in [0, 1, 2, 119, 120, 121, 122, 123, 124, 127, 128, 129, 16_383, 16_384, 262_144]
        {
            let block = encode(TYPE_FILE, &vec![7; size]);
            assert_eq!(block.len() as u64, encoded_len(size as u64), "{size}");
        }
    }

    #[test]
    fn the_content_of_a_leaf_comes_back() {
        for size in [0, 1, 119, 127, 128, 16_384] {
            let content = (0..size).map(|i| i as u8).collect::<Vec<_>>();
            for leaves in [Leaves::Raw, Leaves::DagPb] {
                let leaf = Profile::unixfs_v1_2025().with_leaves(leaves).leaf(content.clone());
                assert_eq!(leaf.content(), content, "{leaves:?} {size}");
            }
        }
    }

    #[test]
    fn a_leaf_that_lies_about_its_size_has_no_content() {
        let mut leaf = Profile::unixfs_v1_2025().leaf(vec![7; 3]);
        (leaf.block, leaf.size) = (Vec::new(), u64::MAX);
        assert!(leaf.content().is_empty());
    }
}
