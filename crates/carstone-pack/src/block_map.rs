//! A map from blocks to numbers that holds little of itself in memory, however many there are.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};

use carstone_layer::ReadAt;

/// What a block is known by: its digest, and whether it is a raw leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockKey {
    pub(crate) digest: [u8; 32],
    pub(crate) raw: bool,
}

impl BlockKey {
    /// The key of a raw leaf under SHA-256.
    pub fn leaf(digest: [u8; 32]) -> Self {
        Self { digest, raw: true }
    }

    /// A key for something else that has a number.
    pub(crate) fn number(number: u64) -> Self {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&number.to_le_bytes());
        Self { digest, raw: false }
    }
}

impl Hash for BlockKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Nobody can make many digests that agree in half of their bytes.
        let half = self.digest.first_chunk::<16>().map_or(0, |half| u128::from_le_bytes(*half));
        state.write_u128(half);
    }
}

/// Blocks, each with a number below 2⁶³. What is above a budget lies in an unnamed temporary file.
///
/// New blocks are gathered in memory. When they are too many, they are put into the file, a hash table of pages, in one pass from
/// its begin to its end. A filter in memory tells of most blocks that they are not in the file. All hashes are keyed at random: who
/// chooses the blocks does not choose where they go.
#[derive(Debug)]
pub struct BlockMap {
    recent: HashMap<BlockKey, [u8; 8], RandomState>,
    most_recent: usize,
    filter_words: usize,
    table: Option<Table>,
    hashes: RandomState,
    count: u64,
}

impl BlockMap {
    /// Takes at most about `budget` bytes of memory.
    pub fn new(budget: usize) -> Self {
        let hashes = RandomState::new();
        let mut buckets = LEAST_BUCKETS;
        while buckets * 2 * BUCKET <= budget / 4 * 3 {
            buckets *= 2;
        }
        Self {
            recent: HashMap::with_hasher(hashes.clone()),
            most_recent: buckets / 8 * 7, // As many as the map takes before it grows.
            filter_words: (budget / 4 / 8).max(1),
            table: None,
            hashes,
            count: 0,
        }
    }

    /// How many blocks are in it.
    pub(crate) fn len(&self) -> u64 {
        self.count
    }

    /// The number of a block that is in it.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn get(&self, key: &BlockKey) -> io::Result<Option<u64>> {
        match (self.recent.get(key), &self.table) {
            (Some(number), _) => Ok(Some(u64::from_le_bytes(*number))),
            (None, Some(table)) => table.find(self.hashes.hash_one(key), key),
            (None, None) => Ok(None),
        }
    }

    /// Puts a block in, unless it is there already: then its number is given, and stays.
    ///
    /// # Errors
    /// The temporary file cannot be written; the number is 2⁶³ or more.
    pub fn insert(&mut self, key: BlockKey, number: u64) -> io::Result<Option<u64>> {
        if number > MOST {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        match (self.recent.entry(key), &self.table) {
            (Entry::Occupied(there), _) => Ok(Some(u64::from_le_bytes(*there.get()))),
            (Entry::Vacant(place), table) => {
                if let Some(table) = table
                    && let Some(there) = table.find(self.hashes.hash_one(key), &key)?
                {
                    return Ok(Some(there));
                }
                place.insert(number.to_le_bytes());
                self.count += 1;
                if self.recent.len() >= self.most_recent {
                    self.flush()?;
                }
                Ok(None)
            }
        }
    }

    /// Moves what is in memory to the file.
    fn flush(&mut self) -> io::Result<()> {
        let (hashes, recent) = (&self.hashes, self.recent.drain());
        let mut records: Vec<Hashed> =
            recent.map(|(key, number)| (hashes.hash_one(key), record(&key, number))).collect();
        records.sort_unstable_by_key(|(hash, _)| *hash);
        let table = match &mut self.table {
            Some(table) => table,
            none => none.insert(Table::new(self.filter_words)?),
        };
        table.add(&records, hashes)
    }
}

/// The hash of a key, and its record.
type Hashed = (u64, Record);

/// `digest ‖ u64 number, times two, plus one if raw`.
type Record = [u8; 40];

fn record(key: &BlockKey, number: [u8; 8]) -> Record {
    let mut record = [0; 40];
    let tagged = u64::from_le_bytes(number) << 1 | u64::from(key.raw);
    record[..32].copy_from_slice(&key.digest);
    record[32..].copy_from_slice(&tagged.to_le_bytes());
    record
}

fn split(record: &Record) -> (BlockKey, u64) {
    let (digest, tagged) = record.split_first_chunk().unwrap_or((&[0; 32], &[]));
    let tagged = tagged.try_into().map_or(0, u64::from_le_bytes);
    (BlockKey { digest: *digest, raw: tagged & 1 != 0 }, tagged >> 1)
}

/// The part in the file: pages in the order of hashes, each with the records whose hashes fall into its range.
#[derive(Debug)]
struct Table {
    file: File,
    pages: u64,
    count: u64,
    filter: Filter,
}

impl Table {
    fn new(filter_words: usize) -> io::Result<Self> {
        Ok(Self {
            file: tempfile::tempfile()?,
            pages: 0,
            count: 0,
            filter: Filter(vec![0; filter_words]),
        })
    }

    fn find(&self, hash: u64, key: &BlockKey) -> io::Result<Option<u64>> {
        if !self.filter.may_hold(hash) {
            return Ok(None);
        }
        let mut page = [0; PAGE];
        self.file.read_exact_at(&mut page, page_of(hash, self.pages) * PAGE as u64)?;
        let records = records(&page).iter().filter(|record| record[..32] == key.digest);
        Ok(records.map(split).find_map(|(found, number)| (found == *key).then_some(number)))
    }

    /// Adds records that are sorted by their hashes, and not there yet.
    fn add(&mut self, new: &[Hashed], hashes: &RandomState) -> io::Result<()> {
        new.iter().for_each(|(hash, _)| self.filter.note(*hash));
        self.count += new.len() as u64;
        if self.count > self.pages.saturating_mul(FULL) {
            return self.rebuild(self.count / LOOSE + 1, new, hashes);
        }
        let (mut rest, mut window) = (new, Vec::new());
        while let Some((hash, _)) = rest.first() {
            let first = page_of(*hash, self.pages);
            let behind = (first + WINDOW).min(self.pages);
            let here = rest.partition_point(|(hash, _)| page_of(*hash, self.pages) < behind);
            window.resize((behind - first) as usize * PAGE, 0);
            self.file.read_exact_at(&mut window, first * PAGE as u64)?;
            for (hash, record) in &rest[..here] {
                let at = (page_of(*hash, self.pages) - first) as usize * PAGE;
                if !append(&mut window[at..at + PAGE], record) {
                    // What was put into the window stays in `rest`: the window is not written.
                    return self.rebuild(self.pages + self.pages / 2 + 1, rest, hashes);
                }
            }
            self.file.seek(SeekFrom::Start(first * PAGE as u64))?;
            self.file.write_all(&window)?;
            rest = &rest[here..];
        }
        Ok(())
    }

    /// Writes all into a new file with more pages, together with `new`.
    fn rebuild(&mut self, mut pages: u64, new: &[Hashed], hashes: &RandomState) -> io::Result<()> {
        loop {
            // With hashes that nobody can foresee, pages never fill up that early.
            if pages > self.count / 4 + MANY_PAGES {
                return Err(io::Error::other("blocks crowd in one page of their table"));
            }
            let mut build = Build::new(pages)?;
            if self.pour(&mut build, new, hashes)?
                && let Some(file) = build.finish()?
            {
                (self.file, self.pages) = (file, pages);
                return Ok(());
            }
            pages += pages / 2 + 1;
        }
    }

    /// Puts all records into `build`, in order; `false` when a page is full.
    fn pour(&self, build: &mut Build, new: &[Hashed], hashes: &RandomState) -> io::Result<bool> {
        let (mut new, mut window, mut here) = (new.iter().peekable(), Vec::new(), Vec::new());
        let mut first = 0;
        while first < self.pages {
            let behind = (first + WINDOW).min(self.pages);
            window.resize((behind - first) as usize * PAGE, 0);
            self.file.read_exact_at(&mut window, first * PAGE as u64)?;
            for page in window.chunks_exact(PAGE) {
                here.clear();
                here.extend(records(page).iter().map(|record| {
                    let (key, _) = split(record);
                    (hashes.hash_one(key), *record)
                }));
                here.sort_unstable_by_key(|(hash, _)| *hash);
                for (hash, record) in &here {
                    while let Some((hash, record)) = new.next_if(|(new, _)| new < hash) {
                        if !build.push(*hash, record)? {
                            return Ok(false);
                        }
                    }
                    if !build.push(*hash, record)? {
                        return Ok(false);
                    }
                }
            }
            first = behind;
        }
        for (hash, record) in new {
            if !build.push(*hash, record)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// A file of pages under construction.
struct Build {
    out: BufWriter<File>,
    pages: u64,
    /// Number of the page that is being filled.
    at: u64,
    page: [u8; PAGE],
}

impl Build {
    fn new(pages: u64) -> io::Result<Self> {
        let out = BufWriter::with_capacity(WINDOW as usize * PAGE, tempfile::tempfile()?);
        Ok(Self { out, pages, at: 0, page: [0; PAGE] })
    }

    /// Takes records in the order of their hashes; `false` when a page is full.
    fn push(&mut self, hash: u64, record: &Record) -> io::Result<bool> {
        self.go_to(page_of(hash, self.pages))?;
        Ok(append(&mut self.page, record))
    }

    fn go_to(&mut self, page: u64) -> io::Result<()> {
        while self.at < page {
            self.out.write_all(&self.page)?;
            self.page.fill(0);
            self.at += 1;
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<Option<File>> {
        self.go_to(self.pages)?;
        self.out.into_inner().map(Some).map_err(io::IntoInnerError::into_error)
    }
}

/// Which of `pages` a hash falls into: in order, whatever their number.
fn page_of(hash: u64, pages: u64) -> u64 {
    ((u128::from(hash) * u128::from(pages)) >> 64) as u64
}

/// The records in a page, whose last two bytes say how many there are.
fn records(page: &[u8]) -> &[Record] {
    let (records, rest) = page.as_chunks();
    let count = rest.last_chunk().map_or(0, |count| usize::from(u16::from_le_bytes(*count)));
    records.get(..count).unwrap_or_default()
}

/// Puts a record into a page; `false` if it is full.
fn append(page: &mut [u8], record: &Record) -> bool {
    let count = records(page).len();
    let (records, rest) = page.as_chunks_mut();
    let Some((place, total)) = records.get_mut(count).zip(rest.last_chunk_mut()) else {
        return false;
    };
    *place = *record;
    *total = (count as u16 + 1).to_le_bytes(); // At most 102.
    true
}

/// Tells of hashes that they were never noted: a word for each range of hashes, and four bits of it for each hash.
#[derive(Debug)]
struct Filter(Vec<u64>);

impl Filter {
    fn note(&mut self, hash: u64) {
        let at = page_of(hash, self.0.len() as u64) as usize;
        self.0[at] |= Self::bits(hash);
    }

    fn may_hold(&self, hash: u64) -> bool {
        let word = self.0[page_of(hash, self.0.len() as u64) as usize];
        word & Self::bits(hash) == Self::bits(hash)
    }

    /// The place in the order comes from the upper bits of a hash, these from the lower.
    fn bits(hash: u64) -> u64 {
        (0..4).fold(0, |bits, n| bits | 1 << (hash >> (6 * n) & 63))
    }
}

/// The largest number.
const MOST: u64 = u64::MAX >> 1;
const PAGE: usize = 4096;
/// Pages that are read and written together.
const WINDOW: u64 = 64;
/// Records for each page, on average, above which the table gets more pages; few pages then hold the most they can, 102.
const FULL: u64 = 62;
/// Records for each page, on average, in a new table.
const LOOSE: u64 = 42;
/// Above so many pages, and with less than four records for each, something is wrong.
const MANY_PAGES: u64 = 64;
const LEAST_BUCKETS: usize = 8;
/// Bytes for each bucket of the map in memory: its own, and those of seven eighths of a record while they are written out.
const BUCKET: usize = size_of::<(BlockKey, [u8; 8])>() + 1 + size_of::<Hashed>() / 8 * 7;

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys of which some differ in `raw` only, and all begin alike in their first bytes.
    fn key(n: u64) -> BlockKey {
        let mut digest = [7; 32];
        digest[8..16].copy_from_slice(&(n / 2).to_le_bytes());
        BlockKey { digest, raw: n.is_multiple_of(2) }
    }

    #[track_caller]
    fn check(budget: usize, count: u64, spills: bool) {
        let mut map = BlockMap::new(budget);
        for n in 0..count {
            assert_eq!(map.get(&key(n)).expect("a file"), None);
            assert_eq!(map.insert(key(n), n * 3).expect("a file"), None);
            if n % 3 == 0 {
                assert_eq!(map.insert(key(n / 2), 0).expect("a file"), Some(n / 2 * 3));
            }
        }
        assert_eq!(map.table.is_some(), spills);
        assert_eq!(map.len(), count);
        for n in 0..count {
            assert_eq!(map.get(&key(n)).expect("a file"), Some(n * 3), "{n} of {count}");
        }
        for n in count..count + 1000 {
            assert_eq!(map.get(&key(n)).expect("a file"), None);
        }
    }

    #[test]
    fn every_block_is_found_in_memory_and_in_the_file() {
        check(1 << 20, 1000, false);
        check(0, 1000, true);
        check(20_000, 20_000, true);
        check(200_000, 60_000, true);
    }

    #[test]
    fn a_block_that_comes_again_and_again_takes_one_place() {
        let mut map = BlockMap::new(0);
        for n in 0..2000 {
            map.insert(key(n), n).expect("a file");
            assert_eq!(map.insert(key(0), 5).expect("a file"), Some(0));
        }
        assert_eq!(map.len(), 2000);
    }

    #[test]
    fn a_page_that_overflows_gives_the_table_more_pages() {
        let hashes = RandomState::new();
        let mut table = Table::new(1).expect("a file");
        let few = |from: u64, to: u64, hash: u64| -> Vec<Hashed> {
            (from..to).map(|n| (hash, record(&key(n), n.to_le_bytes()))).collect()
        };
        // These are spread over all pages when they are hashed again.
        table.add(&few(0, 42, 0), &hashes).expect("a file");
        let pages = table.pages;
        table.add(&few(42, 120, 0), &hashes).expect("a file");
        assert!(table.pages > pages);
        // Records that share one hash find no place in any number of pages.
        let crowd = table.add(&few(200, 500, 1), &hashes);
        assert!(crowd.expect_err("all fall into one page").to_string().contains("crowd"));
    }

    #[test]
    fn numbers_that_do_not_fit_are_refused() {
        let mut map = BlockMap::new(0);
        assert!(map.insert(BlockKey::number(1), MOST + 1).is_err());
        assert_eq!(map.insert(BlockKey::number(1), MOST).expect("memory"), None);
        assert_eq!(map.get(&BlockKey::number(1)).expect("memory"), Some(MOST));
        assert_eq!(map.get(&BlockKey::leaf(BlockKey::number(1).digest)).expect("memory"), None);
    }
}
