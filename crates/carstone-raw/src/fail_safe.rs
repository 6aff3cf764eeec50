//! Reading a pack whose header or trailer may be damaged or gone.

use std::io::{self, Read, Seek, SeekFrom};

use carstone_layer::{
    Cause, Correction, FailSafeRead, Gap, HoldBack, LayerId, ReadAt, Report, SeekSource,
};
use memchr::memmem;

use crate::container::MAGIC;
use crate::edges::Edges;
use crate::reader::read_front;
use crate::search::FoundTrailer;
use crate::trailer::{END_MAGIC, TRAILER_LEN, Trailer};
use crate::{Container, ErrorKind, appendix};

/// Gives what stands between container header and trailer, whether these are there or not.
///
/// Plain offset 0 is the first byte behind the header. Where the header is lost, a gap of no plain bytes says so, and
/// everything from the first stored byte on is given, so that frames can be found in it. A pack that ends without a trailer
/// ends in a gap of unknown length. What stands between them is not checked here.
#[derive(Debug)]
pub struct RawFailSafe<R> {
    inner: R,
    hold: HoldBack<HELD>,
    /// Bytes of the framed region that are still to come, where its end is known.
    left: Option<u64>,
    /// Stored offset of plain byte 0.
    base: u64,
    position: u64,
    state: State,
    gap: Option<Gap>,
    header: Option<Container>,
    trailer: Option<Container>,
    anchor: Option<Container>,
    corrections: Vec<Correction>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The gap in the place of the header has not been asked for yet.
    Header,
    Reading,
    /// What is held is passed on, then the last gap.
    Ended,
}

impl<R: Read> RawFailSafe<R> {
    /// Reads the header at the front of a stream that is only read forwards.
    ///
    /// Appendices are left out, and read to their end where `inner` is read to the end.
    ///
    /// # Errors
    /// Whatever `inner` gives; [`ErrorKind::Unknown`] when an intact header needs a newer reader.
    pub fn new(mut inner: R) -> io::Result<Self> {
        let mut front = [0; Container::LEN];
        let there = read_front(&mut inner, &mut front)?;
        let mut this = Self::around(inner);
        this.take_header(&front[..there])?;
        if this.header.is_none() {
            this.hold.put(&front[..there]);
        }
        Ok(this)
    }
}

impl<R> RawFailSafe<R> {
    /// What the header states, or the trailer or an anchor where the header is lost. A reader that only goes forwards
    /// knows a trailer when it has come to the end.
    pub fn container(&self) -> Option<&Container> {
        self.header.as_ref().or(self.trailer.as_ref()).or(self.anchor.as_ref())
    }

    /// How many bytes of the source stand before position 0: those of the header, where it is there.
    pub fn base(&self) -> u64 {
        self.base
    }

    /// The reader below.
    pub fn get_ref(&self) -> &R {
        &self.inner
    }

    /// Gives the reader below back.
    pub fn into_inner(self) -> R {
        self.inner
    }

    fn around(inner: R) -> Self {
        Self {
            inner,
            hold: HoldBack::new(READ_AHEAD),
            left: None,
            base: 0,
            position: 0,
            state: State::Reading,
            gap: None,
            header: None,
            trailer: None,
            anchor: None,
            corrections: Vec::new(),
        }
    }

    /// Takes the bytes in the place of the header.
    fn take_header(&mut self, front: &[u8]) -> io::Result<()> {
        let mut cause = Cause::Truncated;
        if let Some(bytes) = front.first_chunk() {
            match Container::decode_or_correct(bytes) {
                Ok((container, correction)) => {
                    self.corrections.extend(correction);
                    self.header = Some(container);
                    self.base = front.len() as u64;
                    return Ok(());
                }
                Err(error) if matches!(error.kind(), ErrorKind::Unknown { .. }) => {
                    return Err(error.into());
                }
                Err(_) => {
                    cause = if front.starts_with(&MAGIC) { Cause::Corrupt } else { Cause::Missing }
                }
            }
        }
        // An empty source is only one gap: the trailer is missing too.
        if !front.is_empty() {
            self.lose_header(front.len(), cause);
        }
        Ok(())
    }

    fn lose_header(&mut self, stored: usize, cause: Cause) {
        self.gap = Some(Gap::new(LayerId::RAW, 0, Some(0), cause).with_stored(0..stored as u64));
        self.state = State::Header;
    }

    /// Takes a trailer that stands at this stored offset.
    fn take_trailer(&mut self, trailer: &Trailer, at: u64, correction: Option<Correction>) {
        self.corrections.extend(
            correction.map(|found| {
                Correction::new(LayerId::RAW, at.saturating_add(found.at), found.bits)
            }),
        );
        self.trailer = trailer.container().ok();
    }

    /// There is no more below: finds out what the held bytes are.
    fn end(&mut self) {
        self.state = State::Ended;
        let held = self.hold.held();
        let end = self.position.saturating_add(held.len() as u64);
        if let Some(left) = self.left {
            if left > 0 {
                self.gap = Some(truncated(end));
            }
            self.compare(end);
        } else if let Some((trailer, correction)) =
            held.last_chunk().and_then(Trailer::decode_corrected)
        {
            let at = end.saturating_sub(TRAILER_LEN as u64);
            self.hold.drop_last(TRAILER_LEN);
            self.end_at(at, &trailer, correction);
        } else if !appendix::ends_in_appendix(held) {
            // An appendix only ever follows a trailer, which was damaged then and has been passed on already.
            self.gap = Some(truncated(end));
        }
    }

    /// The trailer was found at this position.
    fn end_at(&mut self, at: u64, trailer: &Trailer, correction: Option<Correction>) {
        let stored = self.base.saturating_add(at).saturating_add(TRAILER_LEN as u64);
        // Something was put in, and perhaps where no layer looks.
        if self.header.is_some() && trailer.stored_len < stored {
            self.gap = Some(Gap::new(LayerId::RAW, at, Some(0), Cause::Extra));
        }
        self.take_trailer(trailer, self.base.saturating_add(at), correction);
        self.compare(at);
    }

    /// How much of `passed`, which is about to be given, stands before a trailer that an appendix follows, and that trailer.
    ///
    /// So much is held that a trailer which begins in `passed` has the front of what follows it in the held bytes.
    fn before_appendices(&self, passed: &[u8]) -> Option<(usize, Trailer, Option<Correction>)> {
        let held = self.hold.held();
        let border = passed.len().saturating_sub(BETWEEN.len() - 1);
        let over = [&passed[border..], &held[..held.len().min(BETWEEN.len() - 1)]].concat();
        let finder = memmem::Finder::new(&BETWEEN);
        let inside = finder.find_iter(passed);
        let across = finder.find_iter(&over).map(|at| border + at);
        let behind = finder.find_iter(held).map(|at| passed.len() + at);
        inside.chain(across).chain(behind).find_map(|at| {
            let first = at.checked_sub(TRAILER_LEN - END_MAGIC.len())?;
            let front = passed.get(first..)?;
            let mut bytes = [0; TRAILER_LEN];
            let both = front.iter().chain(held).take(TRAILER_LEN);
            bytes.iter_mut().zip(both).for_each(|(byte, there)| *byte = *there);
            let (trailer, correction) = Trailer::decode_corrected(&bytes)?;
            let container = trailer.container().ok()?;
            let ours =
                self.header.as_ref().is_none_or(|header| header.pack_id == container.pack_id);
            ours.then_some((first, trailer, correction))
        })
    }

    /// A trailer of another pack means that the end of this one is missing.
    fn compare(&mut self, end: u64) {
        if let (Some(header), Some(trailer)) = (&self.header, &self.trailer)
            && header.pack_id != trailer.pack_id
        {
            self.gap = Some(Gap::new(LayerId::RAW, end, None, Cause::Foreign));
        }
    }
}

impl<R: Read + Seek> RawFailSafe<R> {
    /// Reads the pack that starts where `inner` stands, and looks at its end first.
    ///
    /// Appendices are left out. Where the trailer is not in its place, the stream is searched for one behind the frames,
    /// and for anchors of the pack with the most bytes; where header and trailer are of different packs, the first frame decides.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn open_seekable(mut inner: R) -> io::Result<Self> {
        let start = inner.stream_position()?;
        let source = SeekSource::new(&mut inner);
        let range = start..source.size()?.max(start);
        let edges = Edges::find(&source, range)?;

        let mut this = Self::around(inner);
        this.take_header(edges.front())?;
        let there = edges.front().len();
        if edges.trailer.is_some() && there < Container::LEN {
            this.lose_header(there, Cause::Missing);
        }
        this.anchor = edges.anchor;
        if edges.is_header_foreign {
            this.header = None;
            this.lose_header(there, Cause::Foreign);
        }
        if let Some(FoundTrailer { at, trailer, correction }) = edges.trailer {
            let at = at - start;
            this.take_trailer(&trailer, at, correction);
            // The trailer knows whether the pack still starts where it should.
            if trailer.stored_len == at + TRAILER_LEN as u64 && at >= Container::LEN as u64 {
                this.base = Container::LEN as u64;
            }
            this.left = Some(at.saturating_sub(this.base));
        }
        this.inner.seek(SeekFrom::Start(start + this.base))?;
        Ok(this)
    }
}

impl<R: Read> Read for RawFailSafe<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() || self.state == State::Header {
            return Ok(0);
        }
        let mut n = 0;
        if self.state == State::Reading {
            n = match self.left {
                Some(left) => {
                    let room = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
                    let n = if room == 0 { 0 } else { self.inner.read(&mut buf[..room])? };
                    self.left = Some(left.saturating_sub(n as u64));
                    n
                }
                None => self.read_forwards(buf)?,
            };
            if n == 0 {
                self.end();
            }
        }
        if n == 0 {
            n = self.hold.drain(buf);
        }
        self.position = self.position.saturating_add(n as u64);
        Ok(n)
    }
}

impl<R: Read> RawFailSafe<R> {
    /// Reads on where the end is not known.
    fn read_forwards(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.hold.read(&mut self.inner, buf)?;
        let Some((before, trailer, correction)) = self.before_appendices(&buf[..n]) else {
            return Ok(n);
        };
        // Who writes into a pipe can write all of it.
        io::copy(&mut self.inner, &mut io::sink())?;
        self.hold.drop_last(usize::MAX);
        self.left = Some(0);
        self.end_at(self.position.saturating_add(before as u64), &trailer, correction);
        Ok(before)
    }
}

impl<R: Read> FailSafeRead for RawFailSafe<R> {
    fn position(&self) -> u64 {
        self.position
    }

    fn next_gap(&mut self) -> io::Result<Option<Gap>> {
        match self.state {
            State::Header => self.state = State::Reading,
            State::Reading => return Ok(None),
            State::Ended if !self.hold.held().is_empty() => return Ok(None),
            State::Ended => {}
        }
        Ok(self.gap.take())
    }

    /// Nothing is known of sections here.
    fn next_boundary(&mut self) -> Option<u64> {
        None
    }

    fn drain_report(&mut self, report: &mut Report) {
        report.corrections.append(&mut self.corrections);
    }
}

/// The end is missing, from this byte on.
fn truncated(at: u64) -> Gap {
    Gap::new(LayerId::RAW, at, None, Cause::Truncated)
}

/// What stands between the rest of a trailer and the rest of the appendix behind it.
const BETWEEN: [u8; 16] = {
    let mut bytes = [0; 16];
    let (end, begin) = bytes.split_at_mut(8);
    end.copy_from_slice(&END_MAGIC);
    begin.copy_from_slice(&appendix::HEADER_MAGIC);
    bytes
};

/// A trailer, and what shows that an appendix follows it.
const HELD: usize = TRAILER_LEN + 8;

/// How far a forward reader reads ahead for a caller with a small buffer.
const READ_AHEAD: usize = 8_192;
