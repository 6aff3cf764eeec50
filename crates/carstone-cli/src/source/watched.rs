//! Work that ends in order once a signal has come.

use std::io::{self, Read, Write};

use carstone::car;
use carstone::layer::ReadAt;
use carstone::parity::WriteAt;

use crate::signals;

/// A file or pipe whose reads and writes fail once a signal has come, so that long work ends in order.
pub(crate) struct Watched<T>(pub T);

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        signals::check()?;
        self.0.read(buf)
    }
}

impl<W: Write> Write for Watched<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        signals::check()?;
        self.0.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<R: ReadAt> ReadAt for Watched<R> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        signals::check()?;
        self.0.read_at(buf, offset)
    }

    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }
}

impl<W: WriteAt> WriteAt for Watched<W> {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        signals::check()?;
        self.0.write_all_at(bytes, offset)
    }
}

impl<R: car::ReadAt> car::ReadAt for Watched<R> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        signals::check()?;
        self.0.read_at(buf, offset)
    }

    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }
}
