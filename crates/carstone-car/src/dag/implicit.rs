//! The roots of a CAR that does not name them.

use std::collections::HashSet;
use std::io::Read;

use super::blocks::is_inline;
use super::error::{Budget, DagError, DagErrorKind, Result};
use super::node::links;
use super::options::{NodeLimits, WalkLimits};
use super::seen::Seen;
use crate::{CarReader, Cid};

/// The blocks that no other block links to, in their order, each once. Blocks are told apart by their whole CIDs, where those of version 0 are taken
/// for the ones of version 1 that say the same. Links that stand in a CID that carries its block count too.
///
/// Counterpart of `ipfs-car roots --implicit`, which is wrong where a block stands behind the one that links to it. Blocks of a codec that is not
/// known count as ones without links. Of the limits, [`seen`](WalkLimits::seen) and [`node`](WalkLimits::node) count.
pub fn implicit_roots<R: Read>(reader: &mut CarReader<R>, limits: &WalkLimits) -> Result<Vec<Cid>> {
    let (mut order, mut known) = (Vec::new(), HashSet::new());
    let mut linked = Seen::new(limits.seen);
    let mut data = Vec::new();
    while let Some(section) = reader.read_block(&mut data)? {
        let cid = section.cid;
        let mut found = links_of(&cid, &data, &limits.node)?;
        while let Some(link) = found.pop() {
            if is_inline(&link) && !linked.contains(&of_version_1(&link)) {
                found.extend(links_of(&link, link.hash().digest(), &limits.node)?);
            }
            linked.insert(&of_version_1(&link))?;
        }
        // Most leaves stand behind the block that links to them, and need not be kept.
        let name = of_version_1(&cid);
        if linked.contains(&name) || !known.insert(name) {
            continue;
        }
        if order.len() >= limits.seen {
            return Err(DagError::over(Budget::Seen, limits.seen as u64));
        }
        order.push(cid);
    }
    order.retain(|cid| !linked.contains(&of_version_1(cid)));
    Ok(order)
}

fn links_of(cid: &Cid, data: &[u8], limits: &NodeLimits) -> Result<Vec<Cid>> {
    match links(cid, data, limits) {
        Err(error) if matches!(error.kind(), DagErrorKind::UnknownCodec(_)) => Ok(Vec::new()),
        found => found,
    }
}

fn of_version_1(cid: &Cid) -> Cid {
    Cid::new_v1(cid.codec(), *cid.hash())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::multihash::Multihash;
    use crate::{CarWriter, cid_of, codec, hash_code};

    fn implied(blocks: &[(Cid, Vec<u8>)]) -> Vec<Cid> {
        let mut writer = CarWriter::new(Vec::new(), &[]).expect("a header");
        for (cid, data) in blocks {
            writer.write_block(cid, data).expect("a block");
        }
        let car = writer.finish().expect("finished");
        let mut reader = CarReader::open(&car[..]).expect("a CAR");
        implicit_roots(&mut reader, &WalkLimits::default()).expect("sound")
    }

    fn node(link: &Cid) -> Vec<u8> {
        let mut cid = vec![0];
        link.write_bytes(&mut cid).expect("memory");
        // A tagged string of up to 255 bytes in a list.
        [&[0x81, 0xd8, 42, 0x58, u8::try_from(cid.len()).expect("short")][..], &cid].concat()
    }

    #[test]
    fn a_link_to_the_same_node_by_a_cid_of_the_other_version_is_a_link() {
        let inner = (cid_of(codec::DAG_PB, b""), Vec::<u8>::new());
        let old = Cid::new_v0(*inner.0.hash()).expect("dag-pb and SHA-256");
        for (stored, link) in [(inner.0, old), (old, inner.0)] {
            let outer = node(&link);
            let outer = (cid_of(codec::DAG_CBOR, &outer), outer);
            let blocks = [(stored, Vec::new()), outer.clone()];
            assert_eq!(implied(&blocks), [outer.0]);
        }
    }

    #[test]
    fn links_in_a_cid_that_carries_its_block_count() {
        let leaf = (cid_of(codec::RAW, b"leaf"), b"leaf".to_vec());
        let inline = node(&leaf.0);
        let inline = Multihash::wrap(hash_code::IDENTITY, &inline).expect("short");
        let outer = node(&Cid::new_v1(codec::DAG_CBOR, inline));
        let outer = (cid_of(codec::DAG_CBOR, &outer), outer);
        assert_eq!(implied(&[leaf.clone(), outer.clone()]), [outer.0]);
        assert_eq!(implied(std::slice::from_ref(&leaf)), [leaf.0]);
    }
}
