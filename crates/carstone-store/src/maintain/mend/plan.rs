//! What the index knows of a pack, and what follows from that.

use std::collections::HashSet;
use std::ops::Range;

use carstone_car::cid::Version;
use carstone_car::{
    CarReader, Cid, Header, Limits, codec, parse_section, section_head, section_len,
};

use crate::index::Found;
use crate::maintain::Unmended;
use crate::name::Hash;

/// What the index knows of a pack.
pub(in crate::maintain) struct Plan {
    pub(super) name: Hash,
    pub(super) size: u64,
    /// In their order, none into another.
    pub(super) blobs: Vec<Placed>,
    /// Roots that the pack may name.
    roots: Vec<Cid>,
}

/// A blob of a pack.
#[derive(Clone, Copy)]
pub(super) struct Placed {
    pub(super) hash: Hash,
    pub(super) codec: u64,
    pub(super) offset: u64,
    pub(super) len: u64,
}

impl Plan {
    /// That of a pack with these blobs, which roots name as theirs.
    pub(in crate::maintain) fn of(
        name: &Hash,
        entries: Vec<(Hash, Found)>,
        mut roots: Vec<Cid>,
    ) -> Result<Self, Unmended> {
        let Some(size) = entries.first().map(|(_, found)| found.location.size()) else {
            return Err(Unmended::Unknown);
        };
        let is_lone =
            |hash: &Hash, offset: u64, len: u64| hash == name && (offset, len) == (0, size);
        let lone = entries.iter().any(|(hash, found)| is_lone(hash, found.offset, found.len));
        let mut blobs: Vec<Placed> = Vec::new();
        for (hash, found) in entries {
            let (offset, len) = (found.offset, found.len);
            let end = blobs.last().map_or(0, Placed::end);
            // Of those of which one must be wrong, the first one is tried.
            if lone == is_lone(&hash, offset, len) && offset >= end {
                blobs.push(Placed { hash, codec: found.codec, offset, len });
            }
        }
        // A pack has the blocks of the roots that it names, but for CARs of other makers.
        let own: HashSet<Hash> = blobs.iter().map(|blob| blob.hash).collect();
        roots.sort_by_key(|root| !own.contains(root.hash()));
        roots.truncate(MOST_ROOTS);
        Ok(Self { name: *name, size, blobs, roots })
    }

    /// Whether the blobs lie in the pack as they lie in a CAR that is nothing but a header and sections.
    pub(super) fn is_tiled(&self) -> bool {
        let has_head = |(before, blob): (&Placed, &Placed)| {
            blob.heads(blob.offset.saturating_sub(before.end())).next().is_some()
        };
        self.blobs.last().map(Placed::end) == Some(self.size)
            && self.blobs.iter().zip(self.blobs.iter().skip(1)).all(has_head)
    }

    /// What the bytes in front of the first blob may be.
    pub(super) fn fronts(&self, first: &Placed) -> Vec<Vec<u8>> {
        let single = self.roots.iter().map(|root| vec![*root]);
        // In which order a CAR has several, no record says.
        let all = self.roots.iter().copied();
        let all = [all.clone().collect(), all.rev().collect()];
        // A manifest is the last block, and a root.
        let manifest = self.blobs.last().filter(|last| last.codec == codec::DAG_CBOR);
        let manifest = manifest.map(|last| Cid::new_v1(last.codec, last.hash));
        let with_manifest = manifest.into_iter().flat_map(|manifest| {
            let behind = self.roots.iter().map(move |root| vec![*root, manifest]);
            std::iter::once(vec![manifest]).chain(behind)
        });
        let headers = std::iter::once(Vec::new()).chain(single).chain(all).chain(with_manifest);
        let mut fronts = Vec::new();
        for header in headers.map(|roots| Header { roots }.encode()) {
            let Some(rest) = first.offset.checked_sub(header.len() as u64) else { continue };
            fronts.extend(first.heads(rest).map(|head| [&header[..], &head].concat()));
        }
        fronts
    }
}

impl Placed {
    pub(super) fn end(&self) -> u64 {
        self.offset.saturating_add(self.len)
    }

    pub(super) fn range(&self) -> Range<u64> {
        self.offset..self.end()
    }

    /// CIDs that it may have, the likeliest first.
    fn cids(&self) -> impl Iterator<Item = Cid> + use<> {
        let (hash, own) = (self.hash, self.codec);
        let others = [codec::RAW, codec::DAG_PB, codec::DAG_CBOR, codec::DAG_JSON];
        let others = others.into_iter().filter(move |other| *other != own);
        let later = std::iter::once(own).chain(others).map(move |codec| Cid::new_v1(codec, hash));
        Cid::new_v0(hash).ok().into_iter().chain(later)
    }

    /// The likeliest one, where so many bytes are in front of it.
    pub(super) fn cid_behind(&self, frame: &Range<u64>) -> Cid {
        let len = frame.end - frame.start;
        let fits = |cid: &Cid| {
            let head = section_len(cid, self.len) - self.len;
            head == len || frame.start == 0 && cid.version() == Version::V1
        };
        self.cids().find(fits).unwrap_or_else(|| Cid::new_v1(self.codec, self.hash))
    }

    /// What its section may begin with, of this length.
    pub(super) fn heads(&self, len: u64) -> impl Iterator<Item = Vec<u8>> + use<> {
        let data = usize::try_from(self.len).ok();
        let heads = self.cids().filter_map(move |cid| Some(section_head(&cid, data?)));
        heads.filter(move |head| head.len() as u64 == len)
    }

    /// Whether these bytes are the head of its section.
    pub(super) fn has_head(&self, bytes: &[u8]) -> bool {
        parse_section(bytes, &Limits::default()).is_ok_and(|head| {
            let lens = (head.head_len, head.data_len as u64) == (bytes.len(), self.len);
            lens && *head.cid.hash() == self.hash
        })
    }

    /// Whether these bytes are a header, with the head of its section behind it if the CAR is one of version 1.
    pub(super) fn has_front(&self, bytes: &[u8]) -> bool {
        let Ok(car) = CarReader::open(bytes) else { return false };
        let header = Header { roots: car.roots().to_vec() }.encode();
        match bytes.strip_prefix(&header[..]) {
            Some(head) => self.has_head(head),
            None => true,
        }
    }
}

/// Roots that are taken into account.
const MOST_ROOTS: usize = 64;
