//! The places that an index over many CARs has for one hash.

use std::iter::FusedIterator;

use super::index::{DAMAGED, End, Landing, MultiIndex};
use super::leaf::{Key, Leaf, MultiPlace};
use super::page::bad_page;
use crate::error::Result;
use crate::index::RECORD_HEAD;
use crate::read_at::ReadAt;

/// The places of one block, by file and then by offset. An error ends the iteration.
pub struct MultiPlaces<'a, R> {
    index: &'a MultiIndex<R>,
    key: Key,
    leaf: Leaf,
    /// The next entry of the leaf.
    entry: usize,
    /// Where the search has come to. `None` when there is no more.
    landing: Option<Landing>,
    /// The bytes of the last page.
    buf: Vec<u8>,
}

impl<'a, R: ReadAt> MultiPlaces<'a, R> {
    pub(super) fn new(index: &'a MultiIndex<R>, key: Key) -> Result<Self> {
        let landing = index.descend(key.bytes())?;
        let (mut leaf, mut entry, mut buf) = (Leaf::default(), 0, Vec::new());
        if let Some(landing) = &landing {
            leaf = index.leaf(landing.leaf, &mut buf)?;
            entry = leaf.first_from(key.bytes());
        }
        Ok(MultiPlaces { index, key, leaf, entry, landing, buf })
    }

    fn advance(&mut self) -> Result<Option<MultiPlace>> {
        while let Some(landing) = self.landing {
            if let Some((head, rest)) = self.leaf.entry(self.entry) {
                let (wanted, digest) = self.key.bytes().split_at(RECORD_HEAD);
                if head != wanted || !rest.starts_with(digest) {
                    self.landing = None;
                    return Ok(None);
                }
                let place = MultiPlace::decode(&rest[digest.len()..]);
                // Of the ties that follow, the next page may have more.
                self.landing = Some(Landing { end: End::Open, ..landing });
                self.entry += 1;
                return self.checked(place, landing.leaf).map(Some);
            }
            let next = landing.leaf + 1;
            if matches!(landing.end, End::Known) || next >= self.index.shape().pages(0) {
                self.landing = None;
                return Ok(None);
            }
            self.leaf = self.index.leaf(next, &mut self.buf)?;
            self.entry = self.leaf.first_from(self.key.bytes());
            self.landing = Some(Landing { leaf: next, ..landing });
            if self.entry == self.leaf.len() {
                // All that is in the next page is smaller.
                self.landing = None;
                match landing.end {
                    End::Damaged(page) => return Err(bad_page(page, DAMAGED)),
                    _ => return Ok(None),
                }
            }
        }
        Ok(None)
    }

    fn checked(&self, place: Option<MultiPlace>, leaf: u64) -> Result<MultiPlace> {
        let bad = |what| bad_page(self.index.shape().start(0) + leaf, what);
        let place = place.ok_or_else(|| bad("an entry is cut short"))?;
        if place.file >= self.index.files_len() {
            return Err(bad("an entry is of a file that the index does not have"));
        }
        // A file whose page is damaged cannot be opened anyway.
        if self.index.file(place.file).is_ok_and(|file| place.end() > file.payload_len) {
            return Err(bad("an entry is not inside of its file"));
        }
        Ok(place)
    }
}

impl<R: ReadAt> Iterator for MultiPlaces<'_, R> {
    type Item = Result<MultiPlace>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.advance();
        if item.is_err() {
            self.landing = None;
        }
        item.transpose()
    }
}

impl<R: ReadAt> FusedIterator for MultiPlaces<'_, R> {}

impl<R> std::fmt::Debug for MultiPlaces<'_, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MultiPlaces").field("landing", &self.landing).finish_non_exhaustive()
    }
}
