//! What kind of file is written.

use crate::Cid;
use crate::index::{DEFAULT_BUDGET, IndexCodec};
use crate::options::{Dedupe, Limits, WriterOptions};

/// Options of [`CarFileWriter`](crate::CarFileWriter).
///
/// ```
/// use carstone_car::{FileOptions, IndexCodec};
/// let options = FileOptions::v2().index(Some(IndexCodec::Sorted)).data_padding(13);
/// assert_eq!(options.version(), 2);
/// assert_eq!(FileOptions::default(), FileOptions::v2().index(Some(IndexCodec::MultihashSorted)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileOptions {
    v2: bool,
    /// The format of the index behind the payload, or `None` for no index. A CARv1 has none.
    pub index: Option<IndexCodec>,
    /// Whether the index has identity CIDs, too; the header says so then. Their blocks are written in any case.
    pub index_identity: bool,
    /// Bytes of memory for entries of the index; more of them are sorted in a temporary file. Default: 16 MiB.
    pub index_budget: usize,
    /// Zero bytes before the payload.
    pub data_padding: u64,
    /// Zero bytes before the index, if there is one.
    pub index_padding: u64,
    /// The largest sizes that are written. The defaults are those of readers, so that what is written can be read.
    pub limits: Limits,
    /// Which blocks are there already and not [put](crate::CarFileWriter::put_block) again. By default none are.
    pub dedupe: Dedupe,
    /// Bytes of memory for what tells that a block is there. One more block than it holds is an error. Default: 256 MiB, which serves
    /// for more than 7 million.
    pub dedupe_budget: usize,
    /// Whether blocks of identity CIDs, which hold their data themselves, are not [put](crate::CarFileWriter::put_block).
    pub skip_identity: bool,
}

impl FileOptions {
    /// A CARv1: what is said of index and padding has no meaning. The counterpart of `WriteAsCarV1` in go-car.
    pub fn v1() -> Self {
        FileOptions { v2: false, ..FileOptions::v2() }
    }

    /// A CARv2 with an index by hash function and digest, without padding.
    pub fn v2() -> Self {
        FileOptions {
            v2: true,
            index: Some(IndexCodec::default()),
            index_identity: false,
            index_budget: DEFAULT_BUDGET,
            data_padding: 0,
            index_padding: 0,
            limits: Limits::default(),
            dedupe: Dedupe::Off,
            dedupe_budget: WriterOptions::default().dedupe_budget,
            skip_identity: false,
        }
    }

    /// The version of the format: 1 or 2.
    pub fn version(&self) -> u64 {
        if self.v2 { 2 } else { 1 }
    }

    /// Sets the format of the index behind the payload, or `None` for no index.
    /// The counterpart of `UseIndexCodec` and `WithoutIndex` in go-car.
    #[must_use]
    pub fn index(mut self, codec: Option<IndexCodec>) -> Self {
        self.index = codec;
        self
    }

    /// Sets whether the index has identity CIDs, too. The counterpart of `StoreIdentityCIDs` in go-car.
    #[must_use]
    pub fn index_identity(mut self, yes: bool) -> Self {
        self.index_identity = yes;
        self
    }

    /// Sets the bytes of memory for entries of the index.
    #[must_use]
    pub fn index_budget(mut self, bytes: usize) -> Self {
        self.index_budget = bytes;
        self
    }

    /// Sets how many zero bytes stand before the payload. The counterpart of `UseDataPadding` in go-car.
    #[must_use]
    pub fn data_padding(mut self, bytes: u64) -> Self {
        self.data_padding = bytes;
        self
    }

    /// Sets how many zero bytes stand before the index. The counterpart of `UseIndexPadding` in go-car.
    #[must_use]
    pub fn index_padding(mut self, bytes: u64) -> Self {
        self.index_padding = bytes;
        self
    }

    /// Sets the largest sizes that are written.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets which blocks are there already and not put again.
    #[must_use]
    pub fn dedupe(mut self, by: Dedupe) -> Self {
        self.dedupe = by;
        self
    }

    /// Sets the bytes of memory for what tells that a block is there.
    #[must_use]
    pub fn dedupe_budget(mut self, bytes: usize) -> Self {
        self.dedupe_budget = bytes;
        self
    }

    /// Sets whether blocks of identity CIDs are not put.
    #[must_use]
    pub fn skip_identity(mut self, yes: bool) -> Self {
        self.skip_identity = yes;
        self
    }

    /// Whether a block is not put because of what its CID is.
    pub(crate) fn skips(&self, cid: &Cid) -> bool {
        self.of_sections().skips(cid)
    }

    /// What concerns the sections.
    pub(crate) fn of_sections(&self) -> WriterOptions {
        let options = WriterOptions::default().limits(self.limits).dedupe(self.dedupe);
        options.dedupe_budget(self.dedupe_budget).skip_identity(self.skip_identity)
    }

    /// The same for a CARv2.
    pub(crate) fn as_v2(self) -> Self {
        FileOptions { v2: true, ..self }
    }

    pub(super) fn is_v2(&self) -> bool {
        self.v2
    }

    /// The index that is written, if any.
    pub(crate) fn index_codec(&self) -> Option<IndexCodec> {
        self.index.filter(|_| self.v2)
    }
}

impl Default for FileOptions {
    fn default() -> Self {
        FileOptions::v2()
    }
}
