//! Writes a pack: entries in, a CAR stream out, over any pipe of layers.

mod buffers;
pub(crate) mod directories;
mod far;
pub(crate) mod front;
pub(crate) mod jobs;
mod links;
mod options;
pub(crate) mod sections;
mod settle;
mod streamed;

use std::io::{self, Read};

use carstone_car::hash_code;
use carstone_layer::{LayerWrite, PackId};
use carstone_unixfs::{Cid, CidVersion, Layout, Leaves, Profile};

pub use options::{PackOptions, Problem, ProblemKind, Summary};

use crate::entry::{EntryKind, Metadata};
use crate::error::{Error, ErrorKind};
use front::{Front, MAX_BATCH};
use jobs::Ending;
use settle::Settled;

/// Number of an entry, as the writer gave it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EntryId(pub(crate) u64);

/// Writes entries and their content; [`finish`](Self::finish) adds directories, manifest, index and tail.
///
/// Entries are announced in the order in which they are added. Many may be open at once
/// ([`start_entry`](Self::start_entry)); their data is then interleaved. Content is hashed on a pool of threads; the bytes that
/// come out do not depend on how many.
///
/// After an error the writer is broken: the pack has no tail, and reads as cut off.
#[must_use = "the pack has no manifest until `finish` has returned `Ok`"]
pub struct PackWriter<W: LayerWrite> {
    front: Front<Settled<W>>,
    profile: Profile,
}

impl<W: LayerWrite> PackWriter<W> {
    /// Starts a pack whose frames carry `pack`.
    ///
    /// # Errors
    /// Whatever the pipe gives.
    pub fn new(pipe: W, pack: PackId) -> io::Result<Self> {
        Self::with_options(pipe, pack, PackOptions::default())
    }

    /// Starts a pack with other settings than the default.
    ///
    /// # Errors
    /// [`ErrorKind::PlainOnly`] for a profile with other than raw leaves, balanced trees and CIDs of version 1, with another hash function than SHA-256, or with
    /// blocks that their CIDs hold; whatever the pipe gives.
    pub fn with_options(pipe: W, pack: PackId, options: PackOptions) -> io::Result<Self> {
        let profile = options.profile.clone();
        let what = match (profile.leaves(), profile.cid_version()) {
            (Leaves::Raw, CidVersion::V1) if profile.layout() != Layout::Balanced => {
                Some("trees that are not balanced")
            }
            (Leaves::Raw, CidVersion::V1) if profile.inline_limit().is_some() => {
                Some("blocks that are in CIDs")
            }
            (Leaves::Raw, CidVersion::V1) if profile.hash() != hash_code::SHA2_256 => {
                Some("hashes other than SHA-256")
            }
            (Leaves::Raw, CidVersion::V1) => None,
            (Leaves::Raw, _) => Some("CIDs of version 0"),
            _ => Some("leaves that are not raw"),
        };
        if let Some(what) = what {
            return Err(Error::new(ErrorKind::PlainOnly(what), 0).into());
        }
        let settled = Settled::new(pipe, pack, &profile, &options)?;
        Ok(Self { front: Front::new(settled, &options), profile })
    }

    /// Bytes of the CAR stream written so far.
    pub fn position(&self) -> u64 {
        self.front.position()
    }

    /// The most bytes of content that [`add_small_file`](Self::add_small_file) takes.
    pub fn chunk_size(&self) -> usize {
        small_file(&self.profile)
    }

    /// Takes what went wrong with single entries since the last call; the pack goes on without them.
    pub fn take_problems(&mut self) -> Vec<Problem> {
        self.front.take_problems()
    }

    /// Adds a directory.
    ///
    /// # Errors
    /// A path that cannot stand in a pack, or whatever the pipe gives.
    pub fn add_directory(&mut self, path: &[u8], metadata: Metadata) -> io::Result<EntryId> {
        self.front.add(path, EntryKind::Directory, metadata, None, None)
    }

    /// Adds a symlink that points to `target`.
    ///
    /// # Errors
    /// As [`add_directory`](Self::add_directory).
    pub fn add_symlink(
        &mut self,
        path: &[u8],
        target: &[u8],
        metadata: Metadata,
    ) -> io::Result<EntryId> {
        self.front.add(path, EntryKind::Symlink, metadata, Some(target), None)
    }

    /// Says that hard links to an entry that was just added will come. Without this the writer does not keep what they need.
    pub fn expect_hard_links(&mut self, id: EntryId) {
        self.front.expect_hard_links(id);
    }

    /// Adds another name of the file or symlink `original`, which was added before under the path `original_path`.
    ///
    /// # Errors
    /// As [`add_directory`](Self::add_directory). If the original is lost on the way (its source could not be read), or hard links to it
    /// were [not expected](Self::expect_hard_links), a [`Problem`] says so and the link is left out.
    pub fn add_hard_link(
        &mut self,
        path: &[u8],
        original: EntryId,
        original_path: &[u8],
        metadata: Metadata,
    ) -> io::Result<EntryId> {
        let target = Some(original_path);
        self.front.add(path, EntryKind::HardLink, metadata, target, Some(original))
    }

    /// Adds a file whose content is read here and now, however long it is.
    ///
    /// # Errors
    /// As [`add_directory`](Self::add_directory). When `reader` fails, the entry is abandoned and the error returned; the
    /// pack goes on.
    pub fn add_file(
        &mut self,
        path: &[u8],
        metadata: Metadata,
        reader: impl Read,
    ) -> io::Result<EntryId> {
        self.front.add_file(path, metadata, reader)
    }

    /// Adds a file of at most [`chunk_size`](Self::chunk_size) bytes that a worker opens and reads. `open` gives the content and whether the source
    /// changed while it was read; `size` is what it is expected to give.
    ///
    /// # Errors
    /// As [`add_directory`](Self::add_directory). What `open` gives becomes a [`Problem`].
    pub fn add_small_file(
        &mut self,
        path: &[u8],
        metadata: Metadata,
        size: usize,
        open: impl FnOnce() -> io::Result<(Vec<u8>, bool)> + Send + 'static,
    ) -> io::Result<EntryId> {
        self.front.add_small_file(path, metadata, size, open)
    }

    /// Opens a file of unknown length.
    ///
    /// # Errors
    /// As [`add_directory`](Self::add_directory).
    pub fn start_entry(&mut self, path: &[u8], metadata: Metadata) -> io::Result<EntryId> {
        self.front.start_entry(path, metadata)
    }

    /// Appends to an open file.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchEntry`](crate::ErrorKind::NoSuchEntry) when it is not open, or whatever the pipe gives.
    pub fn append(&mut self, id: EntryId, bytes: &[u8]) -> io::Result<()> {
        self.front.append(id, bytes)
    }

    /// Appends bytes to an open file that are to be one leaf, wherever the profile would cut. Files that keep the leaves that they had
    /// keep their root CIDs.
    ///
    /// # Errors
    /// As [`append`](Self::append); more than 8 MiB − 256.
    pub fn append_leaf(&mut self, id: EntryId, leaf: Vec<u8>) -> io::Result<()> {
        self.front.append_leaf(id, leaf, None)
    }

    /// The same of bytes that have been verified under `cid`, the CID of a raw block, so that they need not be hashed again.
    ///
    /// # Errors
    /// As [`append_leaf`](Self::append_leaf).
    pub fn danger_append_verified(
        &mut self,
        id: EntryId,
        leaf: Vec<u8>,
        cid: &Cid,
    ) -> io::Result<()> {
        self.front.append_leaf(id, leaf, Some(*cid))
    }

    /// Adds a file of one leaf of at most [`chunk_size`](Self::chunk_size) bytes, which have been verified under `cid`, the CID of a raw block.
    ///
    /// # Errors
    /// As [`add_directory`](Self::add_directory); more bytes.
    pub fn danger_add_verified(
        &mut self,
        path: &[u8],
        metadata: Metadata,
        content: Vec<u8>,
        cid: &Cid,
    ) -> io::Result<EntryId> {
        if content.len() > self.chunk_size() {
            let (what, limit) = ("bytes in one leaf", self.chunk_size() as u64);
            return Err(Error::new(ErrorKind::Limit { what, limit }, self.position()).into());
        }
        self.front.add_leaf(path, metadata, content, *cid)
    }

    /// Appends all that `reader` gives. `seen` hears how many bytes came, as they come.
    ///
    /// # Errors
    /// As [`append`](Self::append), or whatever `reader` gives; the entry stays open.
    pub fn fill_entry(
        &mut self,
        id: EntryId,
        reader: impl Read,
        seen: impl FnMut(usize),
    ) -> io::Result<()> {
        self.front.fill_entry(id, reader, seen)
    }

    /// Ends an open file.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn end_entry(&mut self, id: EntryId) -> io::Result<()> {
        self.front.end(id, Ending::Whole)
    }

    /// Ends an open file whose source changed while it was read; what was read is kept.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn end_changed_entry(&mut self, id: EntryId) -> io::Result<()> {
        self.front.end(id, Ending::Changed)
    }

    /// Gives an open file up: it will not be in the manifest, and readers drop it.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn abandon_entry(&mut self, id: EntryId) -> io::Result<()> {
        self.front.end(id, Ending::Abandoned)
    }

    /// Waits for everything that was added, and writes it. From then on [`take_problems`](Self::take_problems) has told all.
    ///
    /// # Errors
    /// Whatever the pipe gives.
    pub fn settle(&mut self) -> io::Result<()> {
        self.front.settle()
    }

    /// Writes what is pending, then directory nodes, manifest, index and tail, and gives back the pipe, which is not
    /// finished yet.
    ///
    /// # Errors
    /// Whatever the pipe gives; two entries under one path; an entry below something that is no directory.
    pub fn finish(self) -> io::Result<(W, Summary)> {
        self.front.finish()?.finish(&self.profile)
    }
}

/// Content of so many bytes is one leaf whatever it is, and fits into a batch.
pub(crate) fn small_file(profile: &Profile) -> usize {
    profile.chunker().min().min(MAX_BATCH)
}
