//! Compares the index with the sections.

use std::io;

use carstone_layer::ReadAt;

use super::{Check, SORT_BUDGET, index_key, is_environment};
use crate::error::{Error, ErrorKind};
use crate::reader::PackReader;
use crate::reader::budget::PageBudget;
use crate::reader::index::page;
use crate::sorter::{Sorted, Sorter};

impl<R: ReadAt> PackReader<R> {
    /// The index must list each content section once, and nothing else.
    pub(super) fn check_index(&self, check: &mut Check<'_>, stands: &Sorted) -> Result<(), Error> {
        let mut listed = Sorter::new(SORT_BUDGET);
        let mut pages = vec![self.tail.index];
        let mut budget = PageBudget::new(self.stream_len());
        let mut width = 8;
        while let Some(position) = pages.pop() {
            let page = match page(&self.sections, position, &mut budget) {
                Ok(page) => page,
                Err(error) if is_environment(&error) => return Err(error),
                Err(error) => {
                    check.fault(None, error);
                    return Ok(());
                }
            };
            width = page.prefix;
            let mut before: Option<(Vec<u8>, u64)> = None;
            for (prefix, at) in page.entries() {
                let sorted = before.as_ref().is_none_or(|(b, p)| (b.as_slice(), *p) < (prefix, at));
                let below = page.level == 0 || at < position;
                if !sorted || !below {
                    let rule = "an index page is not in order";
                    check.fault(None, Error::new(ErrorKind::BadRecord(rule), position));
                    return Ok(());
                }
                before = Some((prefix.to_vec(), at));
                match page.level {
                    0 => listed.push(&index_key(prefix, at), &[])?,
                    _ => pages.push(at),
                }
            }
        }
        let listed = listed.finish()?;
        let same = listed.count() == stands.count() && same_sections(&listed, stands, width)?;
        if !same {
            let error = Error::mismatch(b"pack", "the index of blocks", self.tail.index);
            check.fault(None, error);
        }
        Ok(())
    }
}

/// Whether both hold the same positions under the same prefixes of `width` bytes.
fn same_sections(listed: &Sorted, stands: &Sorted, width: usize) -> io::Result<bool> {
    // Within one prefix the order may differ, since the index orders by position there.
    let (mut listed, mut stands) = (listed.iter()?, stands.iter()?);
    let (mut group, mut other): (Vec<Vec<u8>>, Vec<Vec<u8>>) = (Vec::new(), Vec::new());
    loop {
        let (a, b) = (listed.next()?, stands.next()?);
        let ends = match (&a, &b, group.first()) {
            (None, None, _) => true,
            (Some((a, _)), Some((b, _)), first) => {
                if a[..width] != b[..width] {
                    return Ok(false);
                }
                first.is_some_and(|first| first[..width] != a[..width])
            }
            _ => return Ok(false),
        };
        if ends {
            group.iter_mut().chain(&mut other).for_each(|key| key[width..8].fill(0));
            group.sort();
            other.sort();
            if group != other {
                return Ok(false);
            }
            group.clear();
            other.clear();
        }
        match (a, b) {
            (Some((a, _)), Some((b, _))) => {
                group.push(a.to_vec());
                other.push(b.to_vec());
            }
            _ => return Ok(true),
        }
    }
}
