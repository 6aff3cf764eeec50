//! Where each leaf of a stream was written, so that later entries can have it again.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

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

/// A map from leaf to place. Places lie in an unnamed temporary file, and so does the index, but for its latest part.
#[derive(Debug, Default)]
pub(super) struct Places {
    log: Log,
    /// First 8 bytes of the digest, and where in the log its place is.
    recent: HashMap<u64, u64>,
    /// Digests whose first 8 bytes were taken already.
    twins: HashMap<Digest, u64>,
    older: Vec<Run>,
    most_recent: Option<usize>,
}

impl Places {
    #[cfg(test)]
    fn with_limit(entries: usize) -> Self {
        Self { most_recent: Some(entries), ..Self::default() }
    }

    pub(super) fn insert(&mut self, digest: &Digest, len: u64, placed: &Placed) -> io::Result<()> {
        let at = self.log.end();
        let (id, place, offset) = match placed {
            Placed::Spool { offset } => (SPOOL, &[][..], *offset),
            Placed::File { id, place, offset } => (*id, place.as_slice(), *offset),
        };
        let place_len = u32::try_from(place.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.log.append(&[
            digest,
            &len.to_le_bytes(),
            &id.to_le_bytes(),
            &offset.to_le_bytes(),
            &place_len.to_le_bytes(),
            place,
        ])?;
        if let Some(twin) = self.recent.insert(prefix(digest), at)
            && self.read(twin, digest)?.is_none()
        {
            self.recent.insert(prefix(digest), twin);
            self.twins.insert(*digest, at);
        }
        if self.recent.len() >= self.most_recent.unwrap_or(MOST_RECENT) {
            let entries = std::mem::take(&mut self.recent);
            self.older.push(Run::write(entries)?);
        }
        Ok(())
    }

    /// Length and place of a leaf, if it has been written.
    pub(super) fn find(&self, digest: &Digest) -> io::Result<Option<(u64, Placed)>> {
        let in_memory = self.twins.get(digest).or_else(|| self.recent.get(&prefix(digest)));
        if let Some(&at) = in_memory
            && let Some(found) = self.read(at, digest)?
        {
            return Ok(Some(found));
        }
        for run in self.older.iter().rev() {
            if let Some(at) = run.find(prefix(digest))?
                && let Some(found) = self.read(at, digest)?
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Reads the place at `at` if it is that of `digest`.
    fn read(&self, at: u64, digest: &Digest) -> io::Result<Option<(u64, Placed)>> {
        let mut head = [0; 60];
        self.log.read(&mut head, at)?;
        if head[..32] != digest[..] {
            return Ok(None);
        }
        let number = |from: usize| {
            let bytes = head.get(from..from + 8).and_then(|bytes| bytes.try_into().ok());
            u64::from_le_bytes(bytes.unwrap_or_default())
        };
        let (len, id, offset) = (number(32), number(40), number(48));
        if id == SPOOL {
            return Ok(Some((len, Placed::Spool { offset })));
        }
        let mut place =
            vec![0; u32::from_le_bytes([head[56], head[57], head[58], head[59]]) as usize];
        self.log.read(&mut place, at + 60)?;
        Ok(Some((len, Placed::File { id, place, offset })))
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

/// A sorted part of the index, in a temporary file.
#[derive(Debug)]
struct Run {
    file: File,
    /// The first prefix of each block of entries.
    firsts: Vec<u64>,
    count: usize,
}

impl Run {
    fn write(entries: HashMap<u64, u64>) -> io::Result<Self> {
        let mut entries: Vec<(u64, u64)> = entries.into_iter().collect();
        entries.sort_unstable();
        let (file, mut at) = (tempfile::tempfile()?, 0);
        let mut firsts = Vec::with_capacity(entries.len() / BLOCK + 1);
        for block in entries.chunks(BLOCK) {
            firsts.extend(block.first().map(|(prefix, _)| *prefix));
            let bytes: Vec<u8> = block
                .iter()
                .flat_map(|(prefix, at)| [prefix.to_le_bytes(), at.to_le_bytes()])
                .flatten()
                .collect();
            file.write_all_at(&bytes, at)?;
            at += bytes.len() as u64;
        }
        Ok(Self { file, firsts, count: entries.len() })
    }

    fn find(&self, wanted: u64) -> io::Result<Option<u64>> {
        let behind = self.firsts.partition_point(|&first| first <= wanted);
        let Some(block) = behind.checked_sub(1) else { return Ok(None) };
        let mut bytes = vec![0; BLOCK.min(self.count - block * BLOCK) * 16];
        self.file.read_exact_at(&mut bytes, (block * BLOCK * 16) as u64)?;
        let (entries, _) = bytes.as_chunks::<8>();
        let found = entries.chunks(2).find_map(|entry| match entry {
            [prefix, at] if u64::from_le_bytes(*prefix) == wanted => Some(u64::from_le_bytes(*at)),
            _ => None,
        });
        Ok(found)
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

fn prefix(digest: &Digest) -> u64 {
    digest.first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// In place of an entry id: no pack has so many entries.
const SPOOL: u64 = u64::MAX;
const LOG_TAIL: usize = 256 << 10;
/// Index entries in memory, about 40 bytes each.
const MOST_RECENT: usize = 1 << 20;
/// Index entries that are read at once.
const BLOCK: usize = 256;

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
        for limit in [7, 1000, 100_000] {
            let mut places = Places::with_limit(limit);
            let count = 9000;
            for n in 0..count {
                assert_eq!(places.find(&digest(n)).expect("a file"), None);
                places.insert(&digest(n), n, &placed(n)).expect("a file");
            }
            if limit == 7 {
                assert!(places.older.len() > 100);
            }
            for n in (0..count).step_by(7) {
                let found = places.find(&digest(n)).expect("a file");
                assert_eq!(found, Some((n, placed(n))), "{n} with {limit}");
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
