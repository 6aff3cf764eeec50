//! Where each leaf of a stream was written, so that later entries can have it again.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::block_map::{BlockKey, BlockMap};

/// SHA-256 of a leaf.
pub(super) type Digest = [u8; 32];

/// Where the bytes of a leaf are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Placed {
    /// In the spool, for leaves that are content of nothing that was restored.
    Spool { offset: u64 },
    /// In the file of an entry: `place` is its path below the target.
    File { id: u64, place: Vec<u8>, offset: u64 },
}

/// A map from leaf to place. Places lie in an unnamed temporary file, and so does the index where it is large.
#[derive(Debug)]
pub(super) struct Places {
    log: Log,
    /// Where in the log the place of a leaf is.
    index: BlockMap,
}

impl Places {
    pub(super) fn new() -> Self {
        Self::within(INDEX_BUDGET)
    }

    fn within(budget: usize) -> Self {
        Self { log: Log::default(), index: BlockMap::new(budget) }
    }

    /// Notes where a leaf is, unless it has a place already.
    pub(super) fn insert(&mut self, digest: &Digest, len: u64, placed: &Placed) -> io::Result<()> {
        let (id, place, offset) = match placed {
            Placed::Spool { offset } => (SPOOL, &[][..], *offset),
            Placed::File { id, place, offset } => (*id, place.as_slice(), *offset),
        };
        let place_len = u32::try_from(place.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        if self.index.insert(BlockKey::leaf(*digest), self.log.end())?.is_some() {
            return Ok(());
        }
        self.log.append(&[
            &len.to_le_bytes(),
            &id.to_le_bytes(),
            &offset.to_le_bytes(),
            &place_len.to_le_bytes(),
            place,
        ])
    }

    /// Length and place of a leaf, if it has been written.
    pub(super) fn find(&self, digest: &Digest) -> io::Result<Option<(u64, Placed)>> {
        match self.index.get(&BlockKey::leaf(*digest))? {
            Some(at) => self.read(at).map(Some),
            None => Ok(None),
        }
    }

    fn read(&self, at: u64) -> io::Result<(u64, Placed)> {
        let mut head = [0; HEAD];
        self.log.read(&mut head, at)?;
        let number = |from: usize| {
            let bytes = head.get(from..from + 8).and_then(|bytes| bytes.try_into().ok());
            u64::from_le_bytes(bytes.unwrap_or_default())
        };
        let (len, id, offset) = (number(0), number(8), number(16));
        if id == SPOOL {
            return Ok((len, Placed::Spool { offset }));
        }
        let place_len = u32::from_le_bytes([head[24], head[25], head[26], head[27]]);
        let mut place = vec![0; place_len as usize]; // As it was noted.
        self.log.read(&mut place, at + HEAD as u64)?;
        Ok((len, Placed::File { id, place, offset }))
    }
}

/// Bytes that are appended, and read at any place.
#[derive(Debug, Default)]
struct Log {
    file: Option<File>,
    written: u64,
    tail: Vec<u8>,
}

impl Log {
    fn end(&self) -> u64 {
        self.written + self.tail.len() as u64
    }

    fn append(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        if self.tail.len() >= LOG_TAIL {
            let file = match &mut self.file {
                Some(file) => file,
                none => none.insert(tempfile::tempfile()?),
            };
            file.write_all_at(&self.tail, self.written)?;
            self.written += self.tail.len() as u64;
            self.tail.clear();
        }
        parts.iter().for_each(|part| self.tail.extend_from_slice(part));
        Ok(())
    }

    /// Records are never split between file and tail.
    fn read(&self, buf: &mut [u8], at: u64) -> io::Result<()> {
        match (at.checked_sub(self.written), &self.file) {
            (Some(at), _) => {
                let start = usize::try_from(at).unwrap_or(usize::MAX);
                let found = self.tail.get(start..).and_then(|rest| rest.get(..buf.len()));
                buf.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
                Ok(())
            }
            (None, Some(file)) => file.read_exact_at(buf, at),
            (None, None) => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// Content that later entries may want, in an unnamed temporary file.
#[derive(Debug, Default)]
pub(super) struct Spool {
    file: Mutex<Option<Arc<File>>>,
    end: AtomicU64,
}

impl Spool {
    /// Keeps `data` and gives where.
    pub(super) fn keep(&self, data: &[u8]) -> io::Result<u64> {
        let file = self.file()?;
        let offset = self.end.fetch_add(data.len() as u64, Ordering::Relaxed);
        file.write_all_at(data, offset)?;
        Ok(offset)
    }

    pub(super) fn read(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.file()?.read_exact_at(buf, offset)
    }

    fn file(&self) -> io::Result<Arc<File>> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        match &*file {
            Some(file) => Ok(Arc::clone(file)),
            None => {
                let new = Arc::new(tempfile::tempfile()?);
                *file = Some(Arc::clone(&new));
                Ok(new)
            }
        }
    }
}

/// In place of an entry id: no pack has so many entries.
const SPOOL: u64 = u64::MAX;
const LOG_TAIL: usize = 256 << 10;
/// Memory for the index before it spills.
const INDEX_BUDGET: usize = 16 << 20;
/// Bytes of a place in the log, without the path.
const HEAD: usize = 28;

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(n: u64) -> Digest {
        let mut digest = [0; 32];
        // Every third shares its first bytes with another one.
        digest[..8].copy_from_slice(&(n / 3 * 2).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
        digest[24..].copy_from_slice(&n.to_le_bytes());
        digest
    }

    fn placed(n: u64) -> Placed {
        match n % 2 {
            0 => Placed::Spool { offset: n },
            _ => Placed::File { id: n, place: vec![b'p'; n as usize % 300], offset: n * 7 },
        }
    }

    #[test]
    fn every_place_is_found_in_memory_and_in_spilled_parts() {
        for budget in [0, 100_000, 10 << 20] {
            let mut places = Places::within(budget);
            let count = 9000;
            for n in 0..count {
                assert_eq!(places.find(&digest(n)).expect("a file"), None);
                places.insert(&digest(n), n, &placed(n)).expect("a file");
            }
            places.insert(&digest(0), 1, &placed(1)).expect("a file"); // It keeps its place.
            for n in (0..count).step_by(7) {
                let found = places.find(&digest(n)).expect("a file");
                assert_eq!(found, Some((n, placed(n))), "{n} with {budget}");
            }
            assert_eq!(places.find(&digest(count)).expect("a file"), None);
        }
    }

    #[test]
    fn the_spool_gives_back_what_it_keeps() {
        let spool = Spool::default();
        let first = spool.keep(b"first").expect("a file");
        let second = spool.keep(b"second").expect("a file");
        let mut buf = [0; 6];
        spool.read(&mut buf, second).expect("it was kept");
        assert_eq!(&buf, b"second");
        spool.read(&mut buf[..5], first).expect("it was kept");
        assert_eq!(&buf[..5], b"first");
    }
}
