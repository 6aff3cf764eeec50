//! Keeping some blocks of a CAR.

use std::collections::HashSet;
use std::io::{Read, Write};

use multihash::Multihash;

use super::error::{DagError, Result};
use crate::options::WriterOptions;
use crate::{CarReader, CarWriter, Cid};

/// Which blocks stay. Counterpart of what go-car takes after `filter --cid-file` and `--inverse`.
///
/// ```
/// use carstone_car::{cid_of, codec};
/// use carstone_car::dag::CidFilter;
/// let (one, two) = (cid_of(codec::RAW, b"one"), cid_of(codec::RAW, b"two"));
/// assert!(CidFilter::keep([one]).passes(&one));
/// assert!(CidFilter::remove([one]).passes(&two));
/// ```
#[derive(Clone, Debug)]
pub struct CidFilter {
    cids: HashSet<Cid>,
    hashes: HashSet<Multihash<64>>,
    keep: bool,
}

impl CidFilter {
    /// Keeps the blocks of these CIDs.
    pub fn keep(cids: impl IntoIterator<Item = Cid>) -> Self {
        CidFilter { cids: cids.into_iter().collect(), hashes: HashSet::new(), keep: true }
    }

    /// Keeps all other blocks. go-car: `--inverse`.
    pub fn remove(cids: impl IntoIterator<Item = Cid>) -> Self {
        CidFilter { keep: false, ..CidFilter::keep(cids) }
    }

    /// Adds the blocks of these multihashes, whatever the version and codec of their CIDs.
    #[must_use]
    pub fn and_multihashes(mut self, hashes: impl IntoIterator<Item = Multihash<64>>) -> Self {
        self.hashes.extend(hashes);
        self
    }

    /// Whether a block stays.
    pub fn passes(&self, cid: &Cid) -> bool {
        let listed = self.cids.contains(cid) || self.hashes.contains(cid.hash());
        listed == self.keep
    }

    /// The roots that stay.
    pub fn roots(&self, roots: &[Cid]) -> Vec<Cid> {
        roots.iter().copied().filter(|root| self.passes(root)).collect()
    }
}

/// What a filter has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Filtered {
    /// Blocks that stayed.
    pub kept: u64,
    /// Blocks that did not.
    pub removed: u64,
    /// Roots that stayed. go-car warns where there is none.
    pub roots: u64,
}

/// Writes the blocks that pass as a CARv1 with the roots that pass, in their order, and gives the sink back. Counterpart of `car filter` of
/// go-car.
///
/// ```
/// use carstone_car::{CarReader, CarWriter, codec};
/// use carstone_car::dag::{CidFilter, filter};
/// let mut writer = CarWriter::new(Vec::new(), &[])?;
/// let one = writer.write_data(codec::RAW, b"one")?.cid;
/// writer.write_data(codec::RAW, b"two")?;
/// let car = writer.finish()?;
///
/// let mut reader = CarReader::open(&car[..])?;
/// let (_, done) = filter(&mut reader, &CidFilter::keep([one]), Vec::new(), Default::default())?;
/// assert_eq!((done.kept, done.removed), (1, 1));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn filter<R: Read, W: Write>(
    reader: &mut CarReader<R>,
    filter: &CidFilter,
    sink: W,
    options: WriterOptions,
) -> Result<(W, Filtered)> {
    let roots = filter.roots(reader.roots());
    let mut writer = CarWriter::with_options(sink, &roots, options)?;
    let mut done = filter_to(reader, filter, |cid, data| {
        writer.danger_write_unverified(cid, data)?; // The reader has verified it.
        Ok(())
    })?;
    done.roots = roots.len() as u64;
    Ok((writer.finish().map_err(DagError::io)?, done))
}

/// Hands the blocks that pass to `put`: for writers that append to a CAR, or write a CARv2. Roots are not looked at.
pub fn filter_to<R: Read>(
    reader: &mut CarReader<R>,
    filter: &CidFilter,
    mut put: impl FnMut(&Cid, &[u8]) -> crate::Result<()>,
) -> Result<Filtered> {
    let mut done = Filtered::default();
    let mut data = Vec::new();
    while let Some(section) = reader.read_block(&mut data)? {
        if !filter.passes(&section.cid) {
            done.removed += 1;
            continue;
        }
        put(&section.cid, &data).map_err(|error| DagError::from(error).within(&section.cid))?;
        done.kept += 1;
    }
    Ok(done)
}
