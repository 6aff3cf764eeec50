//! A block that makes a pack a DAG by itself.

use std::collections::{BTreeMap, HashMap, HashSet};

use carstone_car::dag::{NodeLimits, can_have_links, links};
use carstone_car::{Cid, hash_code};
use ipld_core::ipld::Ipld;

use crate::error::{Error, ErrorKind, Result};

/// What a pack tells of itself, as a root of it: which blocks it has with all that they lead to, and which pack of the same blob is the one before.
///
/// It is a block of the codec dag-cbor (docs/format.md, section 12). Its links are to blocks of the same pack, so that the DAG under it is whole there; other CIDs
/// are in it as bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PackManifest {
    /// The packs of the blob that are before this one.
    pub number: u64,
    /// The root of the blob, which only its last pack has.
    pub root: Option<Cid>,
    /// The manifest of the pack before this one.
    pub previous: Option<Cid>,
    /// Blocks of the pack under which all is in it, but for those that another of them leads to. In the order of the pack.
    pub links: Vec<Cid>,
    /// Blocks of the pack under which something is missing there, since another pack has it.
    pub open: Vec<Cid>,
}

impl PackManifest {
    /// Reads one from its block.
    ///
    /// # Errors
    /// It is none.
    pub fn decode(block: &[u8]) -> Result<Self> {
        let malformed = || Error::new(ErrorKind::Malformed("it is no manifest of a pack"));
        // Nobody else's block begins like this, so that others need not be parsed.
        if !block.starts_with(&START) {
            return Err(malformed());
        }
        let mut ipld = serde_ipld_dagcbor::from_slice(block).map_err(|_| malformed())?;
        Self::from_ipld(&mut ipld).ok_or_else(malformed)
    }

    fn from_ipld(ipld: &mut Ipld) -> Option<Self> {
        let Ipld::Map(outer) = ipld else { return None };
        let Some(Ipld::Map(mut map)) = outer.remove(KIND) else { return None };
        let cid = |ipld: &Ipld| match ipld {
            Ipld::Link(cid) => Some(*cid),
            Ipld::Bytes(bytes) => Cid::try_from(&bytes[..]).ok(),
            _ => None,
        };
        let optional = |ipld: Option<Ipld>| match ipld? {
            Ipld::Null => Some(None),
            ipld => Some(Some(cid(&ipld)?)),
        };
        let all = |ipld: Option<Ipld>| match ipld? {
            Ipld::List(list) => list.iter().map(cid).collect(),
            _ => None,
        };
        let Some(Ipld::Integer(number)) = map.remove("number") else { return None };
        Some(Self {
            number: u64::try_from(number).ok()?,
            root: optional(map.remove("root"))?,
            previous: optional(map.remove("previous"))?,
            links: all(map.remove("links"))?,
            open: all(map.remove("open"))?,
        })
    }

    /// The block.
    pub(super) fn encode(&self) -> Result<Vec<u8>> {
        let bytes = |cid: &Cid| Ipld::Bytes(cid.to_bytes());
        let optional = |cid: &Option<Cid>| cid.as_ref().map_or(Ipld::Null, bytes);
        let map = BTreeMap::from([
            ("number".to_owned(), Ipld::Integer(self.number.into())),
            ("root".to_owned(), optional(&self.root)),
            ("previous".to_owned(), optional(&self.previous)),
            ("links".to_owned(), Ipld::List(self.links.iter().copied().map(Ipld::Link).collect())),
            ("open".to_owned(), Ipld::List(self.open.iter().map(bytes).collect())),
        ]);
        let outer = Ipld::Map(BTreeMap::from([(KIND.to_owned(), Ipld::Map(map))]));
        let unfit = |_| Error::new(ErrorKind::Malformed("no manifest can tell of these blocks"));
        serde_ipld_dagcbor::to_vec(&outer).map_err(unfit)
    }
}

/// What is known of the blocks of a pack while it is filled.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// Blocks in their order, and whether all below them is in the pack.
    blocks: Vec<(Cid, bool)>,
    known: HashMap<Cid, bool>,
    /// Those that a block leads to which is whole.
    below: HashSet<Cid>,
    /// Bytes of the manifest, at the most.
    bytes: u64,
}

impl Contents {
    /// Takes note of a block. Those that it leads to come before it.
    pub(super) fn add(&mut self, cid: &Cid, data: &[u8]) {
        if self.known.contains_key(cid) {
            return;
        }
        let is_whole = can_have_links(cid.codec()) == Some(false) || self.has_below(cid, data);
        self.known.insert(*cid, is_whole);
        self.blocks.push((*cid, is_whole));
        self.bytes += entry_len(cid);
    }

    fn has_below(&mut self, cid: &Cid, data: &[u8]) -> bool {
        // What cannot be read may lead anywhere.
        let Ok(links) = links(cid, data, &NodeLimits::default()) else { return false };
        let has = |link: &Cid| {
            link.hash().code() == hash_code::IDENTITY || self.known.get(link) == Some(&true)
        };
        let is_whole = links.iter().all(has);
        if is_whole {
            self.below.extend(links);
        }
        is_whole
    }

    /// Whether a block is in the pack with all that is below it.
    pub(super) fn is_whole(&self, cid: &Cid) -> bool {
        self.known.get(cid) == Some(&true)
    }

    /// Whether a manifest has no place for another block.
    pub(super) fn is_full(&self) -> bool {
        self.blocks.len() >= MOST_BLOCKS
    }

    /// Bytes of the section of the manifest, at the most, if this block is added.
    pub(super) fn section_with(&self, cid: &Cid) -> u64 {
        BASE + self.bytes + entry_len(cid)
    }

    /// The manifest of the pack.
    pub(super) fn manifest(
        self,
        number: u64,
        root: Option<Cid>,
        previous: Option<Cid>,
    ) -> PackManifest {
        let (mut links, mut open) = (Vec::new(), Vec::new());
        for (cid, is_whole) in self.blocks {
            match is_whole {
                true if self.below.contains(&cid) => {}
                true => links.push(cid),
                false => open.push(cid),
            }
        }
        PackManifest { number, root, previous, links, open }
    }
}

/// Bytes of a CID in a manifest, at the most: a tag, the head of a byte string, and a zero in front of it.
fn entry_len(cid: &Cid) -> u64 {
    6 + cid.encoded_len() as u64
}

const KIND: &str = "carstone/pack@0.1";
/// A map of one entry, and its key.
const START: [u8; 19] = *b"\xa1\x71carstone/pack@0.1";
/// Bytes of the section of a manifest without those for its blocks, at the most.
const BASE: u64 = 512;
/// Blocks of a pack that has a manifest, so that this has less than 1 MiB, which all readers of blocks take.
const MOST_BLOCKS: usize = 20_000;
