//! What can be wrong with a store.

use std::fmt;

use super::walk::IncompleteRoot;
use crate::error::Error;
use crate::name::{Hash, text_of};

/// Something that is wrong.
#[derive(Debug)]
#[non_exhaustive]
pub enum Finding {
    /// A pack of the index, or of a root, is not there.
    MissingPack(Hash),
    /// A pack of the index is there, and the listing leaves it out: what else it leaves out, nobody knows.
    NotListed(Hash),
    /// A pack has another length than the index says.
    WrongSize {
        /// The pack.
        pack: Hash,
        /// Its length in the index.
        indexed: u64,
        /// Its length.
        found: u64,
    },
    /// A pack is damaged.
    DamagedPack {
        /// The pack.
        name: Hash,
        /// What is wrong with it.
        error: Error,
        /// Whether its sidecar restores it, and which part of the budget that takes, 1 being all of it; an error says why not. `None` if it has none, or
        /// without the feature `parity`.
        parity: Option<Result<f64, Error>>,
    },
    /// The sidecar of a sound pack is damaged, is one of something else, or cannot be read.
    BadSidecar {
        /// The pack.
        pack: Hash,
        /// What is wrong with its sidecar.
        error: Error,
    },
    /// A pack could not be read, or what it is could not be found out: it may be sound, and is neither missing nor damaged as far as anybody knows.
    UnreadablePack {
        /// The pack.
        name: Hash,
        /// What was said instead.
        error: Error,
    },
    /// No segment speaks of a pack. `index rebuild` makes an index that does.
    Unindexed(Hash),
    /// A blob that a pack has is not in the index, or not where it lies.
    MissingEntry {
        /// The pack.
        pack: Hash,
        /// The blob.
        blob: Hash,
    },
    /// The index has more entries for blobs of a pack than the pack has.
    ExtraEntries {
        /// The pack.
        pack: Hash,
        /// How many more.
        count: u64,
    },
    /// A segment of the index is damaged.
    DamagedSegment(String),
    /// The root block of a root is not in the index.
    MissingRoot(Hash),
    /// Something under a root is not there, though all packs are that its record names.
    IncompleteRoot(IncompleteRoot),
    /// The record of a root is damaged, or cannot be read. Where it is damaged, and a pack names the root, `index rebuild` makes another one.
    DamagedRoot(Error),
    /// Something stands beside the records of roots that is none, and that nobody looks at.
    OddKey(String),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingPack(name) => write!(f, "pack {} is missing", text_of(name)),
            Self::NotListed(name) => {
                write!(f, "pack {} is there, and the listing leaves it out", text_of(name))
            }
            Self::WrongSize { pack, indexed, found } => {
                let name = text_of(pack);
                write!(f, "pack {name} has {found} bytes, and the index says {indexed}")
            }
            Self::DamagedPack { error, parity, .. } => {
                write!(f, "damaged pack: {error}")?;
                match parity {
                    None => Ok(()),
                    Some(Ok(used)) => {
                        write!(
                            f,
                            "; its parity restores it, {:.1} % of which that takes",
                            used * 100.0
                        )
                    }
                    Some(Err(error)) => write!(f, "; its parity does not restore it: {error}"),
                }
            }
            Self::BadSidecar { error, .. } => write!(f, "bad parity: {error}"),
            Self::UnreadablePack { error, .. } => write!(f, "a pack cannot be read: {error}"),
            Self::Unindexed(name) => write!(f, "pack {} is not in the index", text_of(name)),
            Self::MissingEntry { pack, blob } => {
                let (pack, blob) = (text_of(pack), text_of(blob));
                write!(f, "the index does not have blob {blob} where it lies in pack {pack}")
            }
            Self::ExtraEntries { pack, count } => {
                let name = text_of(pack);
                write!(
                    f,
                    "{count} entries of the index for pack {name} lead to no blob: `index rebuild` makes it again"
                )
            }
            Self::DamagedSegment(what) => write!(f, "damaged index: {what}"),
            Self::MissingRoot(root) => {
                write!(f, "root {} is not in the index", text_of(root))
            }
            Self::IncompleteRoot(IncompleteRoot { root, block, error }) => {
                write!(f, "root {root} is incomplete: block {block} ")?;
                match error {
                    None => f.write_str("is not there"),
                    Some(error) => write!(f, "cannot be read: {error}"),
                }
            }
            Self::DamagedRoot(error) if error.is_malformed() => {
                write!(f, "damaged root: {error}")
            }
            Self::DamagedRoot(error) => {
                write!(f, "the record of a root cannot be read: {error}")
            }
            Self::OddKey(key) => write!(f, "{key} is no record of a root, and is left alone"),
        }
    }
}
