//! The reader that hands out blocks from batches.

use std::fmt;
use std::io::Read;
use std::num::NonZero;
use std::thread;

use super::batch::{Batch, Feed};
use super::sources::{Pieces, Stream};
use super::workers::{Source, Workers};
use crate::error::{Error, ErrorKind, Result};
use crate::header::Header;
use crate::open::Opened;
use crate::options::{Checks, ReaderOptions};
use crate::reader::{Parts, State};
use crate::section::{BlockRef, Section};
use crate::v2::V2Header;
use crate::{AtReader, CarReader, Cid, ReadAt};

/// Reads all blocks from front to back, in large pieces, and verifies them on several threads. They come out in their order.
///
/// This is the fastest way through a CAR: blocks are neither copied nor allocated for, and hashing takes all cores. What it costs is
/// memory, [limited](ScanOptions::budget), and that it reads ahead: of a stream from which bytes come slowly, a
/// [`CarReader`] hands out each block as soon as it is there.
///
/// Errors are those of a [`CarReader`]: after a [block error](Error::is_block_error) the scan goes on, any other one ends it.
///
/// ```
/// use std::io::Cursor;
/// use carstone_car::{CarScan, CarWriter, codec};
/// let mut writer = CarWriter::new(Vec::new(), &[])?;
/// for data in [&b"hello"[..], b"car"] {
///     writer.write_data(codec::RAW, data)?;
/// }
/// let car = writer.finish()?;
///
/// let mut scan = CarScan::open(Cursor::new(car))?; // Threads read the source, so it cannot be borrowed.
/// let mut bytes = 0;
/// while let Some((_section, block)) = scan.next_block()? {
///     bytes += block.data.len();
/// }
/// assert_eq!(bytes, 8);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct CarScan<R> {
    blocks: Blocks<R>,
    opened: Opened,
    /// What is done to a block when it is handed out: nothing where threads have done it.
    checks: Checks,
    /// The batch from which blocks are handed out.
    current: Batch,
    /// Offset behind the last section that was handed out.
    position: u64,
    state: State,
}

/// Where batches come from.
enum Blocks<R> {
    Here(Feed<R>),
    Threads(Workers),
}

/// Options of [`CarScan`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScanOptions {
    /// Threads that hash, the calling one among them. Of a stream with [no verification](ReaderOptions::danger_skip_verification) there are
    /// no others. Default: as many as there are cores.
    pub threads: usize,
    /// Bytes of blocks that are in memory at a time. Each thread has two mebibytes and the section at their end, which may go over
    /// the budget by that section. Default: 64 MiB.
    pub budget: usize,
}

impl ScanOptions {
    /// Sets the number of threads that hash.
    #[must_use]
    pub fn threads(mut self, count: usize) -> Self {
        self.threads = count;
        self
    }

    /// Sets the bytes of blocks that are read ahead.
    #[must_use]
    pub fn budget(mut self, bytes: usize) -> Self {
        self.budget = bytes;
        self
    }
}

impl Default for ScanOptions {
    fn default() -> Self {
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        ScanOptions { threads, budget: 64 << 20 }
    }
}

impl<R: Read + Send + 'static> CarScan<R> {
    /// Reads the header. The CAR starts where `inner` stands.
    pub fn open(inner: R) -> Result<Self> {
        CarScan::with_options(inner, ReaderOptions::default(), ScanOptions::default())
    }

    /// Reads the header, with options.
    pub fn with_options(inner: R, options: ReaderOptions, scan: ScanOptions) -> Result<Self> {
        CarReader::with_options(inner, options).map(|reader| CarScan::from_reader(reader, scan))
    }

    /// Goes on where a reader stands.
    pub fn from_reader(reader: CarReader<R>, scan: ScanOptions) -> Self {
        let car = CarScan::on_this_thread(reader);
        // Nothing is gained by threads that only read, in turns.
        if scan.threads <= 1 || car.checks.is_none() {
            return car;
        }
        car.on_threads(scan, |feed, _| Stream::new(feed))
    }
}

impl<R: ReadAt + Send + Sync + 'static> CarScan<AtReader<R>> {
    /// Reads the header of a source that can be read at several places at once, such as a file, which all threads then do. That is faster
    /// than [one after the other](Self::with_options), most of all where nothing is verified. The CAR starts at the first byte.
    ///
    /// ```
    /// use carstone_car::{CarScan, CarWriter, ReaderOptions, ScanOptions, codec};
    /// let mut writer = CarWriter::new(Vec::new(), &[])?;
    /// writer.write_data(codec::RAW, b"hello")?;
    /// let car = writer.finish()?;
    ///
    /// let mut scan = CarScan::open_at(car, ReaderOptions::default(), ScanOptions::default())?;
    /// assert!(matches!(scan.next_block()?, Some((_, block)) if block.data == b"hello"));
    /// assert!(scan.next_block()?.is_none());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn open_at(source: R, options: ReaderOptions, scan: ScanOptions) -> Result<Self> {
        let car =
            CarScan::on_this_thread(CarReader::open_seekable(AtReader::new(source), options)?);
        if scan.threads <= 1 {
            return Ok(car);
        }
        Ok(car.on_threads(scan, |feed, base| {
            let (reader, cutter) = feed.into_parts();
            Pieces::new(reader.into_inner(), cutter, base)
        }))
    }
}

impl<R> CarScan<R> {
    /// Goes on with threads that take batches from what is made of the feed.
    fn on_threads<S: Source + 'static>(
        mut self,
        scan: ScanOptions,
        source: impl FnOnce(Feed<R>, u64) -> S,
    ) -> Self {
        if let Blocks::Here(feed) = self.blocks {
            let source = source(feed, self.opened.payload_start());
            let workers = Workers::start(source, self.checks, scan.threads - 1, scan.budget);
            self.blocks = Blocks::Threads(workers);
            self.checks = Checks::NONE;
        }
        self
    }
}

impl<R: Read> CarScan<R> {
    /// Goes on where a reader stands, without other threads, for sources that cannot be sent to one.
    pub fn on_this_thread(reader: CarReader<R>) -> Self {
        let Parts { input, opened, options, state } = reader.into_parts();
        let position = input.position();
        let blocks = Blocks::Here(Feed::new(input, options, opened.payload_start()));
        let (checks, current) = (options.checks(), Batch::default());
        CarScan { blocks, opened, checks, current, position, state }
    }

    /// The next block, verified, with its place in the payload; `None` at the end.
    pub fn next_block(&mut self) -> Result<Option<(Section, BlockRef<'_>)>> {
        loop {
            match self.current.advance(self.checks) {
                Some(Ok(())) => break,
                Some(Err(error)) => return Err(error.with_base(self.payload_start())),
                None => {}
            }
            if !self.next_batch()? {
                return Ok(None);
            }
        }
        let block = self.current.current();
        Ok(block.map(|(section, data)| {
            self.position = section.end();
            (*section, BlockRef { cid: section.cid, data })
        }))
    }

    /// Makes the next batch the current one; `false` at the end.
    fn next_batch(&mut self) -> Result<bool> {
        match self.state {
            State::Reading => {}
            State::Ended => return Ok(false),
            State::Broken => return Err(self.broken()),
        }
        if let Some(end) = self.current.take_end() {
            self.state = if end.is_ok() { State::Ended } else { State::Broken };
            return end.map(|()| false);
        }
        match &mut self.blocks {
            Blocks::Here(feed) => feed.fill(&mut self.current),
            Blocks::Threads(workers) => {
                if !workers.next(&mut self.current) {
                    self.state = State::Broken;
                    return Err(self.broken());
                }
            }
        }
        Ok(true)
    }

    fn broken(&self) -> Error {
        Error::at(ErrorKind::Broken, self.position).with_base(self.payload_start())
    }
}

impl<R> CarScan<R> {
    /// The header.
    pub fn header(&self) -> &Header {
        &self.opened.header
    }

    /// The roots, as the header has them. They need not be among the blocks.
    pub fn roots(&self) -> &[Cid] {
        &self.opened.header.roots
    }

    /// The version of the format: 1 or 2.
    pub fn version(&self) -> u64 {
        self.opened.version()
    }

    /// The header of a CARv2, `None` for a CARv1.
    pub fn v2_header(&self) -> Option<&V2Header> {
        self.opened.v2.as_ref()
    }

    /// Where the payload starts, counted from the start of the CAR: 0 for a CARv1.
    pub fn payload_start(&self) -> u64 {
        self.opened.payload_start()
    }
}

impl<R> fmt::Debug for CarScan<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CarScan")
            .field("header", &self.opened.header)
            .field("v2_header", &self.opened.v2)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
