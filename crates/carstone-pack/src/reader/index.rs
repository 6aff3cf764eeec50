//! Finds a block's section through the index.

use carstone_car::Cid;
use carstone_layer::ReadAt;

use super::budget::PageBudget;
use super::section::SectionReader;
use crate::error::{Error, ErrorKind};
use crate::record::IndexPage;

/// Position of the block's section, confirmed by its CID.
pub(super) fn locate<R: ReadAt>(
    sections: &SectionReader<R>,
    root: u64,
    cid: &Cid,
) -> Result<Option<u64>, Error> {
    let digest = cid.hash().digest();
    let mut key = [0; 8];
    let n = digest.len().min(8);
    key[..n].copy_from_slice(&digest[..n]);
    let mut budget = PageBudget::new(sections.len());
    search(sections, root, None, &key, &mut budget, &mut |position| {
        Ok(sections.head(position)?.is_some_and(|section| section.cid == *cid))
    })
}

/// Reads the page at `position`.
pub(super) fn page<R: ReadAt>(
    sections: &SectionReader<R>,
    position: u64,
    budget: &mut PageBudget,
) -> Result<IndexPage, Error> {
    let wrong = || Error::new(ErrorKind::BadRecord("an index page is due"), position);
    let (section, data) = sections.read(position)?.ok_or_else(wrong)?;
    budget.spend(&section)?;
    match sections.is_record(&section.cid, &data) {
        true => IndexPage::decode(&data, position),
        false => Err(wrong()),
    }
}

/// Calls `confirm` with each position whose prefix fits, until it says yes.
fn search<R: ReadAt>(
    sections: &SectionReader<R>,
    position: u64,
    above: Option<u64>,
    key: &[u8; 8],
    budget: &mut PageBudget,
    confirm: &mut dyn FnMut(u64) -> Result<bool, Error>,
) -> Result<Option<u64>, Error> {
    let page = page(sections, position, budget)?;
    // Levels fall by one on the way down, so the depth is bounded and a cycle cannot be.
    if above.is_some_and(|above| page.level + 1 != above) {
        return Err(Error::new(ErrorKind::BadRecord("a page has the wrong level"), position));
    }
    let key_prefix = &key[..page.prefix];
    if page.level == 0 {
        for (prefix, position) in page.entries() {
            if prefix == key_prefix && confirm(position)? {
                return Ok(Some(position));
            }
        }
        return Ok(None);
    }
    let children: Vec<(&[u8], u64)> = page.entries().collect();
    // The page before the first that starts at or behind the key may end with it.
    let from = children.partition_point(|(first, _)| *first < key_prefix).saturating_sub(1);
    for &(first, child) in &children[from..] {
        if first > key_prefix {
            break;
        }
        if let Some(found) = search(sections, child, Some(page.level), key, budget, confirm)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}
