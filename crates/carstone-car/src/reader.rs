//! Reading a CAR from front to back.

use std::fmt;
use std::io::{self, Read, Seek};
use std::iter::FusedIterator;

use crate::Cid;
use crate::error::{Error, ErrorKind, Part, Result};
use crate::header::{self, Header};
use crate::input::Input;
use crate::options::ReaderOptions;
use crate::section::{self, Block, Head, Section};
use crate::varint::{self, Varint};

/// Reads the blocks of a CARv1 stream one after the other, and verifies them.
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
    header: Header,
    options: ReaderOptions,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Reading,
    Ended,
    Broken,
}

impl<R: Read> CarReader<R> {
    /// Reads the header. The CAR starts where `inner` stands, and all offsets are counted from there.
    pub fn open(inner: R) -> Result<Self> {
        CarReader::with_options(inner, ReaderOptions::default())
    }

    /// Reads the header, with options.
    pub fn with_options(inner: R, options: ReaderOptions) -> Result<Self> {
        let mut input = Input::new(inner);
        let header = read_header(&mut input, &options)?;
        Ok(CarReader { input, header, options, state: State::Reading })
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The roots, as the header has them. They need not be among the blocks.
    pub fn roots(&self) -> &[Cid] {
        &self.header.roots
    }

    /// The offset of the next section, in bytes from the start of the CAR. At the end: the length of the CAR.
    pub fn position(&self) -> u64 {
        self.input.position()
    }

    /// The source. It may have been read further than [`position`](Self::position).
    pub fn get_ref(&self) -> &R {
        self.input.get_ref()
    }

    /// Gives the source back. It may have been read further than [`position`](Self::position).
    pub fn into_inner(self) -> R {
        self.input.into_inner()
    }

    /// The next block, verified, or `None` at the end. [`read_block`](Self::read_block) does not allocate for each.
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

    /// The blocks from here on, verified. An owned reader is an iterator of them in a `for` loop.
    pub fn blocks(&mut self) -> Blocks<'_, R> {
        Blocks { reader: self }
    }

    fn read_verified(&mut self, data: &mut Vec<u8>) -> Result<Option<Section>> {
        let section = self.next(|input, len| input.read_into(data, len))?;
        if let Some(section) = &section {
            section::check(section, data, self.options.verification())?;
        }
        Ok(section)
    }

    /// Reads the next head, and has `body` do what is to be done with the data. `body` says whether all of it was there.
    fn next(
        &mut self,
        body: impl FnOnce(&mut Input<R>, usize) -> io::Result<bool>,
    ) -> Result<Option<Section>> {
        match self.state {
            State::Reading => {}
            State::Ended => return Ok(None),
            State::Broken => return Err(Error::at(ErrorKind::Broken, self.position())),
        }
        self.state = State::Broken;
        let Some(section) = self.read_head()? else {
            self.state = State::Ended;
            return Ok(None);
        };
        match body(&mut self.input, section.data_len) {
            Ok(true) => {}
            Ok(false) => return Err(self.stopped(ErrorKind::Truncated(Part::Data))),
            Err(error) => return Err(self.stopped(ErrorKind::Io(error))),
        }
        self.state = State::Reading;
        Ok(Some(section))
    }

    fn read_head(&mut self) -> Result<Option<Section>> {
        let offset = self.position();
        loop {
            let bytes = self.input.buffered();
            let need = match section::parse_head(bytes, &self.options.limits) {
                Head::Complete(head) => {
                    self.input.consume(head.head_len);
                    self.input.expect_bodies_of(head.data_len);
                    return Ok(Some(Section::new(&head, offset)));
                }
                Head::Bad(ErrorKind::EmptySection) if self.options.zero_section_is_end => {
                    return Ok(None);
                }
                Head::Bad(kind) => return Err(Error::at(kind, offset)),
                Head::NeedMore(need) => need,
            };
            match self.input.fill(need) {
                Ok(true) => {}
                Ok(false) if self.input.buffered().is_empty() => return Ok(None),
                Ok(false) => {
                    let kind = section::truncated_head(self.input.buffered());
                    return Err(self.stopped(kind));
                }
                Err(error) => return Err(self.stopped(ErrorKind::Io(error))),
            }
        }
    }

    /// The error for a stream of which no more can be read than what has been.
    fn stopped(&self, kind: ErrorKind) -> Error {
        stopped(&self.input, kind)
    }
}

impl<R: Read + Seek> CarReader<R> {
    /// The next section without its data, which is seeked over where that is faster, or `None` at the end. Nothing is verified,
    /// but a last section that is cut short is noticed.
    pub fn skip_section(&mut self) -> Result<Option<Section>> {
        self.next(Input::skip)
    }
}

impl<R: Read> IntoIterator for CarReader<R> {
    type Item = Result<Block>;
    type IntoIter = IntoBlocks<R>;

    fn into_iter(self) -> IntoBlocks<R> {
        IntoBlocks { reader: self }
    }
}

impl<'r, R: Read> IntoIterator for &'r mut CarReader<R> {
    type Item = Result<Block>;
    type IntoIter = Blocks<'r, R>;

    fn into_iter(self) -> Blocks<'r, R> {
        self.blocks()
    }
}

impl<R> fmt::Debug for CarReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CarReader")
            .field("header", &self.header)
            .field("position", &self.input.position())
            .field("options", &self.options)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// The blocks of a borrowed [`CarReader`], verified.
///
/// A [block error](Error::is_block_error) does not end the iteration, all others do.
#[derive(Debug)]
pub struct Blocks<'r, R> {
    reader: &'r mut CarReader<R>,
}

impl<R: Read> Iterator for Blocks<'_, R> {
    type Item = Result<Block>;

    fn next(&mut self) -> Option<Self::Item> {
        next_item(self.reader)
    }
}

impl<R: Read> FusedIterator for Blocks<'_, R> {}

/// The blocks of a [`CarReader`], verified.
///
/// A [block error](Error::is_block_error) does not end the iteration, all others do.
#[derive(Debug)]
pub struct IntoBlocks<R> {
    reader: CarReader<R>,
}

impl<R: Read> Iterator for IntoBlocks<R> {
    type Item = Result<Block>;

    fn next(&mut self) -> Option<Self::Item> {
        next_item(&mut self.reader)
    }
}

impl<R: Read> FusedIterator for IntoBlocks<R> {}

fn next_item<R: Read>(reader: &mut CarReader<R>) -> Option<Result<Block>> {
    if reader.state == State::Broken {
        return None; // The error has been handed out.
    }
    reader.next_block().transpose()
}

/// Reads the header, with its length.
fn read_header<R: Read>(input: &mut Input<R>, options: &ReaderOptions) -> Result<Header> {
    let truncated = || ErrorKind::Truncated(Part::Header);
    let len = loop {
        match varint::decode(input.buffered()) {
            Varint::Value(len, at) => {
                input.consume(at);
                break len;
            }
            Varint::Malformed => return Err(Error::at(ErrorKind::BadVarint(Part::Header), 0)),
            Varint::Incomplete => match input.fill(input.buffered().len() + 1) {
                Ok(true) => {}
                Ok(false) => return Err(stopped(input, truncated())),
                Err(error) => return Err(stopped(input, ErrorKind::Io(error))),
            },
        }
    };
    if len == 0 {
        return Err(Error::at(ErrorKind::BadHeader("its length is zero"), 0));
    }
    let len = usize::try_from(len)
        .ok()
        .filter(|&len| len <= options.limits.header)
        .ok_or_else(|| header::too_large(len, &options.limits))?;
    let mut body = Vec::new();
    match input.read_into(&mut body, len) {
        Ok(true) => Header::decode(&body, &options.limits),
        Ok(false) => Err(stopped(input, truncated())),
        Err(error) => Err(stopped(input, ErrorKind::Io(error))),
    }
}

fn stopped<R>(input: &Input<R>, kind: ErrorKind) -> Error {
    let offset = input.position().saturating_add(input.buffered().len() as u64);
    Error::at(kind, offset)
}
