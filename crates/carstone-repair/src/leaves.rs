//! All leaves of a stream in their order, found by position and by digest.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

use carstone_layer::ReadAt;
use carstone_pack::{BlockKey, BlockMap, Ids};

/// SHA-256 of a leaf.
pub(crate) type Digest = [u8; 32];

/// A leaf that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leaf {
    /// Position of its section in the CAR stream.
    pub(crate) at: u64,
    /// Its length in bytes.
    pub(crate) len: u64,
    pub(crate) digest: Digest,
    /// No leaf between the one before and this can be missing.
    pub(crate) follows: bool,
    /// It stands where it stood when it was written.
    pub(crate) is_placed: bool,
}

/// The leaves so far. What is above a budget lies in unnamed temporary files.
pub(crate) struct Leaves {
    recent: Vec<Leaf>,
    file: Option<File>,
    stored: u64,
    /// Numbers of leaves.
    by_digest: BlockMap,
    /// Leaves of a damaged pack that were content of nothing when they came, and those of them that have been found to be since.
    nameless: Ids,
    named: Ids,
    pub(crate) nameless_count: u64,
    pub(crate) nameless_bytes: u64,
}

impl Leaves {
    pub(crate) fn new() -> Self {
        Self {
            recent: Vec::new(),
            file: None,
            stored: 0,
            by_digest: BlockMap::new(MAP_BUDGET),
            nameless: Ids::default(),
            named: Ids::default(),
            nameless_count: 0,
            nameless_bytes: 0,
        }
    }

    /// Notes a leaf; positions ascend.
    pub(crate) fn push(&mut self, leaf: Leaf, is_nameless: bool) -> io::Result<()> {
        if self.recent.len() >= MOST_RECENT {
            self.spill()?;
        }
        let number = self.len();
        self.recent.push(leaf);
        if self.by_digest.insert(BlockKey::leaf(leaf.digest), number)?.is_none() && is_nameless {
            self.nameless.insert(number);
            self.nameless_count += 1;
            self.nameless_bytes = self.nameless_bytes.saturating_add(leaf.len);
        }
        Ok(())
    }

    /// The number and the length of a leaf that has come.
    pub(crate) fn find(&self, digest: &Digest) -> io::Result<Option<(u64, u64)>> {
        let Some(number) = self.by_digest.get(&BlockKey::leaf(*digest))? else { return Ok(None) };
        Ok(self.get(number)?.map(|leaf| (number, leaf.len)))
    }

    /// Notes that leaf `number` is content of something.
    pub(crate) fn name(&mut self, number: u64, len: u64) {
        if self.nameless.contains(number) && self.named.insert(number) {
            self.nameless_count = self.nameless_count.saturating_sub(1);
            self.nameless_bytes = self.nameless_bytes.saturating_sub(len);
        }
    }

    /// The number of the leaf whose section stands at `at`, if its place is known.
    pub(crate) fn at(&self, at: u64) -> io::Result<Option<u64>> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.get(middle)? {
                Some(leaf) if leaf.at < at => low = middle + 1,
                _ => high = middle,
            }
        }
        Ok(self.get(low)?.filter(|leaf| leaf.at == at && leaf.is_placed).map(|_| low))
    }

    pub(crate) fn get(&self, number: u64) -> io::Result<Option<Leaf>> {
        if let Some(recent) = number.checked_sub(self.stored) {
            return Ok(usize::try_from(recent).ok().and_then(|n| self.recent.get(n)).copied());
        }
        let Some(file) = &self.file else { return Ok(None) };
        let mut bytes = [0; LEAF];
        file.read_exact_at(&mut bytes, number.saturating_mul(LEAF as u64))?;
        Ok(Some(decode(&bytes)))
    }

    fn len(&self) -> u64 {
        self.stored + self.recent.len() as u64
    }

    fn spill(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile()?),
        };
        let bytes: Vec<u8> = self.recent.iter().flat_map(encode).collect();
        file.seek(SeekFrom::Start(self.stored.saturating_mul(LEAF as u64)))?;
        file.write_all(&bytes)?;
        self.stored += self.recent.len() as u64;
        self.recent.clear();
        Ok(())
    }
}

fn encode(leaf: &Leaf) -> [u8; LEAF] {
    let mut bytes = [0; LEAF];
    bytes[..8].copy_from_slice(&leaf.at.to_le_bytes());
    bytes[8..16].copy_from_slice(&leaf.len.to_le_bytes());
    bytes[16] = u8::from(leaf.follows) | u8::from(leaf.is_placed) << 1;
    bytes[17..].copy_from_slice(&leaf.digest);
    bytes
}

fn decode(bytes: &[u8; LEAF]) -> Leaf {
    let number = |from: usize| {
        let bytes = bytes.get(from..from + 8).and_then(|bytes| bytes.try_into().ok());
        u64::from_le_bytes(bytes.unwrap_or_default())
    };
    let mut digest = [0; 32];
    digest.copy_from_slice(&bytes[17..]);
    let (follows, is_placed) = (bytes[16] & 1 != 0, bytes[16] & 2 != 0);
    Leaf { at: number(0), len: number(8), digest, follows, is_placed }
}

/// Bytes of a leaf in the file.
const LEAF: usize = 49;
/// Leaves in memory.
const MOST_RECENT: usize = 64 << 10;
const MAP_BUDGET: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_are_found_in_memory_and_in_the_file() {
        let mut leaves = Leaves::new();
        let count = 2 * MOST_RECENT as u64 + 7;
        let leaf = |n: u64| {
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
            let (follows, is_placed) = (n.is_multiple_of(2), !n.is_multiple_of(7));
            Leaf { at: n * 3, len: n % 100, digest, follows, is_placed }
        };
        for n in 0..count {
            leaves.push(leaf(n), n % 5 == 0).expect("a temporary file");
        }
        for n in (0..count).step_by(997).chain([0, count - 1]) {
            assert_eq!(leaves.get(n).expect("a file"), Some(leaf(n)));
            let placed = (!n.is_multiple_of(7)).then_some(n);
            assert_eq!(leaves.at(n * 3).expect("a file"), placed);
            assert_eq!(leaves.at(n * 3 + 1).expect("a file"), None);
            assert_eq!(leaves.find(&leaf(n).digest).expect("a file"), Some((n, n % 100)));
        }
        assert_eq!(leaves.at(count * 3).expect("a file"), None);
        assert_eq!(leaves.find(&[9; 32]).expect("a file"), None);
        let nameless = leaves.nameless_count;
        leaves.name(5, 5);
        leaves.name(5, 5);
        leaves.name(6, 6);
        assert_eq!(leaves.nameless_count, nameless - 1);
    }
}
