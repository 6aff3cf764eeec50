//! Whether all blocks of a DAG are there.

use super::blocks::Blocks;
use super::error::{DagError, DagErrorKind, Result};
use super::options::WalkOptions;
use super::seen::Seen;
use super::walk::Walk;
use crate::Cid;

/// What there is and what there is not of a DAG. Made by [`check_complete`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Completeness {
    /// Blocks that are there, each counted once, without those that identity CIDs carry.
    pub blocks: u64,
    /// Their length in bytes.
    pub bytes: u64,
    /// Blocks that are linked and not there.
    pub missing: u64,
    /// Blocks that are there, but damaged, or not what their codec asks for, or of a codec whose links are not known.
    pub unusable: u64,
    /// What is wrong with the first of them, in the order of the walk, with the [block](DagError::cid), the one that
    /// [links](DagError::parent) to it and the [way](DagError::path) there. No more than were asked for.
    pub faults: Vec<DagError>,
    reached: Seen,
}

/// Goes through a DAG and says what is missing. `faults` is the most that are listed; all are counted.
///
/// Where leaves are [left where they are](WalkOptions::leave_leaves), only their lengths are asked for, so whether their data is intact is
/// not known. Errors are a failing source and a used up budget. No anchor has a counterpart: go-car skips what is missing, or stops at it.
///
/// ```
/// use std::collections::HashMap;
/// use carstone_car::{cid_of, codec};
/// use carstone_car::dag::{WalkOptions, check_complete};
/// let leaf = cid_of(codec::RAW, b"gone");
/// let node = format!(r#"[{{"/": "{leaf}"}}]"#).into_bytes();
/// let root = cid_of(codec::DAG_JSON, &node);
/// let blocks = HashMap::from([(root, node)]);
///
/// let found = check_complete(&blocks, &[root], &WalkOptions::default(), 100)?;
/// assert!(!found.is_complete());
/// let gone = &found.faults[0];
/// assert_eq!((gone.cid(), gone.parent(), gone.path()), (Some(&leaf), Some(&root), &[0, 0][..]));
/// # Ok::<(), carstone_car::dag::DagError>(())
/// ```
pub fn check_complete<B: Blocks + ?Sized>(
    blocks: &B,
    roots: &[Cid],
    options: &WalkOptions,
    faults: usize,
) -> Result<Completeness> {
    let mut found = Completeness {
        blocks: 0,
        bytes: 0,
        missing: 0,
        unusable: 0,
        faults: Vec::new(),
        reached: Seen::new(options.limits.seen),
    };
    // A block that comes twice is counted once.
    let options = options.clone().duplicates(false);
    for visit in Walk::new(blocks, roots, options) {
        match visit {
            Ok(visit) if visit.is_inline() => {}
            Ok(visit) => {
                found.blocks += 1;
                found.bytes = found.bytes.saturating_add(visit.len);
                found.reached.insert_multihash(&visit.cid)?;
            }
            Err(error) if error.is_block_error() => found.note(error, faults)?,
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

impl Completeness {
    /// Whether every block is there and usable.
    pub fn is_complete(&self) -> bool {
        self.missing == 0 && self.unusable == 0
    }

    /// Whether the walk has come to a block with this multihash, which is there. Go over the CIDs of a CAR to find those that nothing leads to.
    pub fn is_reached(&self, cid: &Cid) -> bool {
        self.reached.contains_multihash(cid)
    }

    fn note(&mut self, error: DagError, faults: usize) -> Result<()> {
        let is_missing = matches!(error.kind(), DagErrorKind::Missing);
        match (is_missing, error.cid()) {
            (true, _) => self.missing += 1,
            (false, cid) => {
                self.unusable += 1;
                if let Some(cid) = cid {
                    self.reached.insert_multihash(cid)?;
                }
            }
        }
        if self.faults.len() < faults {
            self.faults.push(error);
        }
        Ok(())
    }
}
