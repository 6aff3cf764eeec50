//! What entries are written to: a pack, or a plain CAR.

use std::io::{self, Read, Seek, Write};

use carstone_layer::LayerWrite;

use crate::entry::Metadata;
use crate::plain::PlainWriter;
use crate::writer::{EntryId, PackWriter, Problem};

/// Opens and reads a small file, on a worker thread. Gives its content, and whether the source changed while it
/// was read.
pub type SmallFile = Box<dyn FnOnce() -> io::Result<(Vec<u8>, bool)> + Send>;

/// Takes entries, in any order but for hard links, which come after their original.
///
/// [`PackWriter`] and [`PlainWriter`] take the same entries; what each method does stands there.
pub trait EntrySink {
    /// The most bytes of content that [`add_small_file`](Self::add_small_file) takes.
    fn chunk_size(&self) -> usize;

    /// Whether an entry under this path can be held at all. Where not, reading its content is in vain.
    fn holds(&self, path: &[u8]) -> bool;

    /// Adds a directory.
    ///
    /// # Errors
    /// A path that cannot stand in a pack, or whatever the sink gives.
    fn add_directory(&mut self, path: &[u8], metadata: Metadata) -> io::Result<EntryId>;

    /// Adds a symlink.
    ///
    /// # Errors
    /// As [`add_directory`](Self::add_directory).
    fn add_symlink(
        &mut self,
        path: &[u8],
        target: &[u8],
        metadata: Metadata,
    ) -> io::Result<EntryId>;

    /// Adds another name of the entry `original`, to which hard links were [expected](Self::expect_hard_links).
    ///
    /// # Errors
    /// As [`add_directory`](Self::add_directory).
    fn add_hard_link(
        &mut self,
        path: &[u8],
        original: EntryId,
        original_path: &[u8],
        metadata: Metadata,
    ) -> io::Result<EntryId>;

    /// Says that hard links to an entry that was just added will come.
    fn expect_hard_links(&mut self, id: EntryId);

    /// Adds a file of at most [`chunk_size`](Self::chunk_size) bytes that a worker opens and reads; `size` is what it is expected to give, in bytes.
    ///
    /// # Errors
    /// As [`add_directory`](Self::add_directory). What `open` gives becomes a [`Problem`].
    fn add_small_file(
        &mut self,
        path: &[u8],
        metadata: Metadata,
        size: usize,
        open: SmallFile,
    ) -> io::Result<EntryId>;

    /// Opens a file of unknown length.
    ///
    /// # Errors
    /// As [`add_directory`](Self::add_directory).
    fn start_entry(&mut self, path: &[u8], metadata: Metadata) -> io::Result<EntryId>;

    /// Appends all that `reader` gives to an open file; `seen` hears how many bytes came.
    ///
    /// # Errors
    /// Whatever the sink or `reader` gives; the entry stays open.
    fn fill_entry(
        &mut self,
        id: EntryId,
        reader: &mut dyn Read,
        seen: &mut dyn FnMut(usize),
    ) -> io::Result<()>;

    /// Ends an open file.
    ///
    /// # Errors
    /// Whatever the sink gives.
    fn end_entry(&mut self, id: EntryId) -> io::Result<()>;

    /// Ends an open file whose source changed while it was read.
    ///
    /// # Errors
    /// Whatever the sink gives.
    fn end_changed_entry(&mut self, id: EntryId) -> io::Result<()>;

    /// Gives an open file up.
    ///
    /// # Errors
    /// Whatever the sink gives.
    fn abandon_entry(&mut self, id: EntryId) -> io::Result<()>;

    /// Waits for everything that was added, and writes it. From then on [`take_problems`](Self::take_problems) has told all.
    ///
    /// # Errors
    /// Whatever the sink gives.
    fn settle(&mut self) -> io::Result<()>;

    /// Takes what went wrong with single entries since the last call.
    fn take_problems(&mut self) -> Vec<Problem>;
}

/// Both writers have the methods of the trait under the same names.
macro_rules! entry_sink {
    ($writer:ty, [$($bounds:tt)*], |$path:ident| $holds:expr) => {
        impl<$($bounds)*> EntrySink for $writer {
            fn chunk_size(&self) -> usize {
                <$writer>::chunk_size(self)
            }
            fn holds(&self, $path: &[u8]) -> bool {
                $holds
            }
            fn add_directory(&mut self, path: &[u8], metadata: Metadata) -> io::Result<EntryId> {
                <$writer>::add_directory(self, path, metadata)
            }
            fn add_symlink(
                &mut self,
                path: &[u8],
                target: &[u8],
                metadata: Metadata,
            ) -> io::Result<EntryId> {
                <$writer>::add_symlink(self, path, target, metadata)
            }
            fn add_hard_link(
                &mut self,
                path: &[u8],
                original: EntryId,
                original_path: &[u8],
                metadata: Metadata,
            ) -> io::Result<EntryId> {
                <$writer>::add_hard_link(self, path, original, original_path, metadata)
            }
            fn expect_hard_links(&mut self, id: EntryId) {
                <$writer>::expect_hard_links(self, id)
            }
            fn add_small_file(
                &mut self,
                path: &[u8],
                metadata: Metadata,
                size: usize,
                open: SmallFile,
            ) -> io::Result<EntryId> {
                <$writer>::add_small_file(self, path, metadata, size, open)
            }
            fn start_entry(&mut self, path: &[u8], metadata: Metadata) -> io::Result<EntryId> {
                <$writer>::start_entry(self, path, metadata)
            }
            fn fill_entry(
                &mut self,
                id: EntryId,
                reader: &mut dyn Read,
                seen: &mut dyn FnMut(usize),
            ) -> io::Result<()> {
                <$writer>::fill_entry(self, id, reader, seen)
            }
            fn end_entry(&mut self, id: EntryId) -> io::Result<()> {
                <$writer>::end_entry(self, id)
            }
            fn end_changed_entry(&mut self, id: EntryId) -> io::Result<()> {
                <$writer>::end_changed_entry(self, id)
            }
            fn abandon_entry(&mut self, id: EntryId) -> io::Result<()> {
                <$writer>::abandon_entry(self, id)
            }
            fn settle(&mut self) -> io::Result<()> {
                <$writer>::settle(self)
            }
            fn take_problems(&mut self) -> Vec<Problem> {
                <$writer>::take_problems(self)
            }
        }
    };
}

entry_sink!(PackWriter<W>, [W: LayerWrite], |_path| true);
entry_sink!(PlainWriter<W>, [W: Write + Seek], |path| std::str::from_utf8(path).is_ok());
