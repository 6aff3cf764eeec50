//! The healed pack, read without being written anywhere.

use std::fmt;
use std::io::{self, Write};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use carstone_compress::{self as compress, PAGE_ENTRIES};
use carstone_encrypt::LayerHeader;
use carstone_layer::{Cause, FRAME_HEADER_LEN, FrameHeader, Gap, ReadAt, read_full};
use carstone_raw::Container;

use super::patches::Patched;
use super::plan::{Bytes, Piece, Plan};
use super::report::{HealReport, Part};
use super::rules::{Rules, changed, is_data};
use super::runs::{Run, hole};

/// A pack with its damage mended as far as that can be done without a key. Made by [`heal`](super::heal()).
///
/// Nothing is stored anew: bytes are read from the source where they are needed.
pub struct Healed<R> {
    pub(super) source: Patched<R>,
    /// What of the source was read.
    pub(super) range: Range<u64>,
    pub(super) container: Container,
    pub(super) layer_header: Option<LayerHeader>,
    pub(super) rules: Option<Rules>,
    /// Data frames and holes.
    pub(super) frames: u64,
    pub(super) plan: Plan,
    pub(super) report: HealReport,
    /// What was made last, and its piece.
    pub(super) made: Mutex<Option<(usize, Arc<Vec<u8>>)>>,
    /// A data frame, and where it stands: the pages of a footer are made one after the other.
    pub(super) reached: Mutex<Option<(u64, u64)>>,
}

impl<R: ReadAt> Healed<R> {
    /// What the container header states.
    pub fn container(&self) -> &Container {
        &self.container
    }

    /// What of the source the pack fills.
    pub fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// What was found and done.
    pub fn report(&self) -> &HealReport {
        &self.report
    }

    /// Length in bytes, appendices included.
    pub fn len(&self) -> u64 {
        self.plan.len()
    }

    /// Never: there are always a header and a trailer.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes all of it, and flushes. `progress` hears how many bytes have been written.
    ///
    /// # Errors
    /// Whatever source and sink give.
    pub fn copy_to<W: Write>(&self, mut sink: W, progress: &mut dyn FnMut(u64)) -> io::Result<()> {
        let mut buf = vec![0; COPY];
        let mut at = 0;
        loop {
            match read_full(self, &mut buf, at)? {
                0 => break,
                n => {
                    sink.write_all(&buf[..n])?;
                    at += n as u64;
                    progress(at);
                }
            }
        }
        if at != self.len() {
            return Err(changed());
        }
        sink.flush()
    }

    /// Says of a gap, whose stored bytes count in the result, where in the source they are, and why they are lost.
    pub(in crate::stack) fn locate(&self, gap: &mut Gap) {
        let is_in = |lost: &&Gap| {
            let end = lost.len.map_or(u64::MAX, |len| lost.at.saturating_add(len));
            lost.layer == gap.layer && (lost.at..end).contains(&gap.at)
        };
        let lost = self.report.lost.iter().find(is_in);
        if let Some(lost) = lost.filter(|lost| gap.cause == Cause::Missing && lost.stored.is_some())
        {
            (gap.stored, gap.cause) = (lost.stored.clone(), lost.cause.clone());
            return;
        }
        let place = |stored: Range<u64>| self.source_of(stored.start)..self.source_of(stored.end);
        gap.stored = gap.stored.take().map(place);
    }

    /// Where in the source a byte of the result stands. What was made again stands behind what came before it.
    fn source_of(&self, at: u64) -> u64 {
        let pieces = &self.plan.pieces;
        let index = pieces.partition_point(|piece| piece.stored.end <= at);
        let kept = |piece: &Piece| match piece.bytes {
            Bytes::Kept { at, .. } => Some((at, piece.stored.clone())),
            _ => None,
        };
        if let Some((place, stored)) = pieces.get(index).and_then(kept) {
            return place + (at - stored.start);
        }
        let before = pieces.iter().take(index).rev().find_map(kept);
        before.map_or(0, |(place, stored)| place + (stored.end - stored.start))
    }

    /// What `Part` is made of.
    fn make(&self, part: Part, plain: u64) -> io::Result<Vec<u8>> {
        let container = || self.container.encode();
        let bytes = match (part, &self.layer_header) {
            (Part::Header, _) => container().to_vec(),
            (Part::Trailer, _) => self.container.encode_trailer(plain).to_vec(),
            (Part::LayerHeader(0), Some(header)) => header.front_frame(),
            (Part::LayerHeader(_), Some(header)) => header.end_frame(plain),
            (Part::Anchor(index), Some(header)) => header.anchor_frame(&container(), index),
            (Part::Anchor(index), None) => {
                compress::anchor_frame(&container(), self.container.pack_id, index, plain)
            }
            (Part::Footer(page), _) => self.footer(page)?,
            (Part::LayerHeader(_), None) => return Err(changed()),
        };
        Ok(bytes)
    }

    fn footer(&self, page: u64) -> io::Result<Vec<u8>> {
        let footer = self.plan.footer.ok_or_else(changed)?;
        if page >= footer.pages() {
            return Ok(footer.tail());
        }
        let first = page * PAGE_ENTRIES;
        let reached = *self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut frame, mut at) = match reached {
            Some((frame, at)) if frame == first => (frame, at),
            _ => self.piece_of(first)?,
        };
        let end = (first + PAGE_ENTRIES).min(self.frames);
        let mut entries = Vec::with_capacity(PAGE_ENTRIES as usize);
        while frame < end {
            let mut bytes = [0; FRAME_HEADER_LEN];
            self.read_exact_at(&mut bytes, at)?;
            let header = FrameHeader::decode(&bytes).map_err(|_| changed())?;
            if is_data(&header) {
                if frame >= first {
                    entries.push((header.plain_offset, at - Container::LEN as u64));
                }
                frame += 1;
            }
            at += header.frame_len();
        }
        *self.reached.lock().unwrap_or_else(PoisonError::into_inner) = Some((frame, at));
        Ok(footer.page(page, entries.into_iter()))
    }

    /// The first data frame of the piece that holds `frame`, and where it stands.
    fn piece_of(&self, frame: u64) -> io::Result<(u64, u64)> {
        // Frames rise from piece to piece, and what is made has none.
        let pieces = self.plan.pieces.iter().filter_map(|piece| Some((first(piece)?, piece)));
        let found = pieces.take_while(|(first, _)| *first <= frame).last();
        found.map(|(first, piece)| (first, piece.stored.start)).ok_or_else(changed)
    }

    fn hole(&self, run: &Run, index: u64) -> io::Result<[u8; FRAME_HEADER_LEN]> {
        let rules = self.rules.ok_or_else(changed)?;
        let (plain, len) = hole(&run.plain, run.len(), rules.unit, index);
        let is_last = run.is_final && index + 1 == run.len();
        let sequence = run.frames.start + index;
        let pack = self.container.pack_id;
        Ok(FrameHeader::hole(rules.layer, pack, sequence, plain, len, is_last).encode())
    }

    /// Bytes of one piece, from `from` on; at least one.
    fn read_piece(&self, index: usize, from: u64, buf: &mut [u8]) -> io::Result<usize> {
        let piece = &self.plan.pieces[index];
        match &piece.bytes {
            Bytes::Kept { at, .. } => match self.source.read_at(buf, at + from)? {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                n => Ok(n),
            },
            Bytes::Holes(run) => {
                let len = FRAME_HEADER_LEN as u64;
                let frame = self.hole(run, from / len)?;
                Ok(copy(&frame, from % len, buf))
            }
            Bytes::Made(part, plain) => {
                let known = self.made.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let bytes = match known {
                    Some((made, bytes)) if made == index => bytes,
                    // Nothing is held meanwhile: a footer is made of other pieces.
                    _ => Arc::new(self.make(*part, *plain)?),
                };
                if bytes.len() as u64 != piece.stored.end - piece.stored.start {
                    return Err(changed());
                }
                let n = copy(&bytes, from, buf);
                *self.made.lock().unwrap_or_else(PoisonError::into_inner) = Some((index, bytes));
                Ok(n)
            }
        }
    }
}

impl<R: ReadAt> ReadAt for Healed<R> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let index = self.plan.pieces.partition_point(|piece| piece.stored.end <= offset);
        let Some(piece) = self.plan.pieces.get(index).filter(|_| !buf.is_empty()) else {
            return Ok(0);
        };
        let room = piece.stored.end - offset;
        let room = usize::try_from(room).unwrap_or(usize::MAX).min(buf.len());
        self.read_piece(index, offset - piece.stored.start, &mut buf[..room])
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.len())
    }
}

impl<R> fmt::Debug for Healed<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Healed")
            .field("container", &self.container)
            .field("report", &self.report)
            .finish_non_exhaustive()
    }
}

/// The first data frame of a piece.
fn first(piece: &Piece) -> Option<u64> {
    match &piece.bytes {
        Bytes::Kept { first, .. } => *first,
        Bytes::Holes(run) => Some(run.frames.start),
        Bytes::Made(..) => None,
    }
}

/// Copies what stands in `bytes` from `from` on.
fn copy(bytes: &[u8], from: u64, buf: &mut [u8]) -> usize {
    let from = usize::try_from(from).unwrap_or(usize::MAX);
    let rest = bytes.get(from..).unwrap_or_default();
    let n = rest.len().min(buf.len());
    buf[..n].copy_from_slice(&rest[..n]);
    n
}

const COPY: usize = 1 << 20;
