//! An index and where it is stored, as a reader of blocks uses it.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use crate::error::{Error, ErrorKind, Result};
use crate::index::{IndexBuilder, Offsets, Table, offsets_in};
use crate::read_at::{AtReader, ReadAt};
use crate::{CarReader, Cid, IndexCodec, ReaderOptions, ScanOptions, scan_sections};

/// An index that came with the CAR.
pub(super) struct Stored {
    pub(super) table: Table,
    /// `None`: it lies in the CAR itself.
    pub(super) source: Option<Box<dyn ReadAt + Send + Sync>>,
}

/// An index that was made by reading the payload.
pub(super) struct Made {
    table: Table,
    bytes: Spool,
    /// What ended the scan before the payload did.
    pub(super) stopped: Option<Error>,
}

enum Spool {
    Memory(Vec<u8>),
    File(File),
}

impl Made {
    /// Goes over all sections. A fault of the payload ends the scan, and what stands before it is indexed; one of the environment is
    /// an error.
    pub(super) fn scan<R: ReadAt>(source: &R, options: ReaderOptions) -> Result<Self> {
        let mut reader = CarReader::open_seekable(AtReader::new(source), options)?;
        let start = reader.payload_start();
        Self::of(start, |builder| builder.add_all(&mut reader))
    }

    /// The same on several threads.
    pub(super) fn scan_with<R: ReadAt + Sync>(
        source: &R,
        start: u64,
        options: ReaderOptions,
        settings: ScanOptions,
    ) -> Result<Self> {
        Self::of(start, |builder| {
            scan_sections(source, options, settings, |section| {
                builder.add(&section.cid, section.offset)
            })
        })
    }

    /// An index of what is added. The payload starts at `start`.
    fn of(start: u64, add: impl FnOnce(&mut IndexBuilder) -> Result<()>) -> Result<Self> {
        let mut builder = IndexBuilder::new(IndexCodec::MultihashSorted);
        let stopped = match add(&mut builder) {
            Ok(()) => None,
            Err(error) if matches!(error.kind(), ErrorKind::Io(_)) => return Err(error),
            Err(error) => Some(error),
        };
        let sorted = builder.finish()?;
        let len = sorted.encoded_len();
        let write = || -> io::Result<Spool> {
            if len <= MEMORY {
                let mut bytes = Vec::new();
                sorted.write(&mut bytes)?;
                return Ok(Spool::Memory(bytes));
            }
            let mut out = BufWriter::new(tempfile::tempfile()?);
            sorted.write(&mut out)?;
            out.flush()?;
            Ok(Spool::File(out.into_inner().map_err(io::IntoInnerError::into_error)?))
        };
        let bytes = write().map_err(|error| Error::at(ErrorKind::Io(error), 0).with_base(start))?;
        let table = Table::read(&bytes, 0..len, None)?;
        Ok(Made { table, bytes, stopped })
    }

    pub(super) fn offsets(&self, cid: &Cid) -> Result<Offsets<'_, dyn ReadAt + '_>> {
        offsets_in(&self.bytes, &self.table, cid.hash())
    }

    /// Whether a section of this hash starts at this offset, as far as the scan has come: behind its end anything may.
    pub(super) fn may_have(&self, cid: &Cid, offset: u64) -> Result<bool> {
        let end = self.stopped.as_ref().map_or(u64::MAX, |stop| stop.offset().unwrap_or(0));
        if offset >= end {
            return Ok(true);
        }
        for found in self.offsets(cid)? {
            if found? == offset {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl ReadAt for Spool {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            Spool::Memory(bytes) => bytes.read_at(buf, offset),
            Spool::File(file) => ReadAt::read_at(file, buf, offset),
        }
    }

    fn size(&self) -> io::Result<u64> {
        match self {
            Spool::Memory(bytes) => bytes.size(),
            Spool::File(file) => file.size(),
        }
    }
}

/// An index of so many bytes is kept in memory.
const MEMORY: u64 = 64 << 20;
