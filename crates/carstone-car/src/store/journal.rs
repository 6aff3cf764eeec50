//! What makes a finished file whole again that is being written to: its old header, and the bytes behind its payload.
//!
//! Integers are little-endian.
//!
//! ```text
//! magic 8 ‖ length of the CAR u64 ‖ header of the CARv2 40 ‖ fingerprint 32 ‖ tail ‖ checksum 32
//! ```
//!
//! The *tail* is what stands behind the payload, padding and index, up to the end of the CAR. The *fingerprint* is the SHA-256 of the
//! first and the last 4,096 bytes of the payload (or of all of it, twice, if it is shorter), the *checksum* that of all before it.

use sha2::{Digest, Sha256};

use super::disk::{Disk, copy_range};
use crate::error::{Error, ErrorKind, Result};
use crate::read_at::{ReadAt, read_full};
use crate::v2::{V2_PRAGMA, V2Header};

/// A journal that is sound.
pub(super) struct Journal {
    source: Box<dyn ReadAt + Send + Sync>,
    pub(super) header: V2Header,
    /// Length of the CAR when it was finished.
    car_len: u64,
    fingerprint: [u8; 32],
}

impl Journal {
    /// Makes the journal of a finished CAR that has this header and length.
    pub(super) fn make(disk: &dyn Disk, header: &V2Header, car_len: u64) -> Result<()> {
        let io = |error| Error::new(ErrorKind::Io(error));
        // Who writes to the file without a store has no lock to hold to.
        let mut there = [0; V2Header::LEN];
        let at = V2_PRAGMA.len() as u64;
        let read = read_full(disk, &mut there, at).map_err(io)?;
        if read < there.len() || there != header.encode() || disk.size().map_err(io)? != car_len {
            let kind = ErrorKind::BadV2Header("it has been changed since the file was opened");
            return Err(Error::at(kind, at));
        }
        let fingerprint = fingerprint(disk, header)?;
        disk.make_journal(&mut |sink| {
            let mut sum = Sha256::new();
            let mut write = |bytes: &[u8]| {
                sum.update(bytes);
                sink.write_all(bytes)
            };
            write(MAGIC)?;
            write(&car_len.to_le_bytes())?;
            write(&header.encode())?;
            write(&fingerprint)?;
            copy_range(disk, header.data_end(), car_len, write)?;
            sink.write_all(&sum.finalize())
        })
        .map_err(io)
    }

    /// Opens the journal, if there is one, and checks all of it.
    pub(super) fn open(disk: &dyn Disk) -> Result<Option<Self>> {
        let io = |error| Error::new(ErrorKind::Io(error));
        let Some(source) = disk.journal().map_err(io)? else {
            return Ok(None);
        };
        let mut head = [0; HEAD_LEN];
        let read = read_full(&source, &mut head, 0).map_err(io)?;
        let (magic, rest) = head.split_at(MAGIC.len());
        let (car_len, rest) = rest.split_at(8);
        let (header, fingerprint) = rest.split_at(V2Header::LEN);
        if read < head.len() || magic != MAGIC {
            return bad("it is not one");
        }
        let car_len = car_len.iter().rev().fold(0, |n, &byte| (n << 8) | u64::from(byte));
        let header = header.first_chunk().map(|bytes| V2Header::decode(bytes, Some(car_len)));
        let (Some(Ok(header)), Some(&fingerprint)) = (header, fingerprint.first_chunk()) else {
            return bad("its CARv2 header is not valid");
        };
        // Not over `car_len`, which has been compared with the header.
        let end = (car_len - header.data_end()).saturating_add(HEAD_LEN as u64);
        if source.size().map_err(io)? != end.saturating_add(SUM_LEN as u64) {
            return bad("it has another length than it says");
        }
        let (mut sum, mut said) = (Sha256::new(), [0; SUM_LEN]);
        copy_range(&source, 0, end, |bytes| {
            sum.update(bytes);
            Ok(())
        })
        .map_err(io)?;
        read_full(&source, &mut said, end).map_err(io)?;
        if sum.finalize()[..] != said {
            return bad("it does not match its checksum");
        }
        Ok(Some(Journal { source, header, car_len, fingerprint }))
    }

    /// Checks that the journal is that of this CAR, whatever has been done to it since.
    pub(super) fn check_is_of(&self, disk: &dyn Disk) -> Result<()> {
        let len = disk.size().map_err(|error| Error::new(ErrorKind::Io(error)))?;
        match len >= self.header.data_end() && fingerprint(disk, &self.header)? == self.fingerprint
        {
            true => Ok(()),
            false => bad("it belongs to another CAR"),
        }
    }

    /// Whether the bytes behind the payload are those of the finished CAR, as far as there are any: then nothing has been put.
    pub(super) fn has_tail_of(&self, disk: &dyn Disk) -> Result<bool> {
        let io = |error| Error::new(ErrorKind::Io(error));
        let (end, len) = (self.header.data_end(), disk.size().map_err(io)?);
        let (mut equal, mut at, mut there) = (len <= self.car_len, HEAD_LEN as u64, Vec::new());
        if !equal {
            return Ok(false);
        }
        copy_range(disk, end, len, |bytes| {
            there.resize(bytes.len(), 0);
            equal &= read_full(&self.source, &mut there, at)? == bytes.len() && there == bytes;
            at = at.saturating_add(bytes.len() as u64);
            Ok(())
        })
        .map_err(io)?;
        Ok(equal)
    }

    /// Whether the CAR is as long as it was when it was finished.
    pub(super) fn has_len_of(&self, disk: &dyn Disk) -> Result<bool> {
        let len = disk.size().map_err(|error| Error::new(ErrorKind::Io(error)))?;
        Ok(len == self.car_len)
    }

    /// Makes the CAR what it was when it was finished, and removes the journal. Where this stops, it can be begun again.
    pub(super) fn restore(&self, disk: &dyn Disk) -> Result<()> {
        let end = self.header.data_end();
        let mut at = end;
        let mut restore = || {
            // What has been put goes first: a store that is opened in between must not find the rest of it.
            disk.set_len(end)?;
            disk.sync()?;
            let tail = HEAD_LEN as u64;
            let tail_end = tail.saturating_add(self.car_len - end);
            copy_range(&self.source, tail, tail_end, |bytes| {
                disk.write_at(bytes, at)?;
                at = at.saturating_add(bytes.len() as u64);
                Ok(())
            })?;
            disk.sync()?;
            disk.write_at(&self.header.encode(), V2_PRAGMA.len() as u64)?;
            disk.sync()?;
            disk.remove_journal()
        };
        restore().map_err(|error| Error::new(ErrorKind::Io(error)))
    }
}

/// What tells one CAR from another. It does not change while sections are added.
fn fingerprint(disk: &dyn Disk, header: &V2Header) -> Result<[u8; 32]> {
    let mut sum = Sha256::new();
    let (start, end) = (header.data_offset, header.data_end());
    let edge = header.data_size.min(EDGE);
    for at in [start, end.saturating_sub(edge)] {
        copy_range(disk, at, at.saturating_add(edge), |bytes| {
            sum.update(bytes);
            Ok(())
        })
        .map_err(|error| Error::at(ErrorKind::Io(error), at))?;
    }
    Ok(sum.finalize().into())
}

fn bad<T>(what: &'static str) -> Result<T> {
    Err(Error::new(ErrorKind::BadJournal(what)))
}

const MAGIC: &[u8; 8] = b"carjrnl\x01";

/// Bytes before the tail.
const HEAD_LEN: usize = MAGIC.len() + 8 + V2Header::LEN + 32;

const SUM_LEN: usize = 32;

/// Bytes at each end of the payload that a CAR is known by.
const EDGE: u64 = 4096;
