//! Splitting a DAG into CARs that are each a DAG.

use std::borrow::Cow;
use std::collections::HashSet;

use super::parts::{PartWriter, Parts, Split, SplitOptions};
use crate::Cid;
use crate::dag::blocks::{Blocks, fetch, is_inline};
use crate::dag::error::{DagError, DagErrorKind, Result};
use crate::dag::export::is_missing;
use crate::dag::options::WalkOptions;
use crate::dag::walk::{Visit, Walk};
use crate::section_len;

/// Splits a DAG into CARs of limited size, each of which has a root and, to every block in it, the whole way from that root.
///
/// Counterpart of the *treewalk* strategy of [carbites](https://github.com/nftstorage/carbites): all parts have the same root, and the blocks on
/// the way from it are repeated where a part needs them. All others stand in one part, where the [`Walk`] comes to them first.
/// [Joined](super::join) they are the CAR that [`export`](crate::dag::export) writes.
///
/// carbites takes one root. With several, each starts a part, and the parts of a root have it alone in their header; a root that has been
/// written below another gets a part with nothing but itself. A root that is listed twice counts once. Blocks that no root leads to are left
/// out, as are those in identity CIDs.
///
/// The way to a block is read again for each part; no block is kept.
pub fn split_dag<B: Blocks + ?Sized, P: Parts>(
    blocks: &B,
    roots: &[Cid],
    parts: &mut P,
    walk: &WalkOptions,
    options: SplitOptions,
) -> Result<Split> {
    let mut seen = HashSet::new();
    let roots: Vec<Cid> = roots.iter().copied().filter(|root| seen.insert(*root)).collect();
    let walk = walk.clone().duplicates(false).leave_leaves(false);
    let mut walk = Walk::new(blocks, &roots, walk);
    let writer = PartWriter::new(parts, options);
    let skip_missing = options.skip_missing;
    let mut tree = Tree { blocks, roots: &roots, skip_missing, begun: 0, writer };
    while let Some(visit) = walk.next() {
        match visit {
            Ok(visit) => tree.add(&walk, &visit)?,
            Err(error) if options.skip_missing && is_missing(&error) => {
                tree.writer.done.missing += 1;
                if let [root] = error.path() {
                    tree.begin_before(*root)?;
                    tree.begin(None)?;
                }
            }
            Err(error) => return Err(error),
        }
    }
    tree.begin_before(roots.len() as u64)?;
    if roots.is_empty() {
        tree.writer.start(&[], 0, None)?;
    }
    tree.writer.finish()
}

struct Tree<'a, B: ?Sized, P: Parts> {
    blocks: &'a B,
    roots: &'a [Cid],
    skip_missing: bool,
    /// How many roots have a part.
    begun: u64,
    writer: PartWriter<'a, P>,
}

impl<'a, B: Blocks + ?Sized, P: Parts> Tree<'a, B, P> {
    fn add(&mut self, walk: &Walk<'_, B>, visit: &Visit<'_>) -> Result<()> {
        let data = visit.data.as_deref().unwrap_or_default();
        let block = (!visit.is_inline()).then_some((&visit.cid, visit.len));
        if visit.depth == 0 {
            self.begin_before(walk.path().first().copied().unwrap_or_default())?;
            self.begin(block)?;
        }
        let Some((cid, len)) = block else { return Ok(()) };
        if !self.writer.has_room(cid, len) {
            self.go_on(walk, cid, len)?;
        }
        self.writer.write(cid, data)?;
        self.writer.done.blocks += 1;
        Ok(())
    }

    /// Starts a part, and writes the way to this block into it.
    fn go_on(&mut self, walk: &Walk<'_, B>, cid: &Cid, len: u64) -> Result<()> {
        let way: Vec<Cid> = walk.ancestors().copied().filter(|cid| !is_inline(cid)).collect();
        let mut before = 0_u64;
        for cid in &way {
            before = before.saturating_add(section_len(cid, self.fetch(cid)?.len() as u64));
        }
        let root = self.root();
        self.writer.start(root, before, Some((cid, len)))?;
        for cid in &way {
            let data = self.fetch(cid)?;
            self.writer.write(cid, &data)?;
            self.writer.done.repeated += 1;
        }
        Ok(())
    }

    /// Starts the first part of the next root.
    fn begin(&mut self, block: Option<(&Cid, u64)>) -> Result<()> {
        self.begun += 1;
        let root = self.root();
        self.writer.start(root, 0, block)
    }

    /// Makes the parts of the roots before this one that have been written below others.
    fn begin_before(&mut self, root: u64) -> Result<()> {
        while self.begun < root {
            let Some(&cid) = self.roots.get(self.begun as usize) else { break };
            if is_inline(&cid) {
                self.begin(None)?;
                continue;
            }
            let data = match self.fetch(&cid) {
                Err(error) if self.skip_missing && is_missing(&error) => {
                    self.begin(None)?;
                    continue;
                }
                data => data?,
            };
            self.begin(Some((&cid, data.len() as u64)))?;
            self.writer.write(&cid, &data)?;
            self.writer.done.repeated += 1;
        }
        Ok(())
    }

    /// The root whose part is written, alone.
    fn root(&self) -> &'a [Cid] {
        let end = usize::try_from(self.begun).unwrap_or(usize::MAX);
        self.roots.get(end.saturating_sub(1)..end).unwrap_or_default()
    }

    fn fetch(&self, cid: &Cid) -> Result<Cow<'a, [u8]>> {
        let data = fetch(self.blocks, cid).map_err(|error| error.within(cid))?;
        data.ok_or_else(|| DagError::new(DagErrorKind::Missing).within(cid))
    }
}
