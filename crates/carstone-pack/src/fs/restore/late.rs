//! Metadata of directories, which is put on when all is in them.

use std::io;
use std::sync::{Mutex, PoisonError};

use carstone_layer::PackId;

use crate::entry::{Announced, EntryKind, Metadata};
use crate::record::Batch;
use crate::sorter::{Sorted, Sorter};

/// Directories that were made or announced, in bounded memory.
pub(super) struct Late(Mutex<Sorter>);

/// A directory and what is to be put on it.
pub(super) struct Directory {
    /// Where it stands below the target.
    pub(super) place: Vec<u8>,
    /// Its path in the pack.
    pub(super) path: Vec<u8>,
    pub(super) metadata: Metadata,
}

impl Late {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Sorter::new(BUDGET)))
    }

    /// Notes a directory that a path implies.
    pub(super) fn implied(&self, place: &[u8]) -> io::Result<()> {
        self.push(place, IMPLIED, place, Metadata::default())
    }

    /// Notes a directory of the pack. What it says counts, even if paths implied the directory before or do so later.
    pub(super) fn announced(
        &self,
        place: &[u8],
        path: &[u8],
        metadata: Metadata,
    ) -> io::Result<()> {
        self.push(place, ANNOUNCED, path, metadata)
    }

    fn push(&self, place: &[u8], flag: u8, path: &[u8], metadata: Metadata) -> io::Result<()> {
        let mut key = Vec::with_capacity(place.len() + 4);
        key.extend_from_slice(&(u16::MAX - depth(place)).to_be_bytes());
        key.extend_from_slice(place);
        key.extend_from_slice(&[0, flag]);
        // A batch is a known way to keep an entry as bytes.
        let entry = Announced::new(0, path.to_vec(), EntryKind::Directory, metadata);
        let value = Batch::encode(&PackId::from_bytes([0; 16]), &[entry]);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(&key, &value)
    }

    pub(super) fn sorted(self) -> io::Result<Sorted> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner).finish()
    }
}

/// Calls `dress` with each directory, deepest first: what is put on a directory would be changed, or forbidden, by work below
/// it.
pub(super) fn for_each(sorted: &Sorted, mut dress: impl FnMut(Directory)) -> io::Result<()> {
    let mut entries = sorted.iter()?;
    let mut last: Option<Directory> = None;
    while let Some((key, value)) = entries.next()? {
        let place = key.get(2..key.len().saturating_sub(2)).unwrap_or_default().to_vec();
        let batch = Batch::decode(value, 0)?;
        let Some(entry) = batch.entries.into_iter().next() else { continue };
        let next = Directory { place, path: entry.path, metadata: entry.metadata };
        match last.replace(next) {
            // The same directory again: the later one counts.
            Some(before) if last.as_ref().is_some_and(|next| next.place == before.place) => {}
            Some(before) => dress(before),
            None => {}
        }
    }
    last.into_iter().for_each(dress);
    Ok(())
}

fn depth(path: &[u8]) -> u16 {
    let slashes = path.iter().filter(|&&byte| byte == b'/').count();
    let components = slashes + usize::from(!path.is_empty());
    u16::try_from(components).unwrap_or(u16::MAX)
}

const IMPLIED: u8 = 0;
const ANNOUNCED: u8 = 1;
const BUDGET: usize = 16 << 20;
