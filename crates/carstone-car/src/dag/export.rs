//! Writing a DAG, or a part of it, as a CAR.

use std::io::Write;

use super::blocks::Blocks;
use super::error::{DagError, DagErrorKind, Result};
use super::options::WalkOptions;
use super::walk::Walk;
use crate::options::WriterOptions;
use crate::{CarWriter, Cid, Header, section_len};

/// How a DAG is written.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ExportOptions {
    /// How the DAG is gone through, and which part of it. Its `leave_leaves` counts only where nothing is written.
    pub walk: WalkOptions,
    /// Whether a missing block is skipped and counted, instead of being an error. go-car skips unless it is told `--strict`.
    pub skip_missing: bool,
    /// Whether blocks are written that identity CIDs carry. go-car: `StoreIdentityCIDs`.
    pub write_inline: bool,
    /// The largest sizes that are written.
    pub writer: WriterOptions,
}

impl ExportOptions {
    /// Sets how the DAG is gone through.
    #[must_use]
    pub fn walk(mut self, options: WalkOptions) -> Self {
        self.walk = options;
        self
    }

    /// Sets whether missing blocks are skipped.
    #[must_use]
    pub fn skip_missing(mut self, yes: bool) -> Self {
        self.skip_missing = yes;
        self
    }

    /// Sets whether blocks are written that identity CIDs carry.
    #[must_use]
    pub fn write_inline(mut self, yes: bool) -> Self {
        self.write_inline = yes;
        self
    }

    /// Sets the largest sizes that are written.
    #[must_use]
    pub fn writer(mut self, options: WriterOptions) -> Self {
        self.writer = options;
        self
    }
}

/// What has been written of a DAG.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exported {
    /// Blocks, repeated ones each time.
    pub blocks: u64,
    /// Bytes of a CARv1 with these blocks, header included: the payload of a CARv2.
    pub len: u64,
    /// Blocks that were skipped, since they are missing.
    pub missing: u64,
}

/// Writes a DAG as a CARv1 with these roots, and gives the sink back. The same DAG gives the same bytes: blocks stand in the order of the
/// [`Walk`].
///
/// Counterpart of `TraverseV1` and `NewSelectiveWriter` of go-car and of its `get-dag`.
///
/// ```
/// use std::collections::HashMap;
/// use carstone_car::{CarReader, cid_of, codec};
/// use carstone_car::dag::{ExportOptions, export};
/// let root = cid_of(codec::RAW, b"hello");
/// let blocks = HashMap::from([(root, b"hello".to_vec()), (cid_of(codec::RAW, b"other"), b"other".to_vec())]);
///
/// let (car, done) = export(&blocks, &[root], Vec::new(), &ExportOptions::default())?;
/// assert_eq!((done.blocks, done.len), (1, car.len() as u64));
/// # Ok::<(), carstone_car::dag::DagError>(())
/// ```
pub fn export<B: Blocks + ?Sized, W: Write>(
    blocks: &B,
    roots: &[Cid],
    sink: W,
    options: &ExportOptions,
) -> Result<(W, Exported)> {
    let mut writer = CarWriter::with_options(sink, roots, options.writer)?;
    let done = export_to(blocks, roots, options, |cid, data| {
        writer.danger_write_unverified(cid, data)?; // The source has verified it.
        Ok(())
    })?;
    Ok((writer.finish().map_err(DagError::io)?, done))
}

/// Hands the blocks of a DAG to `put`, in the order of the [`Walk`]: for other writers than [`export`] has, such as
/// [`CarFileWriter`](crate::CarFileWriter).
pub fn export_to<B: Blocks + ?Sized>(
    blocks: &B,
    roots: &[Cid],
    options: &ExportOptions,
    mut put: impl FnMut(&Cid, &[u8]) -> crate::Result<()>,
) -> Result<Exported> {
    each(blocks, roots, options, false, |cid, data| put(cid, data))
}

/// What [`export`] would write, without reading leaves where the source knows their lengths: for a CARv2 whose length must be known before.
/// Counterpart of `SelectiveCar.Prepare` of go-car.
pub fn measure<B: Blocks + ?Sized>(
    blocks: &B,
    roots: &[Cid],
    options: &ExportOptions,
) -> Result<Exported> {
    each(blocks, roots, options, true, |_, _| Ok(()))
}

fn each<B: Blocks + ?Sized>(
    blocks: &B,
    roots: &[Cid],
    options: &ExportOptions,
    leave_leaves: bool,
    mut put: impl FnMut(&Cid, &[u8]) -> crate::Result<()>,
) -> Result<Exported> {
    let header = Header { roots: roots.to_vec() }.encoded_len() as u64;
    let mut done = Exported { blocks: 0, len: header, missing: 0 };
    let walk = options.walk.clone().leave_leaves(leave_leaves);
    for visit in Walk::new(blocks, roots, walk) {
        let visit = match visit {
            Ok(visit) => visit,
            Err(error) if options.skip_missing && is_missing(&error) => {
                done.missing += 1;
                continue;
            }
            Err(error) => return Err(error),
        };
        if visit.is_inline() && !options.write_inline {
            continue;
        }
        put(&visit.cid, visit.data.as_deref().unwrap_or_default())
            .map_err(|error| DagError::from(error).within(&visit.cid))?;
        done.blocks += 1;
        done.len = done.len.saturating_add(section_len(&visit.cid, visit.len));
    }
    Ok(done)
}

pub(super) fn is_missing(error: &DagError) -> bool {
    matches!(error.kind(), DagErrorKind::Missing)
}
