//! What readers and writers may be told: limits, whether blocks are verified, what is accepted, what is left out.

use crate::{Cid, hash_code};

/// The largest sizes that are accepted, checked before anything is allocated.
///
/// ```
/// use carstone_car::Limits;
/// let limits = Limits::default().section(1 << 20);
/// assert_eq!(limits.header, 32 << 20);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of the header, without its length varint. Default: 32 MiB.
    pub header: usize,
    /// Number of roots in the header, which bounds the memory they take. Default: 1,048,576.
    pub roots: usize,
    /// Bytes of a section, CID and data, without its length varint. Default: 8 MiB.
    pub section: usize,
    /// Bytes of a CID. Default: 2 KiB. Digests of more than 64 bytes are refused whatever this says, since [`Cid`](crate::Cid)
    /// cannot hold them.
    pub cid: usize,
}

impl Limits {
    /// Sets the largest header, in bytes. The counterpart of `MaxAllowedHeaderSize` in go-car.
    #[must_use]
    pub fn header(mut self, bytes: usize) -> Self {
        self.header = bytes;
        self
    }

    /// Sets the largest number of roots.
    #[must_use]
    pub fn roots(mut self, count: usize) -> Self {
        self.roots = count;
        self
    }

    /// Sets the largest section, in bytes. The counterpart of `MaxAllowedSectionSize` in go-car.
    #[must_use]
    pub fn section(mut self, bytes: usize) -> Self {
        self.section = bytes;
        self
    }

    /// Sets the largest CID, in bytes. The counterpart of `MaxIndexCidSize` in go-car.
    #[must_use]
    pub fn cid(mut self, bytes: usize) -> Self {
        self.cid = bytes;
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits { header: 32 << 20, roots: 1 << 20, section: 8 << 20, cid: 2 << 10 }
    }
}

/// Options of all readers: [`CarReader`](crate::CarReader), [`CarScan`](crate::CarScan), [`CarSlice`](crate::CarSlice) and
/// [`IndexedCar`](crate::IndexedCar).
///
/// Each thing that is accepted although the format does not have it goes by a name of its own, and is refused by default.
/// [`Error::accepted_by`](crate::Error::accepted_by) tells which one a fault would need.
///
/// ```
/// use carstone_car::{CarReader, CarWriter, ReaderOptions, codec};
/// let mut writer = CarWriter::new(Vec::new(), &[])?;
/// writer.write_data(codec::RAW, b"hello")?;
/// let padded = [writer.finish()?, vec![0; 512]].concat();
///
/// let error = CarReader::open(&padded[..])?.into_sections().last().expect("padding").unwrap_err();
/// assert_eq!(error.accepted_by(), Some("zero_section_is_end"));
///
/// let options = ReaderOptions::default().zero_section_is_end(true);
/// assert_eq!(CarReader::with_options(&padded[..], options)?.into_cids().count(), 1);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReaderOptions {
    /// The largest sizes that are accepted.
    pub limits: Limits,
    /// Whether a section of length zero ends the data, instead of being an error. Some writers pad their files with zeros.
    pub zero_section_is_end: bool,
    /// Whether bytes that are no section end the data: zeros, and all whose length or CID is malformed or cut short. A section whose
    /// data is cut short is still an error, and so is one over a limit. Where they start is what a reader then gives as its position.
    pub ignore_trailing_bytes: bool,
    /// Whether the lengths of header and sections may be varints that are not in their shortest form, of up to 9 bytes. Those in CIDs may
    /// not, since they would make other CIDs of the same block.
    pub padded_varints: bool,
    /// Whether the index of a CARv2 may lack its codec, as it does in old files ([`Index::open_legacy`](crate::Index::open_legacy)).
    pub legacy_index: bool,
    /// Whether a CAR without roots is refused.
    pub require_roots: bool,
    /// Whether a CARv2 is refused, for places where the format asks for a CARv1.
    pub only_v1: bool,
    verification: Verification,
    sha1: bool,
}

/// What is done with each block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checks {
    pub(crate) verification: Verification,
    pub(crate) sha1: bool,
}

impl Checks {
    pub(crate) const NONE: Self = Self { verification: Verification::Skip, sha1: false };

    /// Whether nothing is hashed.
    pub(crate) fn is_none(self) -> bool {
        self.verification == Verification::Skip
    }
}

/// What is done to believe that a block is what its CID says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verification {
    /// Every block is hashed, and one that cannot be is an error.
    #[default]
    Verify,
    /// Every block is hashed, but one whose hash function is unknown is passed on unchecked.
    KnownHashes,
    /// Nothing is hashed.
    Skip,
}

impl ReaderOptions {
    /// Sets the largest sizes that are accepted.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets whether a section of length zero ends the data, instead of being an error.
    /// The counterpart of `ZeroLengthSectionAsEOF` in go-car.
    #[must_use]
    pub fn zero_section_is_end(mut self, yes: bool) -> Self {
        self.zero_section_is_end = yes;
        self
    }

    /// Sets whether bytes that are no section end the data.
    #[must_use]
    pub fn ignore_trailing_bytes(mut self, yes: bool) -> Self {
        self.ignore_trailing_bytes = yes;
        self
    }

    /// Sets whether the lengths of header and sections may be varints that are not in their shortest form.
    #[must_use]
    pub fn padded_varints(mut self, yes: bool) -> Self {
        self.padded_varints = yes;
        self
    }

    /// Sets whether the index of a CARv2 may lack its codec.
    #[must_use]
    pub fn legacy_index(mut self, yes: bool) -> Self {
        self.legacy_index = yes;
        self
    }

    /// Sets whether a CAR without roots is refused. The counterpart of `WithErrorOnEmptyRoots` in go-car.
    #[must_use]
    pub fn require_roots(mut self, yes: bool) -> Self {
        self.require_roots = yes;
        self
    }

    /// Sets whether a CARv2 is refused.
    #[must_use]
    pub fn only_v1(mut self, yes: bool) -> Self {
        self.only_v1 = yes;
        self
    }

    /// What is done to believe that a block is what its CID says.
    pub fn verification(&self) -> Verification {
        self.verification
    }

    /// Hands out blocks without hashing them. For sources that have been verified before, and that nobody else can write to.
    /// The counterpart of `WithTrustedCAR` in go-car.
    #[must_use]
    pub fn danger_skip_verification(mut self) -> Self {
        self.verification = Verification::Skip;
        self
    }

    /// Takes SHA-1 for evidence. Whoever made the CAR may know two blocks with the same CID.
    #[must_use]
    pub fn danger_accept_sha1(mut self) -> Self {
        self.sha1 = true;
        self
    }

    pub(crate) fn checks(&self) -> Checks {
        Checks { verification: self.verification, sha1: self.sha1 }
    }

    /// Hands out blocks unchecked if their hash function is unknown here. All others are verified.
    #[must_use]
    pub fn danger_accept_unverifiable(mut self) -> Self {
        self.verification = Verification::KnownHashes;
        self
    }
}

/// Options of [`CarWriter`](crate::CarWriter).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WriterOptions {
    /// The largest sizes that are written. The defaults are those of readers, so that what is written can be read.
    pub limits: Limits,
    /// Which blocks are there already and not [put](crate::CarWriter::put_block) again. By default none are: the format allows duplicates.
    pub dedupe: Dedupe,
    /// Bytes of memory for what tells that a block is there. One more block than it holds is an error. Default: 256 MiB, which serves
    /// for more than 7 million.
    pub dedupe_budget: usize,
    /// Whether blocks of identity CIDs, which hold their data themselves, are not [put](crate::CarWriter::put_block).
    pub skip_identity: bool,
}

/// What makes two blocks one. The counterpart of `UseWholeCIDs` and `AllowDuplicatePuts` in go-car.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dedupe {
    /// Nothing.
    #[default]
    Off,
    /// Equal multihashes, so that a CIDv0 and CIDs of other codecs stand for the same block.
    Multihash,
    /// Equal CIDs.
    WholeCid,
}

impl WriterOptions {
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

    /// Sets whether blocks of identity CIDs are not put. The counterpart of `StoreIdentityCIDs` in go-car, which says the opposite.
    #[must_use]
    pub fn skip_identity(mut self, yes: bool) -> Self {
        self.skip_identity = yes;
        self
    }

    /// Whether a block is not put because of what its CID is.
    pub(crate) fn skips(&self, cid: &Cid) -> bool {
        self.skip_identity && cid.hash().code() == hash_code::IDENTITY
    }
}

impl Default for WriterOptions {
    fn default() -> Self {
        let limits = Limits::default();
        WriterOptions {
            limits,
            dedupe: Dedupe::Off,
            dedupe_budget: 256 << 20,
            skip_identity: false,
        }
    }
}
