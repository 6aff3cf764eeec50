//! The CARs that come out of a split.

use std::io::{self, Write};

use crate::dag::error::{DagError, DagErrorKind, Result};
use crate::options::WriterOptions;
use crate::section::section_len;
use crate::{CarWriter, Cid, Header};

/// Where the parts of a split go. Any function that makes a sink for a number will do.
pub trait Parts {
    /// What a part is written to.
    type Sink: Write;

    /// Makes the sink for the next part; the first has the number 0.
    fn open(&mut self, number: u64) -> io::Result<Self::Sink>;

    /// Takes a part that is complete and flushed.
    fn close(&mut self, number: u64, sink: Self::Sink) -> io::Result<()> {
        let _ = (number, sink);
        Ok(())
    }
}

impl<W: Write, F: FnMut(u64) -> io::Result<W>> Parts for F {
    type Sink = W;

    fn open(&mut self, number: u64) -> io::Result<W> {
        self(number)
    }
}

/// How a split is done.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct SplitOptions {
    /// The most bytes of a part: a CARv1 with its header. carbites only aims at its target size; here it is kept, or an error.
    pub part_len: u64,
    /// Whether [`split_dag`](super::split_dag) skips and counts a missing block, instead of it being an error.
    pub skip_missing: bool,
    /// The largest sizes that are written.
    pub writer: WriterOptions,
}

impl SplitOptions {
    /// Parts of at most so many bytes.
    pub fn new(part_len: u64) -> Self {
        SplitOptions { part_len, skip_missing: false, writer: WriterOptions::default() }
    }

    /// Sets whether missing blocks are skipped.
    #[must_use]
    pub fn skip_missing(mut self, yes: bool) -> Self {
        self.skip_missing = yes;
        self
    }

    /// Sets the largest sizes that are written.
    #[must_use]
    pub fn writer(mut self, options: WriterOptions) -> Self {
        self.writer = options;
        self
    }
}

/// What a split has made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Split {
    /// The number of parts.
    pub parts: u64,
    /// Blocks in all parts, without those that are repeated for the sake of the way to others.
    pub blocks: u64,
    /// Blocks that are repeated.
    pub repeated: u64,
    /// Blocks that were skipped, since they are missing.
    pub missing: u64,
}

/// Writes one part after the other.
pub(super) struct PartWriter<'p, P: Parts> {
    parts: &'p mut P,
    options: SplitOptions,
    open: Option<CarWriter<P::Sink>>,
    pub(super) done: Split,
}

impl<'p, P: Parts> PartWriter<'p, P> {
    pub(super) fn new(parts: &'p mut P, options: SplitOptions) -> Self {
        PartWriter { parts, options, open: None, done: Split::default() }
    }

    /// Ends the open part, and starts another, which will have this block and others of `before` bytes.
    pub(super) fn start(
        &mut self,
        roots: &[Cid],
        before: u64,
        block: Option<(&Cid, u64)>,
    ) -> Result<()> {
        self.end()?;
        let header = Header { roots: roots.to_vec() }.encoded_len() as u64;
        let block_len = block.map_or(0, |(cid, len)| section_len(cid, len));
        let needed = header.saturating_add(before).saturating_add(block_len);
        if needed > self.options.part_len {
            let limit = self.options.part_len;
            let error = DagError::new(DagErrorKind::PartTooSmall { needed, limit });
            return Err(match block {
                Some((cid, _)) => error.within(cid),
                None => error,
            });
        }
        let sink = self.parts.open(self.done.parts).map_err(DagError::io)?;
        self.open = Some(CarWriter::with_options(sink, roots, self.options.writer)?);
        self.done.parts += 1;
        Ok(())
    }

    /// Whether a part is open that has room for this block.
    pub(super) fn has_room(&self, cid: &Cid, len: u64) -> bool {
        let end = |writer: &CarWriter<_>| writer.position().saturating_add(section_len(cid, len));
        self.open.as_ref().is_some_and(|writer| end(writer) <= self.options.part_len)
    }

    pub(super) fn write(&mut self, cid: &Cid, data: &[u8]) -> Result<()> {
        if let Some(writer) = &mut self.open {
            let written = writer.danger_write_unverified(cid, data); // Its source has verified it.
            written.map_err(|error| DagError::from(error).within(cid))?;
        }
        Ok(())
    }

    /// Ends the last part.
    pub(super) fn finish(mut self) -> Result<Split> {
        self.end()?;
        Ok(self.done)
    }

    fn end(&mut self) -> Result<()> {
        let Some(writer) = self.open.take() else { return Ok(()) };
        let sink = writer.finish().map_err(DagError::io)?;
        self.parts.close(self.done.parts.saturating_sub(1), sink).map_err(DagError::io)
    }
}
