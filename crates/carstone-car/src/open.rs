//! The start of a file: the header of a CARv1, or pragma, header and padding of a CARv2 and the header inside.

use std::io::{self, Read};

use crate::error::{Error, ErrorKind, Part, Result};
use crate::header::{self, First, Header};
use crate::input::Input;
use crate::options::ReaderOptions;
use crate::v2::{V2_PRAGMA, V2Header};
use crate::varint::{self, Varint};

/// What was found at the start of a file, behind which the input stands.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    pub(crate) header: Header,
    pub(crate) v2: Option<V2Header>,
}

impl Opened {
    /// The version of the format.
    pub(crate) fn version(&self) -> u64 {
        if self.v2.is_some() { 2 } else { 1 }
    }

    /// Where the payload starts in the file.
    pub(crate) fn payload_start(&self) -> u64 {
        self.v2.map_or(0, |v2| v2.data_offset)
    }
}

/// Reads up to the first section. `skip` is how the input gets over padding.
pub(crate) fn open<R: Read>(
    input: &mut Input<R>,
    options: &ReaderOptions,
    file_len: Option<u64>,
    skip: impl Fn(&mut Input<R>, usize) -> io::Result<bool>,
) -> Result<Opened> {
    Opening::default().go_on(input, options, file_len, skip)
}

/// How far the start of a file has been read. After an error of the source, it can go on from there.
#[derive(Debug, Default)]
pub(crate) struct Opening {
    stage: Stage,
    v2: Option<V2Header>,
    /// The header that is being read, behind its length varint, and how much of it is there.
    body: Vec<u8>,
    filled: usize,
}

/// What is read next.
#[derive(Clone, Copy, Debug, Default)]
enum Stage {
    /// The length of a header: that of the file at first, then that of the payload.
    #[default]
    Length,
    /// A header of this length.
    Header(usize),
    V2Header,
    Padding,
}

impl Opening {
    /// Reads up to the first section.
    pub(crate) fn go_on<R: Read>(
        &mut self,
        input: &mut Input<R>,
        options: &ReaderOptions,
        file_len: Option<u64>,
        skip: impl Fn(&mut Input<R>, usize) -> io::Result<bool>,
    ) -> Result<Opened> {
        loop {
            match self.stage {
                Stage::Length => {
                    let len = read_len(input, options).map_err(|error| self.based(error))?;
                    (self.stage, self.filled) = (Stage::Header(len), 0);
                }
                Stage::Header(len) => {
                    let first = self.read_header(input, options, len);
                    match first.map_err(|error| self.based(error))? {
                        First::V1(header) => return Ok(Opened { header, v2: self.v2 }),
                        First::V2 => self.stage = Stage::V2Header,
                    }
                }
                Stage::V2Header => {
                    self.v2 = Some(read_v2_header(input, file_len)?);
                    self.stage = Stage::Padding;
                }
                Stage::Padding => {
                    let v2 = self.v2.unwrap_or_default();
                    skip_padding(input, v2.data_offset, &skip)?;
                    input.enter_payload(v2.data_size);
                    self.stage = Stage::Length;
                }
            }
        }
    }

    /// Reads a header of this length, and says what it begins: once, it may be a CARv2.
    fn read_header<R: Read>(
        &mut self,
        input: &mut Input<R>,
        options: &ReaderOptions,
        len: usize,
    ) -> Result<First> {
        match input.read_on_into(&mut self.body, &mut self.filled, len) {
            Ok(true) => {}
            Ok(false) => return Err(stopped(input, ErrorKind::Truncated(Part::Header))),
            Err(error) => return Err(stopped(input, ErrorKind::Io(error))),
        }
        let first = header::decode_first(&self.body, &options.limits)?;
        match first {
            First::V2 if self.v2.is_none() => match options.only_v1 {
                true => Err(Error::at(ErrorKind::UnsupportedVersion(2), 0)),
                false => Ok(First::V2),
            },
            first => inner(first, options).map(First::V1),
        }
    }

    /// An error in a header, with its offset counted from where the payload starts.
    fn based(&self, error: Error) -> Error {
        error.with_base(self.v2.map_or(0, |v2| v2.data_offset))
    }
}

/// Passes over what is in front of the payload, which starts at this offset.
fn skip_padding<R>(
    input: &mut Input<R>,
    data_offset: u64,
    skip: impl Fn(&mut Input<R>, usize) -> io::Result<bool>,
) -> Result<()> {
    loop {
        let padding = data_offset.saturating_sub(input.position());
        if padding == 0 {
            return Ok(());
        }
        match skip(input, padding.min(PADDING_STEP) as usize) {
            Ok(true) => {}
            Ok(false) => return Err(stopped(input, ErrorKind::Truncated(Part::V2Header))),
            Err(error) => return Err(stopped(input, ErrorKind::Io(error))),
        }
    }
}

/// The header of a payload, which must be a CARv1.
pub(crate) fn inner(first: First, options: &ReaderOptions) -> Result<Header> {
    match first {
        First::V1(header) => check_roots(&header, options).map(|()| header),
        First::V2 => Err(Error::at(ErrorKind::BadHeader("a CARv2 inside of a CARv2"), 0)),
    }
}

/// Refuses a header without roots where that is asked for.
pub(crate) fn check_roots(header: &Header, options: &ReaderOptions) -> Result<()> {
    match options.require_roots && header.roots.is_empty() {
        true => Err(Error::at(ErrorKind::BadHeader("its list of roots is empty"), 0)),
        false => Ok(()),
    }
}

/// Reads the length of a header.
fn read_len<R: Read>(input: &mut Input<R>, options: &ReaderOptions) -> Result<usize> {
    loop {
        match varint::decode_with(input.buffered(), options.padded_varints) {
            Varint::Value(len, at) => {
                input.consume(at);
                return header::check_len(len, &options.limits);
            }
            Varint::Malformed => return Err(Error::at(ErrorKind::BadVarint(Part::Header), 0)),
            Varint::Incomplete => match input.fill(input.buffered().len() + 1) {
                Ok(true) => {}
                Ok(false) => return Err(stopped(input, ErrorKind::Truncated(Part::Header))),
                Err(error) => return Err(stopped(input, ErrorKind::Io(error))),
            },
        }
    }
}

/// Reads the header behind a pragma.
fn read_v2_header<R: Read>(input: &mut Input<R>, file_len: Option<u64>) -> Result<V2Header> {
    match input.fill(V2Header::LEN) {
        Ok(true) => {}
        Ok(false) => return Err(stopped(input, ErrorKind::Truncated(Part::V2Header))),
        Err(error) => return Err(stopped(input, ErrorKind::Io(error))),
    }
    let header = parse_v2_header(input.buffered(), V2_PRAGMA.len() as u64, file_len)?;
    input.consume(V2Header::LEN);
    Ok(header)
}

/// Parses the header of a CARv2 at the start of `bytes`, which lie at `at` in the file.
pub(crate) fn parse_v2_header(bytes: &[u8], at: u64, file_len: Option<u64>) -> Result<V2Header> {
    match bytes.first_chunk() {
        Some(bytes) => V2Header::decode(bytes, file_len),
        None => {
            let end = at.saturating_add(bytes.len() as u64);
            Err(Error::at(ErrorKind::Truncated(Part::V2Header), end))
        }
    }
}

/// The error for a stream of which no more can be read than what has been.
pub(crate) fn stopped<R>(input: &Input<R>, kind: ErrorKind) -> Error {
    let offset = input.position().saturating_add(input.buffered().len() as u64);
    Error::at(kind, offset)
}

/// Padding is skipped in steps of this many bytes, which fit in a `usize` everywhere.
const PADDING_STEP: u64 = 1 << 30;
