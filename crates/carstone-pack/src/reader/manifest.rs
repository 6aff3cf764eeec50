//! Walks the manifest's tree of pages.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use carstone_car::Section;
use carstone_layer::ReadAt;

use super::budget::PageBudget;
use super::section::SectionReader;
use crate::entry::Listed;
use crate::error::{Error, ErrorKind};
use crate::path::{compare_paths, is_within};
use crate::record::ManifestPage;

/// Pages that were looked at last, for single paths: those that are asked for together stand together.
#[derive(Default)]
pub(super) struct PageCache(Mutex<VecDeque<(u64, Arc<ManifestPage>)>>);

impl PageCache {
    /// The entry at `path`, found from the root page down.
    pub(super) fn find<R: ReadAt>(
        &self,
        sections: &SectionReader<R>,
        root: u64,
        path: &[u8],
    ) -> Result<Option<Listed>, Error> {
        let mut position = root;
        for _ in 0..=MAX_DEPTH {
            let page = self.page(sections, position)?;
            let children = match &*page {
                ManifestPage::Leaf(entries) => {
                    let at = entries.binary_search_by(|entry| compare_paths(&entry.path, path));
                    return Ok(at.ok().map(|at| entries[at].clone()));
                }
                ManifestPage::Parent { children, .. } => children,
            };
            let after = children.partition_point(|(first, _)| compare_paths(first, path).is_le());
            let Some((_, child)) = after.checked_sub(1).and_then(|at| children.get(at)) else {
                return Ok(None);
            };
            position = *child;
        }
        Err(Error::new(ErrorKind::BadRecord(TOO_DEEP), position))
    }

    fn page<R: ReadAt>(
        &self,
        sections: &SectionReader<R>,
        position: u64,
    ) -> Result<Arc<ManifestPage>, Error> {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, page)) = lock().iter().find(|(at, _)| *at == position) {
            return Ok(Arc::clone(page));
        }
        let page = Arc::new(read_page(sections, position)?.1);
        let mut pages = lock();
        if pages.len() == CACHED_PAGES {
            pages.pop_front();
        }
        pages.push_back((position, Arc::clone(&page)));
        Ok(page)
    }
}

/// The entries of a subtree, sorted by path. One page of each level is in memory.
pub struct Entries<'a, R> {
    sections: &'a SectionReader<R>,
    within: Vec<u8>,
    /// Pages still to be read at each level, outermost first, the next one last.
    pending: Vec<Vec<(Vec<u8>, u64)>>,
    page: std::vec::IntoIter<Listed>,
    before: Option<Vec<u8>>,
    budget: PageBudget,
    done: bool,
}

impl<'a, R: ReadAt> Entries<'a, R> {
    pub(super) fn new(sections: &'a SectionReader<R>, root: u64, within: Vec<u8>) -> Self {
        let pending = vec![vec![(Vec::new(), root)]];
        let page = Vec::new().into_iter();
        let budget = PageBudget::new(sections.len());
        Self { sections, within, pending, page, before: None, budget, done: false }
    }

    fn advance(&mut self) -> Result<Option<Listed>, Error> {
        loop {
            for entry in self.page.by_ref() {
                let sorted = self.before.as_ref();
                if sorted.is_some_and(|before| compare_paths(before, &entry.path).is_ge()) {
                    return Err(Error::mismatch(&entry.path, "the order of the manifest", 0));
                }
                self.before = Some(entry.path.clone());
                if is_within(&entry.path, &self.within) {
                    return Ok(Some(entry));
                }
                if compare_paths(&entry.path, &self.within).is_gt() {
                    return Ok(None);
                }
            }
            match self.next_page()? {
                Some(page) => self.page = page.into_iter(),
                None => return Ok(None),
            }
        }
    }

    /// Goes down to the next leaf page.
    fn next_page(&mut self) -> Result<Option<Vec<Listed>>, Error> {
        loop {
            let Some(level) = self.pending.last_mut() else { return Ok(None) };
            let Some((_, position)) = level.pop() else {
                self.pending.pop();
                continue;
            };
            let (section, page) = read_page(self.sections, position)?;
            self.budget.spend(&section)?;
            match page {
                ManifestPage::Leaf(entries) => return Ok(Some(entries)),
                ManifestPage::Parent { level, children } => {
                    let bad = |rule| Error::new(ErrorKind::BadRecord(rule), position);
                    // A page stands behind its children, so a cycle cannot be.
                    if children.iter().any(|(_, child)| *child >= position) {
                        return Err(bad("a page stands before its child"));
                    }
                    if level as usize > MAX_DEPTH || self.pending.len() > MAX_DEPTH {
                        return Err(bad(TOO_DEEP));
                    }
                    let mut children = self.relevant(children);
                    children.reverse();
                    self.pending.push(children);
                }
            }
        }
    }

    /// Leaves out pages that end before the subtree or start behind it.
    fn relevant(&self, mut children: Vec<(Vec<u8>, u64)>) -> Vec<(Vec<u8>, u64)> {
        let behind = |first: &[u8]| {
            compare_paths(first, &self.within).is_gt() && !is_within(first, &self.within)
        };
        let end = children.iter().position(|(first, _)| behind(first)).unwrap_or(children.len());
        children.truncate(end);
        let before =
            children.partition_point(|(first, _)| compare_paths(first, &self.within).is_le());
        children.drain(..before.saturating_sub(1));
        children
    }
}

impl<R: ReadAt> Iterator for Entries<'_, R> {
    type Item = Result<Listed, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let next = self.advance().transpose();
        self.done = !matches!(next, Some(Ok(_)));
        next
    }
}

fn read_page<R: ReadAt>(
    sections: &SectionReader<R>,
    position: u64,
) -> Result<(Section, ManifestPage), Error> {
    let wrong = || Error::new(ErrorKind::BadRecord("a manifest page is due"), position);
    let (section, data) = sections.read(position)?.ok_or_else(wrong)?;
    match sections.is_record(&section.cid, &data) {
        true => Ok((section, ManifestPage::decode(&data, position)?)),
        false => Err(wrong()),
    }
}

const MAX_DEPTH: usize = 16;
const TOO_DEEP: &str = "the tree of pages is too deep";
/// Pages of 64 KiB that are kept decoded.
const CACHED_PAGES: usize = 16;
