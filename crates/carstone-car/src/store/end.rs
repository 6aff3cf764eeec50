//! Finishing a file, or leaving it as it was.

use std::io::{self, BufWriter, Write};

use super::car_store::CarStore;
use super::disk::Disk;
use super::journal::Journal;
use super::options::SyncPolicy;
use super::writer::Stage;
use crate::error::{Error, ErrorKind, Result};
use crate::index::IndexBuilder;
use crate::v2::{V2_PRAGMA, frame, write_zeros};

impl CarStore {
    /// Finishes the file: index, then header. With an [`IndexedCar`](crate::IndexedCar) it can be read on. A file that was finished, and into which
    /// nothing has been put, stays as it is.
    ///
    /// Where this fails, the file is unfinished or finished, and has all blocks: it can be opened again. The counterpart of `Finalize` in
    /// go-car.
    pub fn finalize(self) -> Result<()> {
        let (disk, options, seen, mut writer) = self.into_parts();
        if let Stage::Finished(..) = writer.stage {
            return writer.check_usable();
        }
        let frame = frame(&options.file, seen.end);
        let unfinished = writer.begin(&*disk, frame.data_end())?;
        let is_synced = options.sync != SyncPolicy::Never || unfinished.is_relied_on;
        let index = seen.catalog.index.map(IndexBuilder::finish).transpose()?;
        writer.guard(|| {
            let mut out = BufWriter::new(Appender { disk: &*disk, at: frame.data_end() });
            if let Some(index) = &index {
                write_zeros(&mut out, options.file.index_padding)?;
                index.write(&mut out)?;
            }
            out.flush()?;
            drop(out);
            if is_synced {
                disk.sync()?;
            }
            // The last thing that is written, since it says that all the rest is there.
            disk.write_at(&frame.encode(), V2_PRAGMA.len() as u64)?;
            if is_synced {
                disk.sync()?;
                disk.sync_name()?;
            }
            match unfinished.has_journal {
                true => disk.remove_journal(),
                false => Ok(()),
            }
        })
    }

    /// Makes the file what it was when it was last finished. One that never was is removed.
    ///
    /// A file that was unfinished when it was opened is removed too, with all blocks that were in it. Dropping the store instead leaves
    /// it unfinished, so that it can be [opened](Self::open) again: that is what `Discard` does in go-car.
    pub fn discard(self) -> Result<()> {
        let (disk, _, _, writer) = self.into_parts();
        match writer.stage {
            Stage::Finished(..) => Ok(()),
            Stage::Unfinished(unfinished) if unfinished.has_journal => match Journal::open(&*disk)?
            {
                Some(journal) => journal.restore(&*disk),
                None => Err(Error::new(ErrorKind::BadJournal("it is gone"))),
            },
            Stage::Unfinished(_) => disk.remove().map_err(|error| Error::new(ErrorKind::Io(error))),
        }
    }
}

/// Writes to a disk, from a place on.
struct Appender<'a> {
    disk: &'a dyn Disk,
    at: u64,
}

impl Write for Appender<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.disk.write_at(bytes, self.at)?;
        self.at = self.at.saturating_add(bytes.len() as u64);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
