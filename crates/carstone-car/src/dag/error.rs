//! What can go wrong with a DAG, and in which block of it.

use std::error::Error as StdError;
use std::{fmt, io};

use crate::{Cid, Error, ErrorKind, Part, codec};

/// The result of most functions of this module.
pub type Result<T, E = DagError> = std::result::Result<T, E>;

/// Why a DAG could not be followed, or a selector not be read.
///
/// [`kind`](Self::kind) says what, [`cid`](Self::cid) and [`path`](Self::path) say in which block, [`offset`](Self::offset) says where in
/// its bytes. `source()` has the error of the CAR below, if there is one. It turns into an [`io::Error`] by `From`.
#[derive(Debug)]
pub struct DagError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: DagErrorKind,
    cid: Option<Cid>,
    parent: Option<Cid>,
    path: Vec<u64>,
    offset: Option<u64>,
}

/// What went wrong.
#[derive(Debug)]
#[non_exhaustive]
pub enum DagErrorKind {
    /// The source of blocks, or the CAR that is written, failed: the cause is the `source()` of the [`DagError`].
    Car(Error),
    /// The block is linked, or is a root, and the source does not have it.
    Missing,
    /// The bytes of the block are not what its codec asks for; the text says what is wrong.
    #[non_exhaustive]
    BadNode {
        /// The codec, see [`codec`].
        codec: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// Nothing is known here of the codec of the block, so its links cannot be told.
    UnknownCodec(u64),
    /// More than was allowed.
    #[non_exhaustive]
    OverBudget {
        /// What there is more of.
        budget: Budget,
        /// How much is allowed.
        limit: u64,
    },
    /// A selector is not what the specification asks for; the text says what is wrong.
    BadSelector(&'static str),
    /// A selector has this part of the specification, which is not supported.
    UnsupportedSelector(&'static str),
    /// A part of a split CAR has no room for this block and those that must stand before it.
    #[non_exhaustive]
    PartTooSmall {
        /// Length of the CAR with these blocks, in bytes.
        needed: u64,
        /// The largest length that was asked for.
        limit: u64,
    },
}

/// What a walk may use up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Budget {
    /// Blocks visited.
    Blocks,
    /// Bytes of the blocks visited.
    Bytes,
    /// Blocks on the way from a root to a block.
    Depth,
    /// Links that wait to be followed.
    Waiting,
    /// Blocks that are remembered.
    Seen,
    /// Links in one block.
    Links,
    /// Values in one block, or in a selector.
    Values,
    /// Values inside of each other in one block, or in a selector.
    Nesting,
}

impl DagError {
    pub(crate) fn new(kind: DagErrorKind) -> Self {
        DagError(Box::new(Inner { kind, cid: None, parent: None, path: Vec::new(), offset: None }))
    }

    pub(crate) fn over(budget: Budget, limit: u64) -> Self {
        DagError::new(DagErrorKind::OverBudget { budget, limit })
    }

    pub(crate) fn io(error: io::Error) -> Self {
        match error.downcast::<Error>() {
            Ok(error) => error.into(),
            Err(error) => Error::new(ErrorKind::Io(error)).into(),
        }
    }

    pub(crate) fn at(mut self, offset: usize) -> Self {
        self.0.offset = Some(offset as u64);
        self
    }

    pub(crate) fn within(mut self, cid: &Cid) -> Self {
        self.0.cid.get_or_insert(*cid);
        self
    }

    pub(crate) fn on_the_way(mut self, parent: Option<Cid>, path: Vec<u64>) -> Self {
        (self.0.parent, self.0.path) = (parent, path);
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> &DagErrorKind {
        &self.0.kind
    }

    /// The block concerned.
    pub fn cid(&self) -> Option<&Cid> {
        self.0.cid.as_ref()
    }

    /// The block that links to it, by the way that was taken. `None` for a root.
    pub fn parent(&self) -> Option<&Cid> {
        self.0.parent.as_ref()
    }

    /// The way to the block, each number counted from 0: which root, which of its links, and so on. Empty where no walk was on its way.
    pub fn path(&self) -> &[u64] {
        &self.0.path
    }

    /// The byte in the block, or in the text of a selector, where something is wrong.
    pub fn offset(&self) -> Option<u64> {
        self.0.offset
    }

    /// Whether only this one block is bad: a walk stands behind it and can go on, without what is below.
    pub fn is_block_error(&self) -> bool {
        match &self.0.kind {
            DagErrorKind::Missing
            | DagErrorKind::BadNode { .. }
            | DagErrorKind::UnknownCodec(_) => true,
            DagErrorKind::OverBudget { budget, .. } => {
                matches!(budget, Budget::Links | Budget::Values | Budget::Nesting)
            }
            DagErrorKind::Car(error) => {
                error.is_block_error()
                    || matches!(
                        error.kind(),
                        ErrorKind::NotAllScanned | ErrorKind::Truncated(Part::Data)
                    )
            }
            _ => false,
        }
    }
}

impl fmt::Display for DagError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.kind {
            DagErrorKind::Car(_) => f.write_str("cannot read or write a block")?,
            DagErrorKind::Missing => f.write_str("missing block")?,
            DagErrorKind::BadNode { codec, what } => {
                write!(f, "invalid {}: {what}", CodecName(*codec))?
            }
            DagErrorKind::UnknownCodec(codec) => {
                write!(f, "the links of codec {codec:#x} are not known")?
            }
            DagErrorKind::OverBudget { budget, limit } => write!(f, "more than {limit} {budget}")?,
            DagErrorKind::BadSelector(what) => write!(f, "invalid selector: {what}")?,
            DagErrorKind::UnsupportedSelector(part) => {
                write!(f, "selectors with {part} are not supported")?
            }
            DagErrorKind::PartTooSmall { needed, limit } => {
                write!(f, "a part needs {needed} bytes, over the limit of {limit}")?
            }
        }
        if let Some(offset) = self.0.offset {
            write!(f, " at byte {offset}")?;
        }
        if let Some(cid) = &self.0.cid {
            write!(f, " of {cid}")?;
        }
        match &self.0.parent {
            Some(parent) => write!(f, ", linked by {parent}"),
            None => Ok(()),
        }
    }
}

/// The name of a codec in messages.
struct CodecName(u64);

impl fmt::Display for CodecName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            codec::DAG_PB => f.write_str("dag-pb"),
            codec::DAG_CBOR => f.write_str("dag-cbor"),
            codec::DAG_JSON => f.write_str("dag-json"),
            other => write!(f, "block of codec {other:#x}"),
        }
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Budget::Blocks => "blocks in the DAG",
            Budget::Bytes => "bytes in the DAG",
            Budget::Depth => "blocks on the way from the root",
            Budget::Waiting => "links that wait to be followed",
            Budget::Seen => "blocks to remember",
            Budget::Links => "links in a block",
            Budget::Values => "values in a block",
            Budget::Nesting => "values inside of each other",
        })
    }
}

impl StdError for DagError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0.kind {
            DagErrorKind::Car(cause) => Some(cause),
            _ => None,
        }
    }
}

impl From<Error> for DagError {
    fn from(error: Error) -> Self {
        DagError::new(DagErrorKind::Car(error))
    }
}

impl From<DagError> for io::Error {
    fn from(error: DagError) -> Self {
        let kind = match &error.0.kind {
            DagErrorKind::Car(cause) => match cause.kind() {
                ErrorKind::Io(cause) => cause.kind(),
                _ => io::ErrorKind::InvalidData,
            },
            DagErrorKind::Missing => io::ErrorKind::NotFound,
            DagErrorKind::UnknownCodec(_) | DagErrorKind::UnsupportedSelector(_) => {
                io::ErrorKind::Unsupported
            }
            DagErrorKind::BadSelector(_) | DagErrorKind::PartTooSmall { .. } => {
                io::ErrorKind::InvalidInput
            }
            _ => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, error)
    }
}
