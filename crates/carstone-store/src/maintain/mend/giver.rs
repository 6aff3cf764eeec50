//! Where the parts of a pack come from.

use std::ops::Range;

use bytes::Bytes;

use crate::error::{Error, ErrorKind};
use crate::maintain::PackSource;
use crate::name::Hash;

/// One that gives what it has of a pack. What it cannot give, another may.
pub(super) struct Giver<'a> {
    source: &'a dyn PackSource,
    name: Hash,
    size: u64,
    /// What was read last, some of it ahead, and where that begins.
    read: (u64, Bytes),
    /// Whether it has nothing of the pack itself.
    has_none: bool,
    /// How often it may fail before it is asked no more.
    patience: u32,
}

impl<'a> Giver<'a> {
    /// One that gives what it has of a pack of so many bytes.
    pub(super) fn new(source: &'a dyn PackSource, name: Hash, size: u64) -> Self {
        let (read, patience) = ((0, Bytes::new()), u32::MAX);
        Self { source, name, size, read, has_none: false, patience }
    }

    /// The same, which is asked no more when it has failed some times: each time may take minutes.
    pub(super) fn impatient(self) -> Self {
        Self { patience: PATIENCE, ..self }
    }

    /// Bytes of the pack as it has them.
    pub(super) async fn stored(&mut self, range: Range<u64>) -> Option<Bytes> {
        if let Some(part) = self.part(&range) {
            return Some(part);
        }
        let ahead = range.start..range.start.saturating_add(AHEAD).min(self.size).max(range.end);
        // Where there is less of the pack, or some of it cannot be read, there may still be as much as is needed.
        let exact = Some(range.clone()).filter(|exact| *exact != ahead);
        for wanted in std::iter::once(ahead).chain(exact) {
            if self.has_none || self.patience == 0 {
                return None;
            }
            match self.source.stored(&self.name, wanted.clone()).await {
                Ok(Some(bytes)) => {
                    self.read = (wanted.start, bytes);
                    break;
                }
                Ok(None) => self.has_none = true,
                Err(error) => self.failed(&error),
            }
        }
        self.part(&range)
    }

    fn part(&self, range: &Range<u64>) -> Option<Bytes> {
        let (start, bytes) = &self.read;
        let from = usize::try_from(range.start.checked_sub(*start)?).ok()?;
        let to = usize::try_from(range.end.checked_sub(*start)?).ok()?;
        (from <= to && to <= bytes.len()).then(|| bytes.slice(from..to))
    }

    /// A blob from wherever it has one.
    pub(super) async fn blob(&mut self, hash: &Hash) -> Option<Bytes> {
        if self.patience == 0 {
            return None;
        }
        match self.source.blob(hash).await {
            Ok(found) => found,
            Err(error) => {
                self.failed(&error);
                None
            }
        }
    }

    fn failed(&mut self, error: &Error) {
        // That a pack is cut says nothing of who has it.
        if matches!(error.kind(), ErrorKind::Io(_) | ErrorKind::Denied(_)) {
            self.patience = self.patience.saturating_sub(1);
        }
    }
}

/// Bytes of a pack that are read at a time.
const AHEAD: u64 = 4 << 20;
/// Failures of another store after which it is asked no more.
const PATIENCE: u32 = 3;
