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
    let v2 = match read_header(input, options)? {
        First::V1(header) => {
            check_roots(&header, options)?;
            return Ok(Opened { header, v2: None });
        }
        First::V2 if options.only_v1 => {
            return Err(Error::at(ErrorKind::UnsupportedVersion(2), 0));
        }
        First::V2 => read_v2_header(input, file_len)?,
    };
    let mut padding = v2.data_offset - V2Header::DATA_OFFSET;
    while padding > 0 {
        let step = padding.min(PADDING_STEP);
        padding -= step;
        match skip(input, step as usize) {
            Ok(true) => {}
            Ok(false) => return Err(stopped(input, ErrorKind::Truncated(Part::V2Header))),
            Err(error) => return Err(stopped(input, ErrorKind::Io(error))),
        }
    }
    input.enter_payload(v2.data_size);
    let header = read_header(input, options).and_then(|first| inner(first, options));
    let header = header.map_err(|error| error.with_base(v2.data_offset))?;
    Ok(Opened { header, v2: Some(v2) })
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

/// Reads the header of either version, with its length.
fn read_header<R: Read>(input: &mut Input<R>, options: &ReaderOptions) -> Result<First> {
    let truncated = || ErrorKind::Truncated(Part::Header);
    let len = loop {
        match varint::decode_with(input.buffered(), options.padded_varints) {
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
    let len = header::check_len(len, &options.limits)?;
    let mut body = Vec::new();
    match input.read_into(&mut body, len) {
        Ok(true) => header::decode_first(&body, &options.limits),
        Ok(false) => Err(stopped(input, truncated())),
        Err(error) => Err(stopped(input, ErrorKind::Io(error))),
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
