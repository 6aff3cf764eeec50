//! Writing a CAR from front to back.

use std::fmt;
use std::io::{self, IoSlice, Write};

use crate::cid_bytes;
use crate::error::{Error, ErrorKind, Part, Result};
use crate::hash::{cid_of, verify};
use crate::options::{Limits, WriterOptions};
use crate::section::{self, EncodedHead, Section};
use crate::seen::Seen;
use crate::{Cid, header};

/// Writes a CARv1 stream: a header with the roots, then block after block. The counterpart of `CarWriter` in @ipld/car.
///
/// Each section goes to the sink as it comes, in one vectored write where the sink can do that; nothing is kept. After a failed
/// write the writer is [broken](ErrorKind::Broken), and so is what has been written.
///
/// A hook can be told of every section before it is written, with the sink and the offset: so a layered sink can note section
/// starts.
///
/// ```
/// use carstone_car::{CarWriter, cid_of, codec};
/// let cid = cid_of(codec::RAW, b"hello");
/// let mut starts = Vec::new();
/// let hook = |_sink: &mut Vec<u8>, offset| Ok(starts.push(offset));
/// let mut writer = CarWriter::with_hook(Vec::new(), &[cid], hook)?;
/// let section = writer.write_block(&cid, b"hello")?;
/// assert_eq!((section.offset, section.data_offset), (59, 59 + 37));
/// let bytes = writer.finish()?;
/// assert_eq!((bytes.len(), starts), (101, vec![59]));
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "what was written is complete only when `finish` has returned `Ok`"]
pub struct CarWriter<W, H = fn(&mut W, u64) -> io::Result<()>> {
    inner: W,
    hook: H,
    options: WriterOptions,
    position: u64,
    broken: bool,
    /// What has been written, if that is to be known.
    seen: Option<Seen>,
}

impl<W: Write> CarWriter<W> {
    /// Writes a header with these roots, of which there may be none. The counterpart of `create` in @ipld/car.
    pub fn new(inner: W, roots: &[Cid]) -> Result<Self> {
        CarWriter::with_options(inner, roots, WriterOptions::default())
    }

    /// Writes a header with these roots, with options.
    pub fn with_options(inner: W, roots: &[Cid], options: WriterOptions) -> Result<Self> {
        CarWriter::with_hook_and_options(inner, roots, no_hook, options)
    }

    /// Goes on with a CAR of `position` bytes, by writing sections without a header, to be put behind it: `inner` stands there, or what it takes
    /// will be. The counterpart of `createAppender` in @ipld/car.
    pub fn append(inner: W, position: u64) -> Self {
        CarWriter::append_with_hook(inner, position, no_hook)
    }
}

impl<W: Write, H: FnMut(&mut W, u64) -> io::Result<()>> CarWriter<W, H> {
    /// Writes a header with these roots. From then on, `hook` is called with the sink and the offset of every section, just before it
    /// is written. An error from it is as final as one from the sink.
    pub fn with_hook(inner: W, roots: &[Cid], hook: H) -> Result<Self> {
        CarWriter::with_hook_and_options(inner, roots, hook, WriterOptions::default())
    }

    /// Like [`with_hook`](Self::with_hook), with options.
    pub fn with_hook_and_options(
        inner: W,
        roots: &[Cid],
        hook: H,
        options: WriterOptions,
    ) -> Result<Self> {
        check_roots(roots, &options.limits)?;
        let header = header::encode(roots);
        let mut writer = CarWriter::append_with_hook(inner, 0, hook);
        writer = writer.options(options);
        let result = writer.inner.write_all(&header);
        result.map_err(|error| Error::at(ErrorKind::Io(error), 0))?;
        writer.position = header.len() as u64;
        Ok(writer)
    }

    /// Like [`append`](CarWriter::append), with a hook.
    pub fn append_with_hook(inner: W, position: u64, hook: H) -> Self {
        let options = WriterOptions::default();
        CarWriter { inner, hook, options, position, broken: false, seen: None }
    }

    /// Sets the options, where a writer has been made without. It knows nothing of blocks that have been written before.
    pub fn options(mut self, options: WriterOptions) -> Self {
        self.seen = Seen::new(&options);
        self.options = options;
        self
    }

    /// Writes a block, after verifying that its data hashes to its CID. The counterpart of `put` in @ipld/car.
    ///
    /// An error in the block, or one over a limit, leaves the writer as it was: nothing has been written.
    pub fn write_block(&mut self, cid: &Cid, data: &[u8]) -> Result<Section> {
        self.usable()?;
        verify(cid, data).map_err(|error| error.with_offset(self.position))?;
        self.danger_write_unverified(cid, data)
    }

    /// Writes a block of this data, under its CIDv1 with sha2-256, and returns it in the section. `codec` is a multicodec code, see
    /// [`codec`](crate::codec).
    pub fn write_data(&mut self, codec: u64, data: &[u8]) -> Result<Section> {
        self.danger_write_unverified(&cid_of(codec, data), data)
    }

    /// Writes a block without hashing its data, for callers who have just made the CID from the data.
    pub fn danger_write_unverified(&mut self, cid: &Cid, data: &[u8]) -> Result<Section> {
        self.usable()?;
        let offset = self.position;
        let at = |kind| Error::at(kind, offset);
        check_block(cid, data, &self.options.limits).map_err(at)?;
        let mark = self.seen.as_mut().map(|seen| seen.reserve(cid)).transpose().map_err(at)?;
        let head = EncodedHead::new(cid, data.len());

        self.broken = true; // Until both have succeeded: half a section makes the stream unreadable.
        (self.hook)(&mut self.inner, offset)
            .and_then(|()| write_both(&mut self.inner, head.bytes(), data))
            .map_err(|error| at(ErrorKind::Io(error)))?;
        self.broken = false;
        if let (Some(seen), Some(mark)) = (&mut self.seen, mark) {
            seen.add(mark);
        }
        let section = Section {
            cid: *cid,
            offset,
            data_offset: offset.saturating_add(head.bytes().len() as u64),
            data_len: data.len(),
        };
        self.position = section.end();
        Ok(section)
    }

    /// The offset at which the next section will start, in bytes from the start of the CAR.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The sink.
    pub fn get_ref(&self) -> &W {
        &self.inner
    }

    /// The sink, to tell it something between sections. Bytes written to it here make the stream invalid.
    pub fn danger_get_mut(&mut self) -> &mut W {
        &mut self.inner
    }

    /// Whether the options let a block be put.
    pub(crate) fn wants(&self, cid: &Cid) -> Result<bool> {
        self.usable()?;
        Ok(!self.options.skips(cid) && !self.seen.as_ref().is_some_and(|seen| seen.has(cid)))
    }

    /// Makes the writer unusable, after something that belongs to the last section has failed.
    pub(crate) fn break_off(&mut self) {
        self.broken = true;
    }

    /// Flushes the sink.
    pub fn flush(&mut self) -> Result<()> {
        self.usable()?;
        let result = self.inner.flush();
        self.broken = result.is_err();
        result.map_err(|error| Error::at(ErrorKind::Io(error), self.position))
    }

    /// Flushes the sink and gives it back. The format has no end mark. The counterpart of `close` in @ipld/car.
    pub fn finish(mut self) -> io::Result<W> {
        self.flush()?;
        Ok(self.inner)
    }

    fn usable(&self) -> Result<()> {
        if self.broken {
            return Err(Error::at(ErrorKind::Broken, self.position));
        }
        Ok(())
    }
}

impl<W, H> fmt::Debug for CarWriter<W, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CarWriter")
            .field("options", &self.options)
            .field("position", &self.position)
            .field("broken", &self.broken)
            .finish_non_exhaustive()
    }
}

fn no_hook<W>(_: &mut W, _: u64) -> io::Result<()> {
    Ok(())
}

/// Refuses CIDs that a reader would refuse.
pub(crate) fn check_cid(cid: &Cid, limits: &Limits) -> Result<(), ErrorKind> {
    let largest = i64::MAX as u64; // Varints have at most 63 bits.
    if cid.codec() > largest || cid.hash().code() > largest {
        return Err(ErrorKind::BadCid("one of its codes is over 63 bits"));
    }
    let len = cid_bytes::encoded_len(cid);
    if len > limits.cid {
        return Err(ErrorKind::TooLarge {
            part: Part::Cid,
            size: len as u64,
            limit: limits.cid as u64,
        });
    }
    Ok(())
}

/// Refuses blocks that a reader would refuse.
pub(crate) fn check_block(cid: &Cid, data: &[u8], limits: &Limits) -> Result<(), ErrorKind> {
    check_cid(cid, limits)?;
    let section_len = cid_bytes::encoded_len(cid).saturating_add(data.len());
    match section_len > limits.section {
        true => Err(section::too_large(section_len as u64, limits)),
        false => Ok(()),
    }
}

/// Refuses headers that a reader would refuse.
pub(crate) fn check_roots(roots: &[Cid], limits: &Limits) -> Result<()> {
    for root in roots {
        check_cid(root, limits).map_err(|kind| Error::at(kind, 0))?;
    }
    if roots.len() > limits.roots {
        let kind = ErrorKind::TooLarge {
            part: Part::Roots,
            size: roots.len() as u64,
            limit: limits.roots as u64,
        };
        return Err(Error::at(kind, 0));
    }
    let body = header::body_len(roots);
    if body > limits.header {
        return Err(header::too_large(body as u64, limits));
    }
    Ok(())
}

/// Writes two slices, together where the sink can do that.
fn write_both<W: Write>(sink: &mut W, first: &[u8], second: &[u8]) -> io::Result<()> {
    let mut done = 0;
    while done < first.len() {
        let slices = [IoSlice::new(&first[done..]), IoSlice::new(second)];
        match sink.write_vectored(&slices) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => done = done.saturating_add(written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let rest = second.get(done - first.len()..).unwrap_or_default();
    sink.write_all(rest)
}
