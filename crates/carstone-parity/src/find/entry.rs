//! The table of cells (`docs/format.md`, section 14.2).

use carstone_layer::crc64;

use crate::frame::digest8;
use crate::layout::ENTRY_LEN;

/// What the table says of a cell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    /// CRC-64/NVME of the cell, filled up with zeros.
    pub(crate) crc: u64,
    /// The first 8 bytes of its BLAKE3.
    pub(crate) digest: [u8; 8],
}

impl Entry {
    /// The entry of a cell's `S` bytes.
    pub(crate) fn of(cell: &[u8]) -> Self {
        Self { crc: crc64(&[cell]), digest: digest8(&[cell]) }
    }

    /// Its bytes in the table.
    pub(crate) fn encode(&self) -> [u8; ENTRY_LEN] {
        let mut bytes = [0; ENTRY_LEN];
        bytes[..8].copy_from_slice(&self.crc.to_le_bytes());
        bytes[8..].copy_from_slice(&self.digest);
        bytes
    }

    /// The entry that bytes of the table are.
    pub(crate) fn decode(bytes: &[u8; ENTRY_LEN]) -> Self {
        let [a, b, c, d, e, f, g, h, digest @ ..] = *bytes;
        Self { crc: u64::from_le_bytes([a, b, c, d, e, f, g, h]), digest }
    }
}

/// The entries of all cells, as far as they are known. 16 bytes and a bit for each.
#[derive(Clone, Debug)]
pub(crate) struct Entries {
    list: Vec<Entry>,
    known: Vec<u64>,
}

impl Entries {
    /// `cells` entries, all of them lost; at most 2²³ (section 14.1).
    pub(crate) fn lost(cells: u64) -> Self {
        let cells = usize::try_from(cells.min(MAX_CELLS)).unwrap_or(0);
        Self {
            list: vec![Entry { crc: 0, digest: [0; 8] }; cells],
            known: vec![0; cells.div_ceil(64)],
        }
    }

    /// Entries that are all known.
    #[cfg(test)]
    pub(crate) fn known(list: Vec<Entry>) -> Self {
        let known = vec![u64::MAX; list.len().div_ceil(64)];
        Self { list, known }
    }

    /// Says what the entry of a cell is; nothing where there is no such cell.
    pub(crate) fn set(&mut self, cell: u64, entry: Entry) {
        let Ok(at) = usize::try_from(cell) else { return };
        if let (Some(slot), Some(word)) = (self.list.get_mut(at), self.known.get_mut(at / 64)) {
            *slot = entry;
            *word |= 1 << (at % 64);
        }
    }

    /// How many are known.
    pub(crate) fn count(&self) -> u64 {
        self.known.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// The entry of a cell; `None` where it is lost.
    pub(crate) fn get(&self, cell: u64) -> Option<Entry> {
        let at = usize::try_from(cell).ok()?;
        let known = self.known.get(at / 64)? >> (at % 64) & 1 == 1;
        self.list.get(at).copied().filter(|_| known)
    }
}

const MAX_CELLS: u64 = 1 << 23;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_what_the_format_says_and_come_back() {
        let entry = Entry::of(b"123456789");
        let bytes = entry.encode();
        assert_eq!(bytes[..8], 0xAE8B_1486_0A79_9888_u64.to_le_bytes());
        assert_eq!(bytes[8..], blake3::hash(b"123456789").as_bytes()[..8]);
        assert_eq!(Entry::decode(&bytes), entry);
    }

    #[test]
    fn entries_are_known_once_they_are_set() {
        let entry = Entry::of(b"cell");
        let mut entries = Entries::lost(70);
        for cell in [0, 63, 64, 69, 70, u64::MAX] {
            assert_eq!(entries.get(cell), None);
            entries.set(cell, entry);
            assert_eq!(entries.get(cell), (cell < 70).then_some(entry));
        }
        assert_eq!((0..70).filter(|cell| entries.get(*cell).is_some()).count(), 4);
    }
}
