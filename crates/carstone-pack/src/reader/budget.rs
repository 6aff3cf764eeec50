//! Keeps a tree of pages that is none from being read for ever.

use carstone_car::Section;

use crate::error::{Error, ErrorKind};

/// Bytes of pages that may still be read.
///
/// A tree has each of its pages once, so that all of them together are shorter than the stream. Where pages share children, a few
/// of them are enough for more ways through than anybody can go.
pub(super) struct PageBudget(u64);

impl PageBudget {
    pub(super) fn new(stream_len: u64) -> Self {
        Self(stream_len)
    }

    /// A page is read.
    pub(super) fn spend(&mut self, page: &Section) -> Result<(), Error> {
        let left = self.0.checked_sub(page.len());
        let rule = "a page has more than one parent";
        self.0 = left.ok_or_else(|| Error::new(ErrorKind::BadRecord(rule), page.offset))?;
        Ok(())
    }
}
