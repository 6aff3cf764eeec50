//! What can go wrong with a CAR, and where.

mod part;

use std::error::Error as StdError;
use std::{fmt, io};

pub use part::Part;

use crate::{Cid, hash_code};

/// The result of most functions of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a CAR could not be read or written.
///
/// [`kind`](Self::kind) says what, [`offset`](Self::offset) says where, `source()` has the I/O error below, if there is one.
/// It turns into an [`io::Error`] by `From`, and [`Error::of`] finds it again in there.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    offset: Option<u64>,
    /// Where in the file the bytes start that the offset is counted from.
    base: u64,
}

/// What went wrong.
#[derive(Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Reading or writing failed below; the cause is the `source()` of the [`Error`].
    Io(io::Error),
    /// The stream ends inside of this part. (It may only end where a section would start.)
    Truncated(Part),
    /// A length or code is not a valid varint: longer than 9 bytes, or not in its shortest form.
    BadVarint(Part),
    /// The header is not what the format asks for; the text says what is wrong.
    BadHeader(&'static str),
    /// The header is that of another version of the format than is taken here; 1 is CARv1, 2 is CARv2.
    UnsupportedVersion(u64),
    /// The header of a CARv2 contradicts itself or the length of the file; the text says how.
    BadV2Header(&'static str),
    /// The header of a CARv2 states no data: whoever wrote it did not come to the end.
    Unfinished,
    /// An index has a codec that is not known here. Old files have indexes without a codec, whose first number is taken for one.
    UnknownIndex(u64),
    /// An index is not what its format asks for; the text says what is wrong.
    BadIndex(&'static str),
    /// A page of an index over many CARs is damaged, or not what its format asks for; the other pages are as good as before. The offset of
    /// the error is that of the page.
    #[non_exhaustive]
    BadPage {
        /// The number of the page, from 0 on.
        page: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// An index over many CARs has a version that is not known here.
    UnknownIndexVersion(u16),
    /// A file in which a block should be, as an index over many CARs says, did not give it; the cause is the `source()` of the [`Error`].
    #[non_exhaustive]
    InFile {
        /// The number of the file in the index.
        file: u32,
        /// Its name in the index, as far as that is text.
        name: String,
        /// Why there is no block.
        cause: Box<Error>,
    },
    /// The index has an offset at which there is no section with the CID that it is said to have.
    StaleIndex,
    /// A block was not found, but it may be behind the fault that stopped the scan of the CAR at this offset.
    NotAllScanned,
    /// What was written is not as long as was said before ([`CarFileWriter::sized`](crate::CarFileWriter::sized)).
    #[non_exhaustive]
    PayloadLength {
        /// The length that was said.
        said: u64,
        /// The length that was written, or would be.
        found: u64,
    },
    /// A section has the length zero, which the format does not define (some writers pad with such sections).
    EmptySection,
    /// The CID of a section or root is not valid; the text says what is wrong.
    BadCid(&'static str),
    /// The CID is longer than the section that it stands in.
    CidOverrun,
    /// Something is larger than the [`Limits`](crate::Limits) allow, or than this crate can hold.
    #[non_exhaustive]
    TooLarge {
        /// What is too large.
        part: Part,
        /// Its size, in bytes (for [`Part::Roots`], [`Part::Index`], [`Part::Codes`] and [`Part::Files`]: a number).
        size: u64,
        /// The largest size allowed.
        limit: u64,
    },
    /// The bytes of a block do not hash to its CID.
    #[non_exhaustive]
    Mismatch {
        /// The CID that the bytes were said to have.
        cid: Box<Cid>,
    },
    /// The CID uses a hash function or digest length that this crate cannot check, so that nothing is known about the bytes.
    #[non_exhaustive]
    Unverifiable {
        /// The CID of the block.
        cid: Box<Cid>,
    },
    /// A slice ends before the section head is complete: try again with at least this many bytes ([`parse_section`](crate::parse_section)).
    #[non_exhaustive]
    NeedMore {
        /// The number of bytes from the start of the section that are surely needed. The head may be longer still.
        at_least: usize,
    },
    /// A buffer of fixed size is too small ([`CarBufferWriter`](crate::CarBufferWriter)).
    #[non_exhaustive]
    NoRoom {
        /// Bytes that are needed.
        needed: u64,
        /// Bytes that there are for it.
        left: u64,
    },
    /// The new header has another length than the old one, so it cannot take its place ([`replace_roots`](crate::replace_roots)).
    #[non_exhaustive]
    HeaderLength {
        /// Length of the header in the file, with its varint.
        old: u64,
        /// Length of the header that was to replace it, with its varint.
        new: u64,
    },
    /// A section is damaged that is not the torn end of an unfinished file, for sound ones follow, or what follows cannot be told
    /// ([`CarStore::open`](crate::CarStore::open)).
    NotTorn,
    /// The roots of a file are not those that were asked for ([`CarStore::open_or_create`](crate::CarStore::open_or_create)).
    OtherRoots,
    /// The journal beside a CAR is of no use; the text says why ([`CarStore`](crate::CarStore#the-journal)).
    BadJournal(&'static str),
    /// Another [`CarStore`](crate::CarStore) has the file open.
    Locked,
    /// A reader or writer failed earlier, and cannot be used any more.
    Broken,
    /// A writer was closed earlier, and takes no more blocks.
    Closed,
    /// The other end of a channel was dropped before the CAR came to its end.
    Disconnected,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind) -> Self {
        Error(Box::new(Inner { kind, offset: None, base: 0 }))
    }

    pub(crate) fn at(kind: ErrorKind, offset: u64) -> Self {
        Error::new(kind).with_offset(offset)
    }

    /// What went wrong.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// Where: the byte offset of the section or header concerned. For [`Truncated`](ErrorKind::Truncated) and
    /// [`Io`](ErrorKind::Io) it is the offset at which the bytes stop.
    ///
    /// Inside of the payload of a CARv2 it is counted from there, as the offsets of sections are, else from the start of the CAR.
    /// `None` from functions that are given single blocks or sections and know no place.
    pub fn offset(&self) -> Option<u64> {
        self.0.offset
    }

    /// The [`offset`](Self::offset) counted from the start of the CAR in any case. It is the one in the message.
    pub fn file_offset(&self) -> Option<u64> {
        self.0.offset.map(|offset| offset.saturating_add(self.0.base))
    }

    /// The same error at this offset, for callers of [`parse_section`](crate::parse_section) and [`verify`](crate::verify) who know the place.
    #[must_use]
    pub fn with_offset(mut self, offset: u64) -> Self {
        self.0.offset = Some(offset);
        self
    }

    /// The same error with its offset counted from this place in the file.
    pub(crate) fn with_base(mut self, base: u64) -> Self {
        self.0.base = base;
        self
    }

    /// Whether only this one block is bad: the reader stands behind it and can go on.
    pub fn is_block_error(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Mismatch { .. } | ErrorKind::Unverifiable { .. })
    }

    /// The name of the option in [`ReaderOptions`](crate::ReaderOptions) that is there to accept what this error refuses, if there is one.
    /// It need not be enough: a varint can be wrong in other ways than by its padding.
    pub fn accepted_by(&self) -> Option<&'static str> {
        Some(match &self.0.kind {
            ErrorKind::EmptySection => "zero_section_is_end",
            ErrorKind::BadVarint(Part::Header | Part::SectionLength) => "padded_varints",
            ErrorKind::UnknownIndex(_) => "legacy_index",
            ErrorKind::BadCid(_)
            | ErrorKind::CidOverrun
            | ErrorKind::BadVarint(Part::Cid)
            | ErrorKind::Truncated(Part::SectionLength | Part::Cid) => "ignore_trailing_bytes",
            ErrorKind::Unverifiable { cid } if cid.hash().code() == hash_code::SHA1 => {
                "danger_accept_sha1"
            }
            ErrorKind::Unverifiable { .. } => "danger_accept_unverifiable",
            _ => return None,
        })
    }

    /// The kind of the I/O error that this one turns into.
    fn io_kind(&self) -> io::ErrorKind {
        match &self.0.kind {
            ErrorKind::Io(cause) => cause.kind(),
            ErrorKind::InFile { cause, .. } => cause.io_kind(),
            ErrorKind::Truncated(_) | ErrorKind::NeedMore { .. } => io::ErrorKind::UnexpectedEof,
            ErrorKind::UnsupportedVersion(_)
            | ErrorKind::UnknownIndex(_)
            | ErrorKind::UnknownIndexVersion(_)
            | ErrorKind::Unverifiable { .. } => io::ErrorKind::Unsupported,
            ErrorKind::HeaderLength { .. }
            | ErrorKind::PayloadLength { .. }
            | ErrorKind::OtherRoots => io::ErrorKind::InvalidInput,
            ErrorKind::Locked => io::ErrorKind::ResourceBusy,
            ErrorKind::NoRoom { .. } => io::ErrorKind::StorageFull,
            ErrorKind::Broken => io::ErrorKind::Other,
            ErrorKind::Closed | ErrorKind::Disconnected => io::ErrorKind::BrokenPipe,
            _ => io::ErrorKind::InvalidData,
        }
    }

    /// The error of this crate that an I/O error was made of, or one that holds it.
    pub(crate) fn from_io(error: io::Error) -> Self {
        error.downcast().unwrap_or_else(|error| Error::new(ErrorKind::Io(error)))
    }

    /// Finds the error of this crate in an I/O error, or in the causes of one.
    pub fn of(error: &io::Error) -> Option<&Error> {
        let mut cause: &(dyn StdError + 'static) = error;
        loop {
            if let Some(found) = cause.downcast_ref::<Error>() {
                return Some(found);
            }
            // An `io::Error` passes over its own payload when it is asked for its source.
            let payload = cause.downcast_ref::<io::Error>().and_then(|error| error.get_ref());
            cause = match payload {
                Some(payload) => payload,
                None => cause.source()?,
            };
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.kind {
            ErrorKind::Io(_) => f.write_str("cannot read or write the CAR")?,
            ErrorKind::Truncated(part) => write!(f, "the CAR stops inside {part}")?,
            ErrorKind::BadVarint(part) => write!(f, "malformed varint in {part}")?,
            ErrorKind::BadHeader(what) => write!(f, "invalid CAR header: {what}")?,
            ErrorKind::UnsupportedVersion(1) => f.write_str("CARv1, where CARv2 is expected")?,
            ErrorKind::UnsupportedVersion(2) => f.write_str("CARv2, where CARv1 is expected")?,
            ErrorKind::UnsupportedVersion(version) => {
                write!(f, "CAR version {version} is not supported")?
            }
            ErrorKind::BadV2Header(what) => write!(f, "invalid CARv2 header: {what}")?,
            ErrorKind::Unfinished => f.write_str("unfinished CARv2: its header states no data")?,
            ErrorKind::UnknownIndex(codec) => write!(f, "index codec {codec:#x} is not known")?,
            ErrorKind::BadIndex(what) => write!(f, "invalid index: {what}")?,
            ErrorKind::BadPage { page, what } => write!(f, "page {page} of the index: {what}")?,
            ErrorKind::UnknownIndexVersion(version) => {
                write!(f, "index over many CARs of the unknown version {version}")?
            }
            ErrorKind::InFile { file, name, .. } => {
                write!(f, "no block from file {file}, {name:?}, where the index has it")?
            }
            ErrorKind::StaleIndex => f.write_str("the index leads to another block")?,
            ErrorKind::NotAllScanned => {
                f.write_str("no such block is found before the fault that ends the CAR")?
            }
            ErrorKind::PayloadLength { said, found } => {
                write!(f, "payload of {found} bytes, where {said} were announced")?
            }
            ErrorKind::EmptySection => f.write_str("section of length zero")?,
            ErrorKind::BadCid(what) => write!(f, "invalid CID: {what}")?,
            ErrorKind::CidOverrun => f.write_str("CID runs past the end of its section")?,
            ErrorKind::TooLarge { part: Part::Roots, size, limit } => {
                write!(f, "{size} roots or more, over the limit of {limit}")?
            }
            ErrorKind::TooLarge { part: Part::Index, size, limit } => {
                write!(f, "index with {size} buckets or more, over the limit of {limit}")?
            }
            ErrorKind::TooLarge { part: Part::Codes, size, limit } => {
                write!(f, "{size} codecs or hash functions or more, over the limit of {limit}")?
            }
            ErrorKind::TooLarge { part: Part::Files, size, limit } => {
                write!(f, "{size} files or more, over the limit of {limit}")?
            }
            ErrorKind::TooLarge { part, size, limit } => {
                write!(f, "{part} of {size} bytes is over the limit of {limit}")?
            }
            ErrorKind::Mismatch { cid } => write!(f, "data does not match its CID {cid}")?,
            ErrorKind::Unverifiable { cid } => write!(
                f,
                "data of {cid} cannot be verified: hash function {:#x} with a digest of {} bytes",
                cid.hash().code(),
                cid.hash().size()
            )?,
            ErrorKind::NeedMore { at_least } => {
                write!(f, "section head is incomplete: it needs {at_least} bytes")?
            }
            ErrorKind::HeaderLength { old, new } => {
                write!(f, "a header of {new} bytes cannot replace one of {old} bytes")?
            }
            ErrorKind::NoRoom { needed, left } => {
                write!(f, "no room in the buffer: {needed} bytes are needed, {left} are left")?
            }
            ErrorKind::NotTorn => f.write_str("damaged section in the middle of the file")?,
            ErrorKind::OtherRoots => f.write_str("the CAR has other roots")?,
            ErrorKind::BadJournal(what) => write!(f, "unusable journal of the CAR: {what}")?,
            ErrorKind::Locked => f.write_str("another store has the CAR open")?,
            ErrorKind::Broken => f.write_str("an earlier error has stopped this CAR")?,
            ErrorKind::Closed => f.write_str("the CAR has been closed")?,
            ErrorKind::Disconnected => {
                f.write_str("the other end is gone, before the CAR was complete")?
            }
        }
        match self.file_offset() {
            Some(offset) => write!(f, " at byte {offset}"),
            None => Ok(()),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0.kind {
            ErrorKind::Io(cause) => Some(cause),
            ErrorKind::InFile { cause, .. } => Some(&**cause),
            _ => None,
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        io::Error::new(error.io_kind(), error)
    }
}
