//! Putting CARs together.

use std::io::{Read, Write};

use super::no_root;
use crate::dag::error::{DagError, Result};
use crate::dag::seen::Seen;
use crate::options::WriterOptions;
use crate::{CarReader, CarWriter, Cid};

/// How CARs are joined.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct JoinOptions {
    /// Whether a block is written each time that it comes, instead of the first time only. Blocks are told apart by their whole CIDs.
    pub duplicates: bool,
    /// The most CIDs that are remembered, of about 50 bytes each, where repetitions are left out. Default: 16,777,216.
    pub seen: usize,
    /// The largest sizes that are written.
    pub writer: WriterOptions,
}

impl Default for JoinOptions {
    fn default() -> Self {
        JoinOptions { duplicates: false, seen: 1 << 24, writer: WriterOptions::default() }
    }
}

impl JoinOptions {
    /// Sets whether a block is written each time that it comes.
    #[must_use]
    pub fn duplicates(mut self, yes: bool) -> Self {
        self.duplicates = yes;
        self
    }

    /// Sets the most CIDs that are remembered.
    #[must_use]
    pub fn seen(mut self, count: usize) -> Self {
        self.seen = count;
        self
    }

    /// Sets the largest sizes that are written.
    #[must_use]
    pub fn writer(mut self, options: WriterOptions) -> Self {
        self.writer = options;
        self
    }
}

/// What a join has written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Joined {
    /// CARs that were read.
    pub cars: u64,
    /// Blocks that were written.
    pub blocks: u64,
    /// Blocks that were left out, since they had been written.
    pub repeated: u64,
    /// Bytes of the CARv1 that was written, header included.
    pub len: u64,
}

/// The roots of the CAR that others are joined to: those of the first as they are, then what is new in the others, but not [`no_root`], which
/// parts of a [split](super::split) have.
pub fn joined_roots<'a>(cars: impl IntoIterator<Item = &'a [Cid]>) -> Vec<Cid> {
    let mut cars = cars.into_iter();
    let mut roots = cars.next().unwrap_or_default().to_vec();
    let mut known: std::collections::HashSet<Cid> = roots.iter().copied().collect();
    known.insert(no_root());
    roots.extend(cars.flatten().filter(|root| known.insert(**root)));
    roots
}

/// Writes the blocks of several CARs, one CAR after the other, as a CARv1 with these roots, and gives the sink back. A header stands in front, so
/// its roots must be known before: [`joined_roots`] finds them.
///
/// Counterpart of `CarJoiner` and `TreewalkCarJoiner` of [carbites](https://github.com/nftstorage/carbites). With
/// [duplicates](JoinOptions::duplicates) and the roots of the first CAR it is `car concat` of go-car.
///
/// ```
/// use carstone_car::{CarReader, CarWriter, codec};
/// use carstone_car::dag::{JoinOptions, join};
/// let mut writer = CarWriter::new(Vec::new(), &[])?;
/// writer.write_data(codec::RAW, b"hello")?;
/// let car = writer.finish()?;
///
/// let twice = [&car[..], &car[..]].map(CarReader::open);
/// let (joined, done) = join(&[], twice, Vec::new(), JoinOptions::default())?;
/// assert_eq!((joined, done.repeated), (car, 1));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn join<R: Read, W: Write>(
    roots: &[Cid],
    cars: impl IntoIterator<Item = crate::Result<CarReader<R>>>,
    sink: W,
    options: JoinOptions,
) -> Result<(W, Joined)> {
    let mut writer = CarWriter::with_options(sink, roots, options.writer)?;
    let mut seen = Seen::new(options.seen);
    let mut done = Joined::default();
    let mut data = Vec::new();
    for car in cars {
        let mut reader = car?;
        done.cars += 1;
        while let Some(section) = reader.read_block(&mut data)? {
            if !options.duplicates && !seen.insert(&section.cid)? {
                done.repeated += 1;
                continue;
            }
            writer.danger_write_unverified(&section.cid, &data)?; // The reader has verified it.
            done.blocks += 1;
        }
    }
    done.len = writer.position();
    Ok((writer.finish().map_err(DagError::io)?, done))
}
