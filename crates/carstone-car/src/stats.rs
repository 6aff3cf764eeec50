//! What a CAR consists of, in numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek};

use crate::error::{Error, ErrorKind, Part, Result};
use crate::section::Section;
use crate::{CarReader, Cid, cid_bytes};

/// Counts and sizes of the blocks of a CAR. The counterpart of `Stats` in go-car, which `Inspect` gives.
///
/// ```
/// use std::io::Cursor;
/// use carstone_car::{CarReader, CarStats, CarWriter, ReaderOptions, codec};
/// let mut writer = CarWriter::new(Vec::new(), &[])?;
/// writer.write_data(codec::RAW, b"hello")?;
/// let bytes = writer.finish()?;
///
/// let mut reader = CarReader::open_seekable(Cursor::new(bytes), ReaderOptions::default())?;
/// let stats = CarStats::of(&mut reader)?;
/// assert_eq!((stats.blocks.count(), stats.blocks.average(), stats.codecs[&codec::RAW]), (1, 5, 1));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CarStats {
    /// Lengths of the data of blocks.
    pub blocks: Lengths,
    /// Lengths of their CIDs.
    pub cids: Lengths,
    /// How many blocks each codec has. More than 65,536 codecs, or hash functions, are an error.
    pub codecs: BTreeMap<u64, u64>,
    /// How many blocks each hash function has, by its multihash code.
    pub hash_functions: BTreeMap<u64, u64>,
    /// Roots that are not among the blocks, compared as whole CIDs, in the order of the header.
    pub missing_roots: Vec<Cid>,
    /// Bytes of the payload up to the end of the last section.
    pub payload_len: u64,
    /// Blocks that match their CID. Zero where nothing has been verified, as are the next two.
    pub verified: u64,
    /// Blocks that do not.
    pub mismatched: u64,
    /// Blocks whose CID cannot be checked here.
    pub unverifiable: u64,
    /// Offset in the payload of the first section whose data does not match.
    pub first_mismatch: Option<u64>,
}

/// How many lengths there are, and how they spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lengths {
    count: u64,
    sum: u64,
    min: u64,
    max: u64,
}

impl CarStats {
    /// Goes over the blocks from where the reader stands, without their data. Nothing is verified.
    /// The counterpart of `Inspect(false)` in go-car.
    ///
    /// # Errors
    /// What ends the CAR before its end.
    pub fn of<R: Read + Seek>(reader: &mut CarReader<R>) -> Result<Self> {
        let mut roots = Roots::new(reader.roots());
        let mut stats = CarStats::default();
        while let Some(section) = reader.skip_section()? {
            stats.add(&section, &mut roots, reader.payload_start())?;
        }
        Ok(stats.ended(reader, roots))
    }

    /// Goes over the blocks from where the reader stands, and verifies all of them. Those that are at fault are counted.
    /// The counterpart of `Inspect(true)` in go-car.
    ///
    /// # Errors
    /// What ends the CAR before its end.
    pub fn verified_of<R: Read>(reader: &mut CarReader<R>) -> Result<Self> {
        let mut roots = Roots::new(reader.roots());
        let (mut stats, mut data) = (CarStats::default(), Vec::new());
        while let Some((section, checked)) = reader.read_and_check(&mut data)? {
            stats.add(&section, &mut roots, reader.payload_start())?;
            stats.add_check(&section, checked);
        }
        Ok(stats.ended(reader, roots))
    }

    fn add(&mut self, section: &Section, roots: &mut Roots, base: u64) -> Result<()> {
        let cid = &section.cid;
        self.blocks.add(section.data_len as u64);
        self.cids.add(cid_bytes::encoded_len(cid) as u64);
        count(&mut self.codecs, cid.codec())
            .and_then(|()| count(&mut self.hash_functions, cid.hash().code()))
            .map_err(|kind| Error::at(kind, section.offset).with_base(base))?;
        roots.0.remove(cid);
        Ok(())
    }

    fn add_check(&mut self, section: &Section, checked: Result<()>) {
        match checked.as_ref().map_err(Error::kind) {
            Ok(()) => self.verified += 1,
            Err(ErrorKind::Unverifiable { .. }) => self.unverifiable += 1,
            Err(_) => {
                self.mismatched += 1;
                self.first_mismatch.get_or_insert(section.offset);
            }
        }
    }

    fn ended<R: Read>(mut self, reader: &CarReader<R>, missing: Roots) -> Self {
        let missing = |root: &&Cid| missing.0.contains(*root);
        self.missing_roots = reader.roots().iter().filter(missing).copied().collect();
        self.payload_len = reader.position();
        self
    }
}

impl Lengths {
    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// All of them together.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// The smallest, 0 if there are none.
    pub fn min(&self) -> u64 {
        self.min
    }

    /// The largest, 0 if there are none.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The average, rounded down, 0 if there are none.
    pub fn average(&self) -> u64 {
        self.sum.checked_div(self.count).unwrap_or(0)
    }

    fn add(&mut self, len: u64) {
        self.min = if self.count == 0 { len } else { self.min.min(len) };
        self.max = self.max.max(len);
        self.sum = self.sum.saturating_add(len);
        self.count += 1;
    }
}

/// Counts a code. Somebody could make a CAR of codes alone, so there is a limit to what is kept.
fn count(codes: &mut BTreeMap<u64, u64>, code: u64) -> Result<(), ErrorKind> {
    if codes.len() == MAX_CODES && !codes.contains_key(&code) {
        let (size, limit) = (MAX_CODES as u64 + 1, MAX_CODES as u64);
        return Err(ErrorKind::TooLarge { part: Part::Codes, size, limit });
    }
    *codes.entry(code).or_default() += 1;
    Ok(())
}

/// Codecs, or hash functions, that are counted.
const MAX_CODES: usize = 1 << 16;

/// Roots that have not been found.
struct Roots(BTreeSet<Cid>);

impl Roots {
    fn new(roots: &[Cid]) -> Self {
        Roots(roots.iter().copied().collect())
    }
}
