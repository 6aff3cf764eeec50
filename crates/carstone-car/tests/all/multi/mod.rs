//! One index over many CARs.

mod blocks;
mod builds;
mod damage;
mod forged;
mod merges;
mod model;
mod reads;
mod vectors;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::sources::{car, raw};
use carstone_car::{Cid, ErrorKind, MultiIndex, MultiIndexBuilder, MultiPlace, ReadAt};

/// A file under its name.
pub type Named = (String, Vec<u8>);

/// The CARs of these blocks, given as numbers.
pub fn cars(blocks: &[&[u64]]) -> Vec<Named> {
    let named = blocks.iter().enumerate().map(|(number, blocks)| {
        let blocks: Vec<_> = blocks.iter().map(|&n| numbered(n)).collect();
        (format!("{number}.car"), car(&[], &blocks))
    });
    named.collect()
}

/// The block of a number.
pub fn numbered(number: u64) -> carstone_car::Block {
    raw(&number.to_be_bytes())
}

/// The bytes of the index over these files.
pub fn build(files: &[Named]) -> Vec<u8> {
    let mut builder = MultiIndexBuilder::new();
    for (name, file) in files {
        builder.add_car(name.as_str(), file).expect("a sound CAR");
    }
    builder.write(Vec::new()).expect("memory")
}

pub fn open(bytes: &[u8]) -> MultiIndex<&[u8]> {
    MultiIndex::open(bytes).expect("a sound index")
}

/// All places of a CID, or the first error.
pub fn places<R: ReadAt>(
    index: &MultiIndex<R>,
    cid: &Cid,
) -> carstone_car::Result<Vec<MultiPlace>> {
    index.find_all(cid)?.collect()
}

/// The page that an error names, where its offset is that of the page.
#[track_caller]
pub fn bad_page(error: &carstone_car::Error) -> u64 {
    match error.kind() {
        ErrorKind::BadPage { page, .. } => {
            assert_eq!(error.offset(), Some(page * PAGE as u64));
            *page
        }
        other => panic!("{other:?}"),
    }
}

pub const PAGE: usize = 4096;

/// Counts reads.
pub struct Counting<R> {
    inner: R,
    reads: AtomicU64,
}

impl<R> Counting<R> {
    pub fn new(inner: R) -> Self {
        Counting { inner, reads: AtomicU64::new(0) }
    }

    /// The number of reads since it was asked for last.
    pub fn taken(&self) -> u64 {
        self.reads.swap(0, Ordering::Relaxed)
    }
}

impl<R: ReadAt> ReadAt for Counting<R> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.inner.read_at(buf, offset)
    }

    fn size(&self) -> io::Result<u64> {
        self.inner.size()
    }
}
