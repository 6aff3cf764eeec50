//! Inner nodes of files: they say which leaves are a file's content, whatever is missing between them.

use std::collections::HashMap;
use std::ops::Range;

use carstone_car::{Cid, codec};
use carstone_layer::PackId;
use carstone_pack::Record;
use carstone_unixfs::{Node, decode};

use super::files::Piece;
use crate::leaf_digest;
use crate::leaves::Digest;

/// Nodes that may still be wanted.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    blocks: HashMap<Cid, Vec<u8>>,
    bytes: usize,
}

/// The leaves of a file, as far as its nodes are there.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) pieces: Vec<Piece>,
    /// Whether all nodes are there.
    pub(super) whole: bool,
}

impl Content {
    /// Of a file that is one leaf.
    pub(super) fn leaf(digest: Digest, len: u64) -> Self {
        Self { pieces: vec![Piece { offset: 0, len, digest }], whole: true }
    }
}

impl Nodes {
    /// Keeps a node, within a budget.
    pub(super) fn keep(&mut self, cid: Cid, data: Vec<u8>) {
        let cost = data.len().saturating_add(COST);
        if self.bytes.saturating_add(cost) <= BUDGET && self.blocks.insert(cid, data).is_none() {
            self.bytes += cost;
        }
    }

    pub(super) fn get(&self, cid: &Cid) -> Option<&[u8]> {
        self.blocks.get(cid).map(Vec::as_slice)
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The leaves below `root` that have bytes in `wanted`.
    pub(super) fn content(&self, root: &Cid, size: u64, wanted: &[Range<u64>]) -> Content {
        let mut content = Content { pieces: Vec::new(), whole: true };
        let mut budget = MOST_VISITS;
        let mut due = vec![(*root, 0u64, size)];
        while let Some((cid, offset, len)) = due.pop() {
            let range = offset..offset.saturating_add(len);
            if budget == 0 {
                content.whole = false;
                break;
            }
            budget -= 1;
            if !wanted.iter().any(|hole| hole.start < range.end && range.start < hole.end) {
                continue;
            }
            if let Some(digest) = leaf_digest(&cid) {
                content.pieces.push(Piece { offset, len, digest });
                continue;
            }
            let children = self.blocks.get(&cid).and_then(|data| children(&cid, data, &range));
            match children {
                Some(children) => due.extend(children),
                None => content.whole = false,
            }
        }
        content
    }
}

/// The children of an inner node of a file whose content is `range`, with offset and length of theirs, the last one first.
fn children(cid: &Cid, data: &[u8], range: &Range<u64>) -> Option<Vec<(Cid, u64, u64)>> {
    let Ok(Node::File(node)) = decode(cid, data) else { return None };
    let (mut children, mut offset) = (Vec::new(), range.start);
    for (link, len) in node.links.zip(node.blocksizes) {
        children.push((link.cid, offset, len));
        offset = offset.checked_add(len)?;
    }
    children.reverse();
    (offset == range.end).then_some(children)
}

/// Whether a block reads as what packs hold besides leaves and records.
pub(super) fn is_node(cid: &Cid, data: &[u8]) -> bool {
    match decode(cid, data) {
        Ok(Node::File(node)) => !node.links.is_empty(),
        Ok(_) => true,
        Err(_) => false,
    }
}

/// Whether a leaf without proof may be another block whose codec is damaged: no hash covers it.
pub(super) fn is_disguised(cid: &Cid, data: &[u8], pack: &PackId) -> bool {
    let as_record = Cid::new_v1(codec::DAG_CBOR, *cid.hash());
    let as_node = Cid::new_v1(codec::DAG_PB, *cid.hash());
    Record::is_record(&as_record, data, pack)
        || matches!(decode(&as_node, data), Ok(Node::File(node)) if !node.links.is_empty())
}

const BUDGET: usize = 32 << 20;
/// What a node takes besides its bytes.
const COST: usize = 200;
/// Nodes and leaves that are looked at for one file. Nodes may share children without end.
const MOST_VISITS: usize = 1 << 22;
