//! The roots of a CAR that does not name them.

use std::collections::HashSet;
use std::io::Read;

use super::error::{Budget, DagError, DagErrorKind, Result};
use super::node::links;
use super::options::WalkLimits;
use super::seen::Seen;
use crate::{CarReader, Cid};

/// The blocks that no other block links to, in their order, each once. Blocks are told apart by their whole CIDs.
///
/// Counterpart of `ipfs-car roots --implicit`, which is wrong where a block stands behind the one that links to it. Blocks of a codec that is not
/// known count as ones without links. Of the limits, [`seen`](WalkLimits::seen) and [`node`](WalkLimits::node) count.
pub fn implicit_roots<R: Read>(reader: &mut CarReader<R>, limits: &WalkLimits) -> Result<Vec<Cid>> {
    let (mut order, mut known) = (Vec::new(), HashSet::new());
    let mut linked = Seen::new(limits.seen);
    let mut data = Vec::new();
    while let Some(section) = reader.read_block(&mut data)? {
        let cid = section.cid;
        let found = match links(&cid, &data, &limits.node) {
            Err(error) if matches!(error.kind(), DagErrorKind::UnknownCodec(_)) => Vec::new(),
            found => found?,
        };
        for link in &found {
            linked.insert(link)?;
        }
        // Most leaves stand behind the block that links to them, and need not be kept.
        if linked.contains(&cid) || !known.insert(cid) {
            continue;
        }
        if order.len() >= limits.seen {
            return Err(DagError::over(Budget::Seen, limits.seen as u64));
        }
        order.push(cid);
    }
    order.retain(|cid| !linked.contains(cid));
    Ok(order)
}
