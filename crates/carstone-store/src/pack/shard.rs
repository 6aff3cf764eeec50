//! Blocks into packs of limited size, as hash-stream cuts them.
//!
//! A block's cost is that of its section: length, CID, data. A pack is closed when the next block would make it larger than the limit, counted with a
//! header without roots (18 bytes). Only the last pack has the root in its header. Where that larger header does not fit any more, blocks move from the end
//! into one more pack.

use std::io::{self, BufWriter, Read, Write};
use std::ops::Range;

use carstone_car::{Cid, Header, cid_of, codec, section_head, section_len};

use super::manifest::Contents;
use crate::error::{Error, ErrorKind, Result};
use crate::objects::{Spool, read_exact_at};

/// A pack that is complete but for its name.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) spool: Spool,
    /// Its blocks in their order, those that repeat too.
    pub(crate) blocks: Vec<Placed>,
    pub(crate) roots: Vec<Cid>,
}

/// Where a block lies in a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) cid: Cid,
    /// Of its data, from the first byte of the pack.
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

/// Fills packs.
pub(crate) struct Sharder<M> {
    limit: u64,
    /// Where the next pack is written.
    make: M,
    filling: Option<Filling>,
    manifests: Option<Manifests>,
}

/// Packs that have manifests, so far.
struct Manifests {
    number: u64,
    previous: Option<Cid>,
    /// Bytes of the largest header that a pack may get.
    header: u64,
}

/// The pack that takes blocks.
struct Filling {
    spool: BufWriter<Spool>,
    /// Bytes that are kept for the header.
    header: u64,
    blocks: Vec<Placed>,
    /// Bytes behind the header.
    body: u64,
    /// What a manifest is to tell.
    contents: Contents,
}

impl<M: FnMut() -> Result<Spool>> Sharder<M> {
    pub(crate) fn new(limit: u64, make: M) -> Self {
        Self { limit, make, filling: None, manifests: None }
    }

    /// The same, with a manifest in each pack. The header has so many bytes with the root alone.
    pub(crate) fn with_manifests(mut self, root_header: u64) -> Self {
        let header = root_header.saturating_add(MANIFEST_ROOT);
        self.manifests = Some(Manifests { number: 0, previous: None, header });
        self
    }

    /// Puts a block into the pack, or into the next one, and gives the one that is complete then. `last`: what comes is likely to fit into this pack, under
    /// a root whose header has so many bytes.
    pub(crate) fn put(
        &mut self,
        cid: &Cid,
        data: &[u8],
        last: Option<u64>,
    ) -> Result<Option<Shard>> {
        let cost = section_len(cid, data.len() as u64);
        let (header, more) = match &self.manifests {
            None => (rootless().len() as u64, 0),
            Some(manifests) => (manifests.header, MANIFEST_ROOT),
        };
        let (limit, with_manifests) = (self.limit, self.manifests.is_some());
        let does_fit = |body: u64, contents: &Contents| {
            let manifest = if with_manifests { contents.section_with(cid) } else { 0 };
            let size = body.saturating_add(cost).saturating_add(header).saturating_add(manifest);
            size <= limit && !contents.is_full()
        };
        if !does_fit(0, &Contents::default()) {
            return Err(too_large(cid, limit));
        }
        let is_full = |filling: &Filling| !does_fit(filling.body, &filling.contents);
        let complete = match self.filling.take_if(|filling| is_full(filling)) {
            Some(filling) => Some(self.complete(filling)?),
            None => None,
        };
        let filling = match &mut self.filling {
            Some(filling) => filling,
            None => {
                let header = last.unwrap_or(rootless().len() as u64).saturating_add(more);
                self.filling.insert(Filling::new((self.make)()?, header)?)
            }
        };
        filling.put(cid, data)?;
        if with_manifests {
            filling.contents.add(cid, data);
        }
        Ok(complete)
    }

    /// Ends a pack that is not the last.
    fn complete(&mut self, filling: Filling) -> Result<Shard> {
        match &mut self.manifests {
            None => filling.without_root(&mut self.make),
            Some(manifests) => manifests.complete(filling, None, &mut self.make),
        }
    }

    /// Whether nothing is in the pack that is filled now.
    pub(crate) fn is_empty(&self) -> bool {
        self.filling.is_none()
    }

    /// Ends the last pack under this root. There are two where its header does not fit.
    pub(crate) fn finish(mut self, root: Option<&Cid>) -> Result<Vec<Shard>> {
        let header = root.map_or_else(rootless, |root| Header { roots: vec![*root] }.encode());
        let filling = match self.filling.take() {
            Some(filling) => filling,
            None => Filling::new((self.make)()?, header.len() as u64)?,
        };
        if let Some(mut manifests) = self.manifests {
            return Ok(vec![manifests.complete(filling, root, &mut self.make)?]);
        }
        let roots: Vec<Cid> = root.copied().into_iter().collect();
        let size = filling.body.saturating_add(header.len() as u64);
        let Some(over) = size.checked_sub(self.limit).filter(|over| *over > 0) else {
            return Ok(vec![filling.with_header(&header, roots, &mut self.make)?]);
        };
        // Blocks from the end, as few as do.
        let (mut kept, mut moved) = (filling.blocks.len(), 0);
        while moved < over {
            let Some(block) = kept.checked_sub(1).and_then(|at| filling.blocks.get(at)) else {
                break;
            };
            (kept, moved) = (kept - 1, moved + section_len(&block.cid, block.len));
        }
        let too_large = || match filling.blocks.first() {
            Some(block) => too_large(&block.cid, self.limit),
            None => Error::new(ErrorKind::Malformed("the header fits into no pack")),
        };
        if kept == 0 || moved.saturating_add(header.len() as u64) > self.limit {
            return Err(too_large());
        }
        let mut filling = filling;
        let all = filling.blocks.len();
        let first = filling.copied(0..kept, &mut self.make, rootless().len() as u64)?;
        let last = filling.copied(kept..all, &mut self.make, header.len() as u64)?;
        let first = first.without_root(&mut self.make)?;
        Ok(vec![first, last.with_header(&header, roots, &mut self.make)?])
    }
}

impl Manifests {
    /// Ends a pack with its manifest, which is a root of it.
    fn complete(
        &mut self,
        mut filling: Filling,
        root: Option<&Cid>,
        make: &mut impl FnMut() -> Result<Spool>,
    ) -> Result<Shard> {
        let contents = std::mem::take(&mut filling.contents);
        // Under each root all is there, so that the pack is of use by itself.
        let whole = root.copied().filter(|root| contents.is_whole(root));
        let manifest = contents.manifest(self.number, root.copied(), self.previous).encode()?;
        let cid = cid_of(codec::DAG_CBOR, &manifest);
        filling.put(&cid, &manifest)?;
        (self.number, self.previous) = (self.number + 1, Some(cid));
        let roots: Vec<Cid> = whole.into_iter().chain([cid]).collect();
        filling.with_header(&Header { roots: roots.clone() }.encode(), roots, make)
    }
}

impl Filling {
    fn new(spool: Spool, header: u64) -> Result<Self> {
        let mut spool = BufWriter::with_capacity(BUFFER, spool);
        io::copy(&mut io::repeat(0).take(header), &mut spool)?;
        let (blocks, contents) = (Vec::new(), Contents::default());
        Ok(Self { spool, header, blocks, body: 0, contents })
    }

    fn put(&mut self, cid: &Cid, data: &[u8]) -> Result<()> {
        let len = data.len() as u64;
        let cost = section_len(cid, len);
        self.spool.write_all(&section_head(cid, data.len()))?;
        self.spool.write_all(data)?;
        let offset = self.header + self.body + (cost - len);
        self.blocks.push(Placed { cid: *cid, offset, len });
        self.body += cost;
        Ok(())
    }

    fn without_root(self, make: &mut impl FnMut() -> Result<Spool>) -> Result<Shard> {
        self.with_header(&rootless(), Vec::new(), make)
    }

    /// Puts the header in its place. Where another one was expected, all is copied behind it.
    fn with_header(
        mut self,
        header: &[u8],
        roots: Vec<Cid>,
        make: &mut impl FnMut() -> Result<Spool>,
    ) -> Result<Shard> {
        if self.header != header.len() as u64 {
            let all = 0..self.blocks.len();
            self = self.copied(all, make, header.len() as u64)?;
        }
        let mut spool = self.spool.into_inner().map_err(io::IntoInnerError::into_error)?;
        spool.write_at(header, 0)?;
        Ok(Shard { spool, blocks: self.blocks, roots })
    }

    /// Some of the blocks, in another file, behind a header of so many bytes.
    fn copied(
        &mut self,
        blocks: Range<usize>,
        make: &mut impl FnMut() -> Result<Spool>,
        header: u64,
    ) -> Result<Self> {
        self.spool.flush()?;
        let mut copy = Self::new(make()?, header)?;
        let mut data = Vec::new();
        for block in self.blocks.get(blocks).unwrap_or_default() {
            data.resize(usize::try_from(block.len).map_err(io::Error::other)?, 0);
            let spool = self.spool.get_ref();
            read_exact_at(spool, &mut data, block.offset).map_err(|error| spool.told(error))?;
            copy.put(&block.cid, &data)?;
        }
        Ok(copy)
    }
}

/// The header of a pack that has no root.
fn rootless() -> Vec<u8> {
    Header::default().encode()
}

fn too_large(cid: &Cid, limit: u64) -> Error {
    Error::new(ErrorKind::BlockTooLarge { cid: Box::new(*cid), limit })
}

/// Bytes that the CID of a manifest takes in a header.
const MANIFEST_ROOT: u64 = 41;
/// Bytes that are written at a time, unless a block has more.
const BUFFER: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use carstone_car::CarSlice;

    use super::*;

    /// Roots and CIDs of each pack, and its length.
    type Packs = Vec<(Vec<Cid>, Vec<Cid>, usize)>;

    fn pack(blocks: &[Vec<u8>], root: Option<Cid>, limit: u64, last: Option<u64>) -> Result<Packs> {
        let mut sharder = Sharder::new(limit, Spool::unnamed);
        let mut shards = Vec::new();
        for data in blocks {
            shards.extend(sharder.put(&cid_of(codec::RAW, data), data, last)?);
        }
        shards.extend(sharder.finish(root.as_ref())?);
        let told = shards.iter().map(|shard| {
            let mut bytes = vec![0; usize::try_from(shard.spool.len()).expect("small")];
            read_exact_at(&shard.spool, &mut bytes, 0).expect("read");
            let car = CarSlice::parse(&bytes).expect("a CAR");
            let mut cids = Vec::new();
            for (section, placed) in car.sections().zip(&shard.blocks) {
                let section = section.expect("sound");
                assert_eq!((section.cid, section.data_offset), (placed.cid, placed.offset));
                assert_eq!(section.data_len as u64, placed.len);
                cids.push(section.cid);
            }
            assert_eq!(cids.len(), shard.blocks.len());
            assert_eq!(car.sections().count(), cids.len());
            assert_eq!(car.roots(), &shard.roots[..]);
            assert!(bytes.len() as u64 <= limit);
            (shard.roots.clone(), cids, bytes.len())
        });
        Ok(told.collect())
    }

    fn blocks(lens: &[usize]) -> Vec<Vec<u8>> {
        lens.iter().enumerate().map(|(at, len)| vec![at as u8; *len]).collect()
    }

    #[test]
    fn a_pack_is_closed_when_the_next_block_does_not_fit() {
        let blocks = blocks(&[1000; 5]);
        let root = cid_of(codec::RAW, &blocks[4]);
        let section = section_len(&root, 1000);
        assert_eq!(section, 1038);
        // Two sections and the header without roots, to the byte.
        let packs = pack(&blocks, Some(root), 18 + 2 * section, None).expect("packed");
        let counts: Vec<_> =
            packs.iter().map(|(roots, cids, _)| (roots.len(), cids.len())).collect();
        assert_eq!(counts, [(0, 2), (0, 2), (1, 1)]);
        let packs = pack(&blocks, Some(root), 17 + 2 * section, None).expect("packed");
        assert_eq!(packs.len(), 5);
        // Blocks of 1 MiB begin at byte 57, or 98 behind a root; smaller ones at 56 and 97.
        assert_eq!(packs[0].2, 18 + 1038);
        assert_eq!(packs[4].2, 59 + 1038);
    }

    #[test]
    fn blocks_move_where_the_root_does_not_fit() {
        let blocks = blocks(&[1000, 1000, 10, 10]);
        let root = cid_of(codec::RAW, &blocks[3]);
        let small = section_len(&root, 10);
        let all = 2 * 1038 + 2 * small;
        for (over, counts) in
            [(0, vec![(1, 4)]), (1, vec![(0, 3), (1, 1)]), (41, vec![(0, 3), (1, 1)])]
        {
            for last in [None, Some(59)] {
                let packs = pack(&blocks, Some(root), 59 + all - over, last).expect("packed");
                let found: Vec<_> =
                    packs.iter().map(|(roots, cids, _)| (roots.len(), cids.len())).collect();
                assert_eq!(found, counts, "{over}");
                let cids: Vec<_> = packs.iter().flat_map(|(_, cids, _)| cids.clone()).collect();
                assert_eq!(cids.len(), 4);
            }
        }
        // One block that fits without a root, and not with one.
        let error = pack(&blocks[..1], Some(root), 18 + 1038, None).expect_err("no room");
        assert!(matches!(error.kind(), ErrorKind::BlockTooLarge { .. }));
        let error = pack(&blocks[..1], Some(root), 17 + 1038, None).expect_err("no room");
        assert!(matches!(error.kind(), ErrorKind::BlockTooLarge { limit: 1055, .. }));
    }

    #[test]
    fn a_pack_of_nothing_is_a_header() {
        let packs = pack(&[], None, 100, None).expect("packed");
        assert_eq!(packs, [(vec![], vec![], 18)]);
    }
}
