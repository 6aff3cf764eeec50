//! Reading a CAR from front to back.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};

use crate::Cid;
use crate::error::{Error, ErrorKind, Part, Result};
use crate::header::Header;
use crate::input::Input;
use crate::open::{self, Opened};
use crate::options::{Checks, ReaderOptions, Verification};
use crate::section::{self, Block, Head, Section};
use crate::v2::V2Header;

/// Reads the blocks of a CAR one after the other, and verifies them.
/// The counterpart of `CarBlockIterator` in @ipld/car, and of `BlockReader` in go-car.
///
/// Of a CARv2 it reads the payload: padding is skipped, and neither index nor anything else behind the payload is looked at. All
/// offsets are those in the payload, which starts at [`payload_start`](Self::payload_start) in the file.
///
/// Memory is bounded by one section, whatever the stream says: buffers grow as bytes arrive. No buffering is needed below, for
/// large bodies are read straight to where they are wanted.
///
/// After a [block error](Error::is_block_error) the reader stands behind the bad block and can go on. After any other error it
/// is [broken](ErrorKind::Broken), since nobody knows where the next section would start.
///
/// ```
/// use carstone_car::{CarReader, CarWriter, cid_of, codec};
/// let cid = cid_of(codec::RAW, b"hello");
/// let mut writer = CarWriter::new(Vec::new(), &[cid])?;
/// writer.write_block(&cid, b"hello")?;
/// let bytes = writer.finish()?;
///
/// let mut reader = CarReader::open(&bytes[..])?;
/// assert_eq!(reader.roots(), [cid]);
/// while let Some(block) = reader.next_block()? {
///     assert_eq!((block.cid, &block.data[..]), (cid, &b"hello"[..]));
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct CarReader<R> {
    input: Input<R>,
    opened: Opened,
    options: ReaderOptions,
    state: State,
    /// Bytes of the last block that somebody else reads, and may leave.
    pending: usize,
}

/// What a reader consists of.
pub(crate) struct Parts<R> {
    pub(crate) input: Input<R>,
    pub(crate) opened: Opened,
    pub(crate) options: ReaderOptions,
    pub(crate) state: State,
}

/// Whether there is more to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Reading,
    Ended,
    Broken,
}

impl<R: Read> CarReader<R> {
    /// Reads the header. The CAR starts where `inner` stands.
    /// The counterpart of `fromIterable` in @ipld/car, and of `NewBlockReader` in go-car.
    pub fn open(inner: R) -> Result<Self> {
        CarReader::with_options(inner, ReaderOptions::default())
    }

    /// Reads the header, with options.
    pub fn with_options(inner: R, options: ReaderOptions) -> Result<Self> {
        let mut input = Input::new(inner);
        let opened = open::open(&mut input, &options, None, Input::discard)?;
        Ok(CarReader::behind_header(input, opened, options))
    }

    /// A reader of what stands behind a header.
    pub(crate) fn behind_header(input: Input<R>, opened: Opened, options: ReaderOptions) -> Self {
        CarReader { input, opened, options, state: State::Reading, pending: 0 }
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.opened.header
    }

    /// The version of the format: 1 or 2. The counterpart of `version` in @ipld/car.
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

    /// The roots, as the header has them. They need not be among the blocks. The counterpart of `getRoots` in @ipld/car.
    pub fn roots(&self) -> &[Cid] {
        &self.opened.header.roots
    }

    /// The offset of the next section, in bytes from the start of the payload. At the end: the length of the payload, without what an
    /// option has left aside there.
    pub fn position(&self) -> u64 {
        self.input.position().saturating_add(self.pending as u64)
    }

    /// The source. It may have been read further than [`position`](Self::position), or less far where the data of a block is still to be
    /// read.
    pub fn get_ref(&self) -> &R {
        self.input.get_ref()
    }

    /// Gives the source back. It may have been read further than [`position`](Self::position), or less far where the data of a block is
    /// still to be read.
    pub fn into_inner(self) -> R {
        self.input.into_inner()
    }

    pub(crate) fn into_parts(mut self) -> Parts<R> {
        if self.pass_pending().is_err() {
            self.state = State::Broken;
        }
        let CarReader { input, opened, options, state, .. } = self;
        Parts { input, opened, options, state }
    }

    /// The next block, verified, or `None` at the end. [`read_block`](Self::read_block) does not allocate for each.
    /// The counterpart of `Next` in go-car.
    pub fn next_block(&mut self) -> Result<Option<Block>> {
        let mut data = Vec::new();
        let section = self.read_block(&mut data)?;
        Ok(section.map(|section| Block { cid: section.cid, data }))
    }

    /// Reads the data of the next block into `data`, replacing what is there, and says where it lies. `None` at the end.
    ///
    /// `data` holds verified bytes when this returns `Ok`, and none otherwise.
    pub fn read_block(&mut self, data: &mut Vec<u8>) -> Result<Option<Section>> {
        let result = self.read_verified(data);
        if !matches!(result, Ok(Some(_))) {
            data.clear();
        }
        result
    }

    /// The next section without its data, which is read but not looked at, or `None` at the end. Nothing is verified.
    pub fn next_section(&mut self) -> Result<Option<Section>> {
        self.next(Input::discard)
    }

    /// Reads the next block, and says whether it is what its CID says.
    pub(crate) fn read_and_check(
        &mut self,
        data: &mut Vec<u8>,
    ) -> Result<Option<(Section, Result<()>)>> {
        let section = self.next(|input, len| input.read_into(data, len))?;
        let checks = Checks { verification: Verification::Verify, ..self.options.checks() };
        Ok(section.map(|section| (section, section::check(&section, data, checks))))
    }

    fn read_verified(&mut self, data: &mut Vec<u8>) -> Result<Option<Section>> {
        let section = self.next(|input, len| input.read_into(data, len))?;
        if let Some(section) = &section {
            section::check(section, data, self.options.checks())
                .map_err(|error| error.with_base(self.payload_start()))?;
        }
        Ok(section)
    }

    /// Reads the next head, and has `body` do what is to be done with the data. `body` says whether all of it was there.
    fn next(
        &mut self,
        body: impl FnOnce(&mut Input<R>, usize) -> io::Result<bool>,
    ) -> Result<Option<Section>> {
        self.next_inside(body).map_err(|error| error.with_base(self.payload_start()))
    }

    fn next_inside(
        &mut self,
        body: impl FnOnce(&mut Input<R>, usize) -> io::Result<bool>,
    ) -> Result<Option<Section>> {
        match self.state {
            State::Reading => {}
            State::Ended => return Ok(None),
            State::Broken => return Err(Error::at(ErrorKind::Broken, self.position())),
        }
        self.state = State::Broken;
        self.pass_pending()?;
        let Some(section) = self.read_head()? else {
            self.state = State::Ended;
            return Ok(None);
        };
        let all = body(&mut self.input, section.data_len);
        self.expect_all(all)?;
        self.state = State::Reading;
        Ok(Some(section))
    }

    fn read_head(&mut self) -> Result<Option<Section>> {
        let offset = self.position();
        loop {
            let bytes = self.input.buffered();
            let need = match section::parse_head(bytes, &self.options) {
                Head::Complete(head) => {
                    self.input.consume(head.head_len);
                    self.input.expect_bodies_of(head.data_len);
                    return Ok(Some(Section::new(&head, offset)));
                }
                Head::Bad(kind) if section::is_end(&kind, &self.options) => return Ok(None),
                Head::Bad(kind) => return Err(Error::at(kind, offset)),
                Head::NeedMore(need) => need,
            };
            match self.input.fill(need) {
                Ok(true) => {}
                Ok(false) if self.input.buffered().is_empty() => {
                    // A CARv2 says how long its payload is.
                    return match self.input.is_short() {
                        true => Err(self.stopped(ErrorKind::Truncated(Part::Payload))),
                        false => Ok(None),
                    };
                }
                Ok(false) if self.options.ignore_trailing_bytes && !self.input.is_short() => {
                    return Ok(None);
                }
                Ok(false) => {
                    let kind = section::truncated_head(self.input.buffered());
                    return Err(self.stopped(kind));
                }
                Err(error) => return Err(self.stopped(ErrorKind::Io(error))),
            }
        }
    }

    /// Steps to the data of the next block, which somebody else reads.
    pub(crate) fn start_data(&mut self) -> Result<Option<Section>> {
        let section = self.next(|_, _| Ok(true))?;
        self.pending = section.map_or(0, |section| section.data_len);
        Ok(section)
    }

    /// Bytes of the data that are still to be read.
    pub(crate) fn pending(&self) -> usize {
        self.pending
    }

    /// Reads some of the data; 0 at the end, which is that of the stream if more is pending.
    pub(crate) fn read_data(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let room = out.len().min(self.pending);
        let read = self.input.read_some(out.get_mut(..room).unwrap_or_default())?;
        self.pending -= read.min(self.pending);
        Ok(read)
    }

    /// Drops what nobody has read of the last block.
    fn pass_pending(&mut self) -> Result<()> {
        let all = self.input.discard(std::mem::take(&mut self.pending));
        self.expect_all(all)
    }

    /// Gives what came of reading data: whether all of it was there.
    fn expect_all(&self, all: io::Result<bool>) -> Result<()> {
        match all {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.stopped(ErrorKind::Truncated(Part::Data))),
            Err(error) => Err(self.stopped(ErrorKind::Io(error))),
        }
    }

    /// Goes on with the data of the last block: into `data`, of which `filled` bytes are there, or past it. After an error of the source
    /// it can be called again.
    #[cfg(feature = "futures")]
    pub(crate) fn go_on(&mut self, into: Option<(&mut Vec<u8>, &mut usize)>) -> Result<()> {
        let from = self.input.position();
        let all = match into {
            Some((data, filled)) => {
                let len = filled.saturating_add(self.pending);
                self.input.read_on_into(data, filled, len)
            }
            None => self.input.discard(self.pending),
        };
        let passed = self.input.position().saturating_sub(from);
        self.pending = self.pending.saturating_sub(passed as usize);
        self.expect_all(all).map_err(|error| error.with_base(self.payload_start()))
    }

    /// Makes the reader unusable, after the data of the last block could not be read.
    #[cfg(feature = "futures")]
    pub(crate) fn break_off(&mut self) {
        (self.state, self.pending) = (State::Broken, 0);
    }

    /// Takes back that an error has stopped the reader: the source only had no bytes yet.
    #[cfg(feature = "futures")]
    pub(crate) fn resume(&mut self) {
        self.state = State::Reading;
    }

    #[cfg(feature = "futures")]
    pub(crate) fn options(&self) -> &ReaderOptions {
        &self.options
    }

    /// The source, to tell it something.
    #[cfg(feature = "futures")]
    pub(crate) fn inner_mut(&mut self) -> &mut R {
        self.input.get_mut()
    }

    /// Whether an error that ends the CAR has been handed out.
    pub(crate) fn is_broken(&self) -> bool {
        self.state == State::Broken
    }

    /// The error for a stream of which no more can be read than what has been.
    fn stopped(&self, kind: ErrorKind) -> Error {
        open::stopped(&self.input, kind)
    }
}

impl<R: Read + Seek> CarReader<R> {
    /// Reads the header of a source that tells its length, which what a CARv2 says of itself is compared with. The CAR starts where
    /// `inner` stands, and goes to its end.
    pub fn open_seekable(mut inner: R, options: ReaderOptions) -> Result<Self> {
        let len = (|| {
            let start = inner.stream_position()?;
            let end = inner.seek(SeekFrom::End(0))?;
            inner.seek(SeekFrom::Start(start))?;
            Ok(end.saturating_sub(start))
        })();
        let len = len.map_err(|error| Error::at(ErrorKind::Io(error), 0))?;
        let mut input = Input::new(inner);
        let opened = open::open(&mut input, &options, Some(len), Input::skip)?;
        Ok(CarReader::behind_header(input, opened, options))
    }

    /// The next section without its data, which is seeked over where that is faster, or `None` at the end. Nothing is verified,
    /// but a last section that is cut short is noticed. The counterpart of `SkipNext` in go-car.
    pub fn skip_section(&mut self) -> Result<Option<Section>> {
        self.next(Input::skip)
    }

    /// Passes over sections that are known, up to where the last of them ends. False, and nowhere, if that is too far for one step.
    pub(crate) fn pass_to(&mut self, position: u64) -> Result<bool> {
        let Ok(len) = usize::try_from(position.saturating_sub(self.position())) else {
            return Ok(false);
        };
        let all = self.input.skip(len);
        let passed = self.expect_all(all);
        if passed.is_err() {
            self.state = State::Broken;
        }
        passed.map(|()| true).map_err(|error| error.with_base(self.payload_start()))
    }
}

impl<R> fmt::Debug for CarReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CarReader")
            .field("header", &self.opened.header)
            .field("v2_header", &self.opened.v2)
            .field("position", &self.input.position())
            .field("options", &self.options)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
