//! DAGs: walks, selectors, completeness, export, split, join and filter.

mod export;
mod fixtures;
mod laws;
mod selectors;
mod splits;
mod walks;

use std::collections::HashMap;

use carstone_car::{Block, CarReader, Cid, cid_of, codec};

/// Blocks by their CIDs.
pub type Store = HashMap<Cid, Vec<u8>>;

/// Puts a raw block into a store.
pub fn leaf(store: &mut Store, data: &[u8]) -> Cid {
    put(store, codec::RAW, data.to_vec())
}

/// Puts a node with these links into a store, in one of the codecs that have links.
pub fn node(store: &mut Store, codec: u64, links: &[Cid]) -> Cid {
    put(store, codec, encode(codec, links))
}

pub fn put(store: &mut Store, codec: u64, data: Vec<u8>) -> Cid {
    let cid = cid_of(codec, &data);
    store.insert(cid, data);
    cid
}

/// A node with these links and nothing else.
pub fn encode(codec: u64, links: &[Cid]) -> Vec<u8> {
    match codec {
        codec::DAG_JSON => {
            let links: Vec<_> = links.iter().map(|cid| format!(r#"{{"/":"{cid}"}}"#)).collect();
            format!("[{}]", links.join(",")).into_bytes()
        }
        codec::DAG_CBOR => {
            let mut out = vec![0x99];
            out.extend((links.len() as u16).to_be_bytes());
            if links.len() < 256 {
                out = vec![0x98, links.len() as u8];
            }
            if links.len() < 24 {
                out = vec![0x80 | links.len() as u8];
            }
            for cid in links {
                let bytes = cid.to_bytes();
                out.extend([0xd8, 0x2a]);
                match bytes.len() + 1 {
                    len @ 0..24 => out.push(0x40 | len as u8),
                    len => out.extend([0x58, len as u8]),
                }
                out.push(0);
                out.extend(bytes);
            }
            out
        }
        _ => {
            let mut out = Vec::new();
            for cid in links {
                let bytes = cid.to_bytes();
                out.extend([0x12, bytes.len() as u8 + 2, 0x0a, bytes.len() as u8]);
                out.extend(bytes);
            }
            out
        }
    }
}

/// The blocks of a CAR, all verified.
pub fn blocks(car: &[u8]) -> Vec<Block> {
    let reader = CarReader::open(car).expect("a header");
    reader.into_iter().map(|block| block.expect("a sound block")).collect()
}

/// The CIDs of a CAR.
pub fn cids(car: &[u8]) -> Vec<Cid> {
    blocks(car).iter().map(|block| block.cid).collect()
}

pub fn roots(car: &[u8]) -> Vec<Cid> {
    CarReader::open(car).expect("a header").roots().to_vec()
}
