//! The one writer of a store: where it stands, and how it changes the file.

use super::disk::Disk;
use super::journal::Journal;
use crate::Cid;
use crate::error::{Error, ErrorKind, Result};
use crate::section::EncodedHead;
use crate::v2::{V2_PRAGMA, V2Header};

/// What only one thread at a time may do.
pub(super) struct Writer {
    pub(super) stage: Stage,
    /// Bytes that have been written since the last sync.
    pub(super) unsynced: u64,
    /// Whether nobody knows what is in the file: something failed that could not be undone.
    pub(super) is_broken: bool,
    buffer: Vec<u8>,
}

/// What the file is.
#[derive(Clone, Copy)]
pub(super) enum Stage {
    /// Finished, with this header and length, and untouched.
    Finished(V2Header, u64),
    Unfinished(Unfinished),
}

#[derive(Clone, Copy)]
pub(super) struct Unfinished {
    /// Whether nothing stands behind the last section.
    pub(super) is_cut: bool,
    /// Whether the file was finished before, and a journal says what it was.
    pub(super) has_journal: bool,
    /// Whether the name of the file is known to be on disk.
    pub(super) has_name: bool,
    /// Whether somebody may rely on what is on disk: all but new files that have never been synced.
    pub(super) is_relied_on: bool,
}

impl Writer {
    pub(super) fn new(stage: Stage, unsynced: u64) -> Self {
        Writer { stage, unsynced, is_broken: false, buffer: Vec::new() }
    }

    pub(super) fn check_usable(&self) -> Result<()> {
        match self.is_broken {
            true => Err(Error::new(ErrorKind::Broken)),
            false => Ok(()),
        }
    }

    /// Makes the file one to which sections are added, the next one at this offset. A finished file gets a journal before it is changed.
    pub(super) fn begin(&mut self, disk: &dyn Disk, end: u64) -> Result<Unfinished> {
        self.check_usable()?;
        let mut unfinished = match self.stage {
            Stage::Unfinished(unfinished) => unfinished,
            Stage::Finished(header, len) => {
                Journal::make(disk, &header, len)?;
                let unfinished = Unfinished {
                    is_cut: false,
                    has_journal: true,
                    has_name: true,
                    is_relied_on: true,
                };
                self.stage = Stage::Unfinished(unfinished);
                // From now on a fault leaves a file that only the journal makes whole.
                self.guard(|| {
                    disk.write_at(&[0; V2Header::LEN], V2_PRAGMA.len() as u64)?;
                    disk.set_len(end)
                })?;
                Unfinished { is_cut: true, ..unfinished }
            }
        };
        if !unfinished.is_cut {
            self.guard(|| disk.set_len(end))?;
            unfinished.is_cut = true;
        }
        self.stage = Stage::Unfinished(unfinished);
        Ok(unfinished)
    }

    /// Writes a section at this offset of the file. One that cannot be written as a whole is cut off again.
    ///
    /// Returns the length of its head.
    pub(super) fn write_section(
        &mut self,
        disk: &dyn Disk,
        at: u64,
        cid: &Cid,
        data: &[u8],
    ) -> Result<u64> {
        let head = EncodedHead::new(cid, data.len());
        self.buffer.clear();
        self.buffer.extend_from_slice(head.bytes());
        self.buffer.extend_from_slice(data);
        if let Err(error) = disk.write_at(&self.buffer, at) {
            self.take_back(disk, at);
            return Err(Error::at(ErrorKind::Io(error), at));
        }
        self.unsynced = self.unsynced.saturating_add(self.buffer.len() as u64);
        Ok(head.bytes().len() as u64)
    }

    /// Cuts off what has been written from this offset of the file on.
    pub(super) fn take_back(&mut self, disk: &dyn Disk, at: u64) {
        self.is_broken |= disk.set_len(at).is_err();
    }

    /// Syncs what has been written. After a fault nobody knows what is on disk, so it is final.
    pub(super) fn sync(&mut self, disk: &dyn Disk) -> Result<()> {
        self.check_usable()?;
        let Stage::Unfinished(unfinished) = self.stage else {
            return Ok(()); // It was synced when it was finished.
        };
        if self.unsynced > 0 {
            self.guard(|| disk.sync())?;
            self.unsynced = 0;
        }
        if !unfinished.has_name {
            self.guard(|| disk.sync_name())?;
        }
        let synced = Unfinished { has_name: true, is_relied_on: true, ..unfinished };
        self.stage = Stage::Unfinished(synced);
        Ok(())
    }

    /// Does something after whose failure the file is not to be used.
    pub(super) fn guard(&mut self, work: impl FnOnce() -> std::io::Result<()>) -> Result<()> {
        self.is_broken = true;
        work().map_err(|error| Error::new(ErrorKind::Io(error)))?;
        self.is_broken = false;
        Ok(())
    }
}
