//! Looks for what a container states where its header or trailer is not in its place.

use std::io;
use std::ops::Range;

use carstone_layer::{
    Correction, FRAME_HEADER_LEN, FRAME_MAGIC, FrameHeader, Kind, PackId, ReadAt, read_full,
};
use memchr::memchr2_iter;

use crate::container::{MAGIC, array_at, u32_at};
use crate::trailer::{TRAILER_LEN, Trailer};
use crate::{Container, appendix};

/// What stood among the frames of a damaged pack.
#[derive(Default)]
pub(crate) struct Found {
    /// The pack id of the frames.
    pub(crate) pack: Option<PackId>,
    /// The container that an anchor of this pack repeats.
    pub(crate) anchor: Option<Container>,
    /// The trailer behind the last frame.
    pub(crate) trailer: Option<FoundTrailer>,
}

/// A trailer, where it stands in the source, and what was put right in it.
#[derive(Debug)]
pub(crate) struct FoundTrailer {
    pub(crate) at: u64,
    pub(crate) trailer: Trailer,
    pub(crate) correction: Option<Correction>,
}

impl FoundTrailer {
    /// Whether it states that its pack begins in the container header at `start`, right behind it, or before it: where no content of another pack
    /// stands.
    pub(crate) fn begins_around(&self, start: u64) -> bool {
        let end = self.at.saturating_add(TRAILER_LEN as u64);
        end.saturating_sub(self.trailer.stored_len) <= start.saturating_add(Container::LEN as u64)
    }
}

/// The trailer at the end of `range`, or before the appendices there.
pub(crate) fn trailer_from_end<R: ReadAt + ?Sized>(
    source: &R,
    range: &Range<u64>,
) -> io::Result<Option<FoundTrailer>> {
    let end = match appendix::step_back(source, range.start, range.end) {
        Ok(appendices) => appendices.first().map_or(range.end, |a| range.start + a.range.start),
        Err(error) => match io::Error::from(error) {
            error if error.kind() == io::ErrorKind::InvalidData => return Ok(None),
            error => return Err(error),
        },
    };
    match end.checked_sub(TRAILER_LEN as u64).filter(|&at| at >= range.start) {
        Some(at) => {
            let mut bytes = [0; TRAILER_LEN];
            source.read_exact_at(&mut bytes, at)?;
            Ok(trailer_in(&bytes, at, true))
        }
        None => Ok(None),
    }
}

/// Goes from frame to frame of `pack`, and searches for the next one where there is none, until the trailer is found.
///
/// Without a pack it is that of the first frame, and where there is no frame any trailer will do. The work is linear in the
/// length of the range.
pub(crate) fn among_frames<R: ReadAt + ?Sized>(
    source: &R,
    range: Range<u64>,
    pack: Option<PackId>,
) -> io::Result<Found> {
    let mut found = Found::default();
    let mut steps = Steps::new(source, range);
    while let Some(step) = steps.next(|id| found.pack.or(pack).is_none_or(|pack| pack == id))? {
        match step {
            Step::Frame(at, header) => {
                found.pack = Some(header.pack);
                if header.kind == Kind::ANCHOR && found.anchor.is_none() {
                    found.anchor = anchor_at(source, at, &header)?;
                }
            }
            Step::Trailer(trailer) if is_of(&trailer, found.pack.or(pack)) => {
                found.trailer = Some(*trailer);
                break;
            }
            // The pack is there, if not a whole frame of it.
            Step::Cut(_, id) if pack == Some(id) => found.pack = pack,
            Step::Cut(..) | Step::Trailer(_) => {}
        }
    }
    Ok(found)
}

/// The pack of the first frame in `range`.
pub(crate) fn first_pack<R: ReadAt + ?Sized>(
    source: &R,
    range: Range<u64>,
) -> io::Result<Option<PackId>> {
    let mut steps = Steps::new(source, range);
    while let Some(step) = steps.next(|_| true)? {
        if let Step::Frame(_, header) = step {
            return Ok(Some(header.pack));
        }
    }
    Ok(None)
}

/// The pack of the frame that begins at `at`.
pub(crate) fn pack_at<R: ReadAt + ?Sized>(source: &R, at: u64) -> io::Result<Option<PackId>> {
    let mut window = Window { source, bytes: Vec::new(), at };
    Ok(window.frame_at(at, true)?.map(|header| header.pack))
}

/// The pack that has the most bytes in `range`, those of a frame that is cut off there included. A pack that lies in another one as content has fewer
/// than that one, unless little is left of it.
pub(crate) fn largest_pack<R: ReadAt + ?Sized>(
    source: &R,
    range: Range<u64>,
) -> io::Result<Option<PackId>> {
    let mut packs: Vec<(PackId, u64)> = Vec::new();
    let mut steps = Steps::new(source, range);
    while let Some(step) = steps.next(|_| true)? {
        let (pack, len) = match step {
            Step::Frame(_, header) => (header.pack, header.frame_len()),
            Step::Cut(len, pack) => (pack, len),
            Step::Trailer(_) => continue,
        };
        if let Some((_, bytes)) = packs.iter_mut().find(|(id, _)| *id == pack) {
            *bytes = bytes.saturating_add(len);
        } else if packs.len() < MAX_PACKS {
            packs.push((pack, len));
        }
    }
    // Of equal ones the first.
    Ok(packs.iter().rev().max_by_key(|(_, bytes)| *bytes).map(|(id, _)| *id))
}

fn is_of(trailer: &FoundTrailer, pack: Option<PackId>) -> bool {
    pack.is_none_or(|pack| {
        trailer.trailer.container().is_ok_and(|container| container.pack_id == pack)
    })
}

/// What a search comes upon.
enum Step {
    Frame(u64, FrameHeader),
    /// So many bytes of a frame that goes on behind the end, and its pack. What follows may still be frames.
    Cut(u64, PackId),
    Trailer(Box<FoundTrailer>),
}

/// The way through a damaged pack.
struct Steps<'a, R: ?Sized> {
    window: Window<'a, R>,
    at: u64,
    end: u64,
    /// Correcting a trailer costs more than looking for one: it is tried only where one must stand.
    is_expected: bool,
}

impl<'a, R: ReadAt + ?Sized> Steps<'a, R> {
    fn new(source: &'a R, range: Range<u64>) -> Self {
        let window = Window { source, bytes: Vec::new(), at: range.start };
        Self { window, at: range.start, end: range.end, is_expected: true }
    }

    /// The next trailer, or frame of a pack that is `wanted`.
    fn next(&mut self, wanted: impl Fn(PackId) -> bool) -> io::Result<Option<Step>> {
        while self.at < self.end {
            let at = self.at;
            let frame = self.window.frame_at(at, self.is_expected)?;
            let frame = frame.filter(|header| wanted(header.pack));
            let next = frame.as_ref().and_then(|header| at.checked_add(header.frame_len()));
            if let (Some(header), Some(next)) = (&frame, next.filter(|&next| next <= self.end)) {
                (self.at, self.is_expected) = (next, true);
                return Ok(Some(Step::Frame(at, *header)));
            }
            let trailer = self.window.trailer_at(at, self.is_expected)?;
            let trailer = trailer.filter(|_| self.end - at >= TRAILER_LEN as u64);
            let next = self.window.next_magic(at.saturating_add(1)..self.end)?;
            (self.at, self.is_expected) = (next.unwrap_or(self.end), false);
            if let Some(header) = frame {
                return Ok(Some(Step::Cut(self.end - at, header.pack)));
            }
            if let Some(trailer) = trailer {
                return Ok(Some(Step::Trailer(Box::new(trailer))));
            }
        }
        Ok(None)
    }
}

/// The last bytes that were read: a search reads far ahead, steps from frame to frame do not.
struct Window<'a, R: ?Sized> {
    source: &'a R,
    bytes: Vec<u8>,
    /// Where `bytes` stand in the source.
    at: u64,
}

impl<R: ReadAt + ?Sized> Window<'_, R> {
    fn frame_at(&mut self, at: u64, is_expected: bool) -> io::Result<Option<FrameHeader>> {
        let bytes = self.get(at, FRAME_HEADER_LEN, ahead(is_expected))?.first_chunk();
        let header = bytes.and_then(FrameHeader::probe);
        Ok(header.filter(|header| header.stored_len <= MAX_STORED))
    }

    fn trailer_at(&mut self, at: u64, is_expected: bool) -> io::Result<Option<FoundTrailer>> {
        let bytes = self.get(at, TRAILER_LEN, ahead(is_expected))?.first_chunk();
        Ok(bytes.and_then(|bytes| trailer_in(bytes, at, is_expected)))
    }

    /// Where the next frame or container may begin.
    fn next_magic(&mut self, range: Range<u64>) -> io::Result<Option<u64>> {
        let mut at = range.start;
        while at < range.end {
            let bytes = self.get(at, MAGIC.len(), AHEAD)?;
            let may_begin =
                |&n: &usize| FrameHeader::may_begin(&bytes[n..]) || bytes[n..].starts_with(&MAGIC);
            if let Some(n) = memchr2_iter(FRAME_MAGIC[0], MAGIC[0], bytes).find(may_begin) {
                return Ok(Some(at + n as u64));
            }
            if bytes.len() < MAGIC.len() {
                return Ok(None);
            }
            // A magic may straddle two windows.
            at += (bytes.len() - MAGIC.len() + 1) as u64;
        }
        Ok(None)
    }

    /// What is there from `at` on: at least `needed` bytes unless the source ends first.
    fn get(&mut self, at: u64, needed: usize, ahead: usize) -> io::Result<&[u8]> {
        let start = at.checked_sub(self.at).and_then(|start| usize::try_from(start).ok());
        let known = start.filter(|&start| self.bytes.len().saturating_sub(start) >= needed);
        let start = match known {
            Some(start) => start,
            None => {
                self.bytes.resize(needed.max(ahead), 0);
                let there = read_full(self.source, &mut self.bytes, at)?;
                self.bytes.truncate(there);
                self.at = at;
                0
            }
        };
        Ok(&self.bytes[start..])
    }
}

/// A step from frame to frame needs no more than it asks for; a search reads on.
fn ahead(is_expected: bool) -> usize {
    if is_expected { 0 } else { AHEAD }
}

fn trailer_in(bytes: &[u8; TRAILER_LEN], at: u64, correct: bool) -> Option<FoundTrailer> {
    if !correct && !Trailer::has_magic(bytes) {
        return None;
    }
    let (trailer, correction) = match Trailer::decode(bytes) {
        Ok(trailer) => (trailer, None),
        Err(_) if correct => Trailer::decode_corrected(bytes)?,
        Err(_) => return None,
    };
    Some(FoundTrailer { at, trailer, correction })
}

/// The container in the payload of an anchor, if the payload is intact and holds one of its own pack.
fn anchor_at<R: ReadAt + ?Sized>(
    source: &R,
    at: u64,
    header: &FrameHeader,
) -> io::Result<Option<Container>> {
    if header.stored_len > MAX_ANCHOR {
        return Ok(None);
    }
    let mut payload = vec![0; header.stored_len as usize];
    let there = read_full(source, &mut payload, at + FRAME_HEADER_LEN as u64)?;
    if there < payload.len() || there < 4 + Container::LEN || !header.payload_is_intact(&payload) {
        return Ok(None);
    }
    if u32_at(&payload, 0) as usize != Container::LEN {
        return Ok(None);
    }
    let container = Container::decode(&array_at(&payload, 4)).ok();
    Ok(container.filter(|container| container.pack_id == header.pack))
}

const AHEAD: usize = 65_536;
/// How many packs are told apart.
const MAX_PACKS: usize = 64;
/// A payload that is longer is not one of this format: 16 MiB and a tag.
const MAX_STORED: u32 = 16_777_216 + 16;
/// The longest anchor: container, layer header and an envelope of 1 MiB.
const MAX_ANCHOR: u32 = 8 + 256 + 44 + 1_048_576;
