//! Writes manifest, index and tail.

use std::io;

use carstone_layer::{Hint, LayerWrite};

use super::directories::{Built, is_told_by_link, sort_key};
use super::sections::Sections;
use crate::entry::{EntryKind, Listed, Run};
use crate::record::{LeafIndex, LeafManifest, ParentIndex, ParentManifest, Tail, decode_kept};
use crate::sorter::{Sorted, SortedIter};

/// Writes everything behind the directory nodes.
pub(super) fn write<W: LayerWrite>(
    sections: &mut Sections<W>,
    manifest: &Sorted,
    built: &Built,
    entries: u64,
    size: u64,
) -> io::Result<()> {
    let blocks = sections.blocks();
    let index = sections.take_index()?;
    let manifest = write_manifest(sections, manifest, built)?;
    let index = write_index(sections, &index)?;
    let tail = Tail { roots: vec![built.root], manifest, index, entries, blocks, size };
    sections.hint(Hint::Mark)?;
    sections.record(&tail.encode(&sections.pack)).map(drop)
}

/// Gives the position of the root page.
fn write_manifest<W: LayerWrite>(
    sections: &mut Sections<W>,
    manifest: &Sorted,
    built: &Built,
) -> io::Result<u64> {
    let mut pages: Vec<(Vec<u8>, u64)> = Vec::new();
    let (mut leaf, mut first) = (LeafManifest::new(), Vec::new());
    let mut listing = Listing::new(manifest, built)?;
    while let Some(entry) = listing.next()? {
        if leaf.is_empty() {
            first.clone_from(&entry.path);
        }
        leaf.push(&entry);
        if leaf.len() >= PAGE {
            let page = std::mem::replace(&mut leaf, LeafManifest::new()).encode(&sections.pack);
            pages.push((std::mem::take(&mut first), sections.record(&page)?));
        }
    }
    if !leaf.is_empty() || pages.is_empty() {
        pages.push((first, sections.record(&leaf.encode(&sections.pack))?));
    }
    let mut level = 0;
    while pages.len() > 1 {
        level += 1;
        let mut parents = Vec::new();
        let (mut page, mut first) = (ParentManifest::new(), Vec::new());
        for (path, position) in pages {
            if page.count() == 0 {
                first.clone_from(&path);
            }
            page.push(&path, position);
            if page.len() >= PAGE && page.count() > 1 {
                let page = std::mem::replace(&mut page, ParentManifest::new());
                let record = page.encode(&sections.pack, level);
                parents.push((std::mem::take(&mut first), sections.record(&record)?));
            }
        }
        if page.count() > 0 {
            parents.push((first, sections.record(&page.encode(&sections.pack, level))?));
        }
        pages = parents;
    }
    Ok(pages.first().map_or(0, |(_, position)| *position))
}

/// Gives the position of the root page.
fn write_index<W: LayerWrite>(sections: &mut Sections<W>, index: &Sorted) -> io::Result<u64> {
    let prefix = prefix_width(index.count());
    let width = byte_width(sections.largest());
    let mut pages: Vec<(Vec<u8>, u64)> = Vec::new();
    let (mut leaf, mut first) = (LeafIndex::new(prefix, width), Vec::new());
    // Sections with the same prefix, to be put in order of position.
    let mut group: Vec<(Vec<u8>, u64)> = Vec::new();
    let mut entries = index.iter()?;
    loop {
        let next = entries.next()?.map(|(key, _)| split_key(key, prefix));
        let ends = match (&next, group.last()) {
            (Some((digest, _)), Some((before, _))) => digest != before,
            (None, _) => true,
            (Some(_), None) => false,
        };
        if ends {
            group.sort_by_key(|(_, position)| *position);
            for (digest, position) in group.drain(..) {
                if leaf.len() == 0 {
                    first.clone_from(&digest);
                }
                leaf.push(&digest, position);
                if leaf.len() >= PAGE {
                    pages.push((
                        std::mem::take(&mut first),
                        sections.record(&leaf.encode(&sections.pack))?,
                    ));
                    leaf = LeafIndex::new(prefix, width);
                }
            }
        }
        match next {
            Some(entry) => group.push(entry),
            None => break,
        }
    }
    if leaf.len() > 0 || pages.is_empty() {
        pages.push((first, sections.record(&leaf.encode(&sections.pack))?));
    }
    let mut level = 0;
    while pages.len() > 1 {
        level += 1;
        let mut parents = Vec::new();
        let (mut page, mut first) = (ParentIndex::new(prefix, width), Vec::new());
        for (digest, position) in pages {
            if page.len() == 0 {
                first.clone_from(&digest);
            }
            page.push(&digest, position);
            if page.len() >= PAGE {
                let record = page.encode(&sections.pack, level);
                parents.push((std::mem::take(&mut first), sections.record(&record)?));
                page = ParentIndex::new(prefix, width);
            }
        }
        if page.len() > 0 {
            parents.push((first, sections.record(&page.encode(&sections.pack, level))?));
        }
        pages = parents;
    }
    Ok(pages.first().map_or(0, |(_, position)| *position))
}

/// The entries of the manifest: those announced, joined with all directories, in order.
struct Listing<'a> {
    entries: SortedIter<'a>,
    directories: SortedIter<'a>,
    entry: Option<(Vec<u8>, Listed)>,
    directory: Option<(Vec<u8>, Vec<Run>)>,
}

impl<'a> Listing<'a> {
    fn new(manifest: &'a Sorted, built: &'a Built) -> io::Result<Self> {
        let (entries, directories) = (manifest.iter()?, built.directories.iter()?);
        let mut listing = Self { entries, directories, entry: None, directory: None };
        listing.load_entry()?;
        listing.load_directory()?;
        Ok(listing)
    }

    fn next(&mut self) -> io::Result<Option<Listed>> {
        let directory_first = match (&self.entry, &self.directory) {
            (None, None) => return Ok(None),
            (Some((entry, _)), Some((directory, _))) => directory < entry,
            (entry, _) => entry.is_none(),
        };
        if directory_first {
            let directory = self.directory.take();
            self.load_directory()?;
            return Ok(directory.map(|(key, runs)| implied(&key, runs)));
        }
        let Some((key, mut entry)) = self.entry.take() else { return Ok(None) };
        self.load_entry()?;
        if self.directory.as_ref().is_some_and(|(directory, _)| *directory == key) {
            if entry.kind != EntryKind::Directory {
                let what = "an entry below something that is no directory";
                return Err(crate::error::Error::mismatch(&entry.path, what, 0).into());
            }
            entry.runs = self.directory.take().map(|(_, runs)| runs).unwrap_or_default();
            self.load_directory()?;
        }
        Ok(Some(entry))
    }

    fn load_entry(&mut self) -> io::Result<()> {
        self.entry = None;
        if let Some((key, value)) = self.entries.next()? {
            let (mut entry, link) = decode_kept(value)?;
            let digest = link.as_ref().map(|link| link.cid.hash().digest());
            if entry.kind == EntryKind::File
                && entry.sha256.is_none()
                && !is_told_by_link(&entry, link.as_ref())
            {
                entry.sha256 = digest.and_then(|digest| digest.try_into().ok());
            }
            self.entry = Some((key.to_vec(), entry));
        }
        Ok(())
    }

    fn load_directory(&mut self) -> io::Result<()> {
        self.directory = None;
        if let Some((key, value)) = self.directories.next()? {
            let position = value.try_into().map(u64::from_le_bytes);
            let runs = position.map(|position| vec![Run { offset: 0, position }]);
            self.directory = Some((key.to_vec(), runs.unwrap_or_default()));
        }
        Ok(())
    }
}

/// A directory that only the paths of other entries tell of.
fn implied(key: &[u8], runs: Vec<Run>) -> Listed {
    let path: Vec<u8> = key.iter().map(|&byte| if byte == 0 { b'/' } else { byte }).collect();
    debug_assert_eq!(sort_key(&path), key);
    Listed {
        path,
        kind: EntryKind::Directory,
        id: None,
        record: None,
        mode: None,
        mtime: None,
        size: None,
        root: None,
        sha256: None,
        target: None,
        runs,
    }
}

/// The fewest bytes with 256^P ≥ 256 × `blocks`, 1 to 8.
fn prefix_width(blocks: u64) -> u8 {
    let mut width = 1;
    while width < 8 && 1_u128 << (8 * (u32::from(width) - 1)) < u128::from(blocks) {
        width += 1;
    }
    width
}

/// The fewest bytes that hold `position`, at least 1.
fn byte_width(position: u64) -> u8 {
    let bits = u64::BITS - position.leading_zeros();
    u8::try_from(bits.div_ceil(8).max(1)).unwrap_or(8)
}

fn split_key(key: &[u8], prefix: u8) -> (Vec<u8>, u64) {
    let mut position = [0; 8];
    position.copy_from_slice(&key[8..16]);
    (key[..usize::from(prefix)].to_vec(), u64::from_be_bytes(position))
}

/// Encoded length at which a page is closed.
const PAGE: usize = 64 << 10;
