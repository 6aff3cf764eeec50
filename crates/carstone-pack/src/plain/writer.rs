//! Writes a plain CAR: entries in, a CAR with one root out.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, Write};

use carstone_car::multihash::Multihash;
use carstone_car::{Cid, codec, digest_len};
use carstone_unixfs::{CidVersion, Leaves, Profile};

use super::settle::PlainSettled;
use crate::entry::{EntryKind, Metadata};
use crate::writer::front::Front;
use crate::writer::jobs::Ending;
use crate::writer::{EntryId, PackOptions, Problem, Summary, small_file};

/// Writes the DAG of a tree as a standard CAR with one root (`docs/format.md`, section 9), each block once, children before
/// parents, the root last. It is a CARv1, unless [`PackOptions::plain`] says otherwise.
///
/// Mode, modification time, owner and attributes are lost; a hard link is one more link to the same file. Names that are not
/// UTF-8 are left out, and a [`Problem`] says so. The root is the one that a [`PackWriter`](crate::PackWriter) gives for the same entries.
///
/// The root is known at the end only: [`finish`](Self::finish) writes it over a placeholder. For sinks that cannot seek there are
/// [`spooled`](Self::spooled) and [`finish_to`](Self::finish_to).
///
/// ```
/// use std::io::Cursor;
/// use carstone_pack::{Metadata, PlainWriter};
///
/// let mut writer = PlainWriter::new(Cursor::new(Vec::new()))?;
/// writer.add_file(b"walls/stone", Metadata::default(), &b"sand, layered"[..])?;
/// let (car, summary) = writer.finish()?;
/// let car = carstone_car::CarReader::open(car.get_ref().as_slice())?;
/// assert_eq!(car.roots(), [summary.root]);
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "the CAR has no root until `finish` has returned `Ok`"]
pub struct PlainWriter<W: Write + Seek> {
    front: Front<PlainSettled<W>>,
    profile: Profile,
}

impl<W: Write + Seek> PlainWriter<W> {
    /// Starts a CAR where the sink stands.
    ///
    /// # Errors
    /// Whatever the sink gives.
    pub fn new(sink: W) -> io::Result<Self> {
        Self::with_options(sink, PackOptions::default())
    }

    /// Starts a CAR with other settings than the default.
    ///
    /// # Errors
    /// Whatever the sink gives.
    pub fn with_options(sink: W, options: PackOptions) -> io::Result<Self> {
        let profile = options.profile.clone();
        let settled = PlainSettled::new(sink, &placeholder(&options), &options)?;
        Ok(Self { front: Front::new(settled, &options), profile })
    }

    /// Bytes of the CAR written so far, without what a CARv2 has around it.
    pub fn position(&self) -> u64 {
        self.front.position()
    }

    /// The most bytes of content that [`add_small_file`](Self::add_small_file) takes.
    pub fn chunk_size(&self) -> usize {
        small_file(&self.profile)
    }

    /// Takes what went wrong with single entries since the last call.
    pub fn take_problems(&mut self) -> Vec<Problem> {
        self.front.take_problems()
    }

    /// Adds a directory.
    ///
    /// # Errors
    /// A path that cannot stand in a pack, or whatever the sink gives.
    pub fn add_directory(&mut self, path: &[u8], _: Metadata) -> io::Result<EntryId> {
        self.front.add(path, EntryKind::Directory, Metadata::default(), None, None)
    }

    /// Adds a symlink that points to `target`.
    ///
    /// # Errors
    /// As [`add_directory`](Self::add_directory).
    pub fn add_symlink(&mut self, path: &[u8], target: &[u8], _: Metadata) -> io::Result<EntryId> {
        self.front.add(path, EntryKind::Symlink, Metadata::default(), Some(target), None)
    }

    /// Says that hard links to an entry that was just added will come.
    pub fn expect_hard_links(&mut self, id: EntryId) {
        self.front.expect_hard_links(id);
    }

    /// Adds another name of the file or symlink `original`, to which hard links were [expected](Self::expect_hard_links).
    ///
    /// # Errors
    /// As [`add_directory`](Self::add_directory). If the original is lost, a [`Problem`] says so and the link is left out.
    pub fn add_hard_link(
        &mut self,
        path: &[u8],
        original: EntryId,
        original_path: &[u8],
        _: Metadata,
    ) -> io::Result<EntryId> {
        let target = Some(original_path);
        self.front.add(path, EntryKind::HardLink, Metadata::default(), target, Some(original))
    }

    /// Adds a file whose content is read here and now, however long it is.
    ///
    /// # Errors
    /// As [`add_directory`](Self::add_directory). When `reader` fails, the entry is left out and the error returned; the
    /// CAR goes on.
    pub fn add_file(&mut self, path: &[u8], _: Metadata, reader: impl Read) -> io::Result<EntryId> {
        self.front.add_file(path, Metadata::default(), reader)
    }

    /// Adds a file of at most [`chunk_size`](Self::chunk_size) bytes that a worker opens and reads.
    ///
    /// # Errors
    /// As [`add_directory`](Self::add_directory). What `open` gives becomes a [`Problem`].
    pub fn add_small_file(
        &mut self,
        path: &[u8],
        _: Metadata,
        size: usize,
        open: impl FnOnce() -> io::Result<(Vec<u8>, bool)> + Send + 'static,
    ) -> io::Result<EntryId> {
        self.front.add_small_file(path, Metadata::default(), size, open)
    }

    /// Opens a file of unknown length. Many may be open at once.
    ///
    /// # Errors
    /// As [`add_directory`](Self::add_directory).
    pub fn start_entry(&mut self, path: &[u8], _: Metadata) -> io::Result<EntryId> {
        self.front.start_entry(path, Metadata::default())
    }

    /// Appends to an open file.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchEntry`](crate::ErrorKind::NoSuchEntry) when it is not open, or whatever the sink gives.
    pub fn append(&mut self, id: EntryId, bytes: &[u8]) -> io::Result<()> {
        self.front.append(id, bytes)
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

    /// Gives an open file up. Blocks of it that are already written stay, but nothing links to them.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn abandon_entry(&mut self, id: EntryId) -> io::Result<()> {
        self.front.end(id, Ending::Abandoned)
    }

    /// Waits for everything that was added, and writes it.
    ///
    /// # Errors
    /// Whatever the sink gives.
    pub fn settle(&mut self) -> io::Result<()> {
        self.front.settle()
    }

    /// Writes the directories, puts the root into the header, and gives back the sink, which stands at the end of the CAR.
    ///
    /// # Errors
    /// Whatever the sink gives; two entries under one path; an entry below something that is no directory.
    pub fn finish(self) -> io::Result<(W, Summary)> {
        self.front.finish()?.finish(&self.profile)
    }
}

impl PlainWriter<BufWriter<File>> {
    /// Starts a CAR in an unnamed temporary file, for [`finish_to`](Self::finish_to).
    ///
    /// # Errors
    /// The temporary file cannot be made.
    pub fn spooled(options: PackOptions) -> io::Result<Self> {
        let spool = BufWriter::with_capacity(SPOOL_BUFFER, tempfile::tempfile()?);
        Self::with_options(spool, options)
    }

    /// Finishes a [`spooled`](Self::spooled) CAR, and copies it into a sink that need not seek.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub fn finish_to<S: Write>(self, mut sink: S) -> io::Result<(S, Summary)> {
        let (spool, summary) = self.finish()?;
        let mut spool = spool.into_inner().map_err(io::IntoInnerError::into_error)?;
        spool.rewind()?;
        io::copy(&mut spool, &mut sink)?;
        sink.flush()?;
        Ok((sink, summary))
    }
}

/// Stands in the header until the root is known, and is as long. No block hashes to it.
fn placeholder(options: &PackOptions) -> Cid {
    let function = options.profile.hash();
    let (zeros, len) = ([0; 64], digest_len(function).unwrap_or_default());
    let hash = Multihash::wrap(function, zeros.get(..len).unwrap_or_default());
    let nobody = Cid::new_v1(codec::DAG_PB, hash.unwrap_or_default());
    let is_raw = !options.wrap && options.leaf_root && options.profile.leaves() == Leaves::Raw;
    match options.profile.cid_version() {
        CidVersion::V0 if !is_raw => Cid::new_v0(*nobody.hash()).unwrap_or(nobody), // Every SHA-256 has one.
        _ => nobody,
    }
}

const SPOOL_BUFFER: usize = 256 << 10;
