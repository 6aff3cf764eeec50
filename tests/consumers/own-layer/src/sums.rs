//! The layer of this program: a checksum behind every block of 1,000 bytes.
//!
//! Stored stream: `block ‖ CRC-32C of the block`, again and again; the last block may be shorter. The end is left to the layer below, which
//! authenticates it.

use std::io::{self, Write};

use carstone_layer::{Hint, LayerId, LayerSlot, LayerWrite, ReadAt, crc32c, read_full};

const BLOCK: usize = 1_000;
const SUM: usize = 4;

/// The slot of this layer: an id for private use.
pub const SLOT: LayerSlot = LayerSlot { id: LayerId(100), algorithm: 0, unit: BLOCK as u32 };

/// Adds the checksums.
#[must_use = "the last block is written by `finish`"]
pub struct SumWriter<W> {
    inner: W,
    block: Vec<u8>,
    broken: bool,
}

impl<W: Write> SumWriter<W> {
    /// Writes to `inner`.
    pub fn new(inner: W) -> Self {
        Self { inner, block: Vec::with_capacity(BLOCK + SUM), broken: false }
    }

    /// Writes the last block, and gives the writer below back.
    pub fn finish(mut self) -> io::Result<W> {
        self.usable()?;
        self.emit()?;
        self.inner.flush()?;
        Ok(self.inner)
    }

    fn emit(&mut self) -> io::Result<()> {
        if !self.block.is_empty() {
            let sum = crc32c(&[&self.block]);
            self.block.extend_from_slice(&sum.to_le_bytes());
            self.broken = true; // Half a block may have gone out.
            self.inner.write_all(&self.block)?;
            self.broken = false;
            self.block.clear();
        }
        Ok(())
    }

    fn usable(&self) -> io::Result<()> {
        match self.broken {
            true => Err(io::Error::other("an earlier write of checksums failed")),
            false => Ok(()),
        }
    }
}

impl<W: Write> Write for SumWriter<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.usable()?;
        if self.block.len() == BLOCK && !buf.is_empty() {
            self.emit()?;
        }
        let n = buf.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&buf[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.usable()?;
        self.inner.flush()
    }
}

impl<W: LayerWrite> LayerWrite for SumWriter<W> {
    type Sink = W::Sink;

    fn hint(&mut self, hint: Hint) -> io::Result<()> {
        self.inner.hint(hint)
    }

    fn finish_stack(self: Box<Self>) -> io::Result<W::Sink> {
        Box::new((*self).finish()?).finish_stack()
    }
}

/// Checks the sums and takes them away.
pub struct SumReader<R> {
    inner: R,
    len: u64,
}

impl<R: ReadAt> SumReader<R> {
    /// Reads from `inner`.
    pub fn open(inner: R) -> io::Result<Self> {
        let stored = inner.size()?;
        let (full, rest) = (stored / (BLOCK + SUM) as u64, stored % (BLOCK + SUM) as u64);
        let len = match rest {
            0 => Some(0),
            rest => rest.checked_sub(SUM as u64).filter(|&len| len > 0),
        };
        let invalid = || io::Error::new(io::ErrorKind::InvalidData, "half a checksum at the end");
        Ok(Self { inner, len: full * BLOCK as u64 + len.ok_or_else(invalid)? })
    }
}

impl<R: ReadAt> ReadAt for SumReader<R> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset >= self.len || buf.is_empty() {
            return Ok(0);
        }
        let (block, skip) = (offset / BLOCK as u64, (offset % BLOCK as u64) as usize);
        let mut stored = [0; BLOCK + SUM];
        let there = read_full(&self.inner, &mut stored, block * (BLOCK + SUM) as u64)?;
        let (plain, sum) = stored[..there].split_at(there.saturating_sub(SUM));
        if crc32c(&[plain]).to_le_bytes() != sum {
            let message = format!("block {block} does not match its checksum");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let n = plain.len().saturating_sub(skip).min(buf.len());
        buf[..n].copy_from_slice(&plain[skip..skip + n]);
        Ok(n)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.len)
    }
}
