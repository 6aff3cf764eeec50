//! What stands before and behind the frames of a pack that may be damaged.

use std::io;
use std::ops::Range;

use carstone_layer::{Correction, LayerId, ReadAt, read_full};

use crate::search::{self, Found, FoundTrailer};
use crate::trailer::TRAILER_LEN;
use crate::{Container, ErrorKind, appendix};

/// Header, trailer and appendices of a pack that may be damaged, as far as they can be found.
#[derive(Debug)]
pub struct Edges {
    range: Range<u64>,
    front: [u8; Container::LEN],
    there: usize,
    header: Option<(Container, Option<Correction>)>,
    copy: Option<Container>,
    pub(crate) trailer: Option<FoundTrailer>,
    pub(crate) anchor: Option<Container>,
    pub(crate) is_header_foreign: bool,
}

/// A trailer, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrailerPlace {
    /// Its bytes in the source.
    pub range: Range<u64>,
    /// Bytes from the first of the header to the last of the trailer, as it states them.
    pub stored_len: u64,
    /// What was put right in it; `at` counts from its first byte.
    pub correction: Option<Correction>,
}

impl Edges {
    /// Looks at both ends of what fills `range` of `source`.
    ///
    /// Where the trailer is not in its place, it is searched for behind the frames, and where there is no header either, so are
    /// anchors. Where header and trailer are of different packs, and that of the trailer begins no further on than right behind the header, the one with
    /// more frames is meant. Where the first frame stands right behind it, that one decides: what begins further on may be content.
    ///
    /// # Errors
    /// Whatever `source` gives; [`ErrorKind::Unknown`] when an intact header needs a newer reader.
    pub fn find<R: ReadAt + ?Sized>(source: &R, range: Range<u64>) -> io::Result<Self> {
        let mut trailer = search::trailer_from_end(source, &range)?;
        // What stands before the trailer may be a header; a trailer alone begins like one.
        let room = trailer.as_ref().map_or(range.end, |trailer| trailer.at) - range.start;
        let mut front = [0; Container::LEN];
        let room = usize::try_from(room).unwrap_or(usize::MAX).min(front.len());
        let there = read_full(source, &mut front[..room], range.start)?;
        let header = match Container::decode_or_correct(&front) {
            Ok(header) => Some(header),
            Err(error) if matches!(error.kind(), ErrorKind::Unknown { .. }) => {
                return Err(error.into());
            }
            Err(_) => None,
        };
        let skip = if header.is_some() { there as u64 } else { 0 };
        let frames = range.start + skip..range.end;
        let own = header.as_ref().map(|(container, _)| container.pack_id);
        // Frames in a pack that has none itself are content.
        let is_bare = header.as_ref().is_some_and(|(container, _)| is_bare(container));

        let mut anchor = None;
        if trailer.is_none() {
            let mut found = Found::default();
            if own.is_some() {
                found = search::among_frames(source, frames.clone(), own)?;
            }
            if found.pack.is_none() && found.trailer.is_none() && !is_bare {
                let pack = search::largest_pack(source, frames.clone())?;
                found = search::among_frames(source, frames.clone(), pack)?;
            }
            (trailer, anchor) = (found.trailer, found.anchor);
        }
        let copy_in = |trailer: &FoundTrailer| trailer.trailer.container().ok();
        let mut copy = trailer.as_ref().and_then(copy_in);
        let mut is_header_foreign = false;
        if let (Some(own), Some(other)) = (own, copy.as_ref().map(|copy| copy.pack_id))
            && own != other
        {
            // A pack that begins further on may be content, of a frame whose header is lost.
            let begins_here = trailer.as_ref().is_some_and(|t| t.begins_around(range.start));
            let is_possible =
                begins_here || !is_bare && search::pack_at(source, frames.start)? == Some(other);
            is_header_foreign = is_possible
                && Some(other)
                    == match begins_here {
                        true => search::largest_pack(source, frames.clone())?,
                        false => search::first_pack(source, frames.clone())?,
                    };
            // Something else was appended, or has been written over the end.
            if !is_header_foreign
                && let Some(found) = search::among_frames(source, frames, Some(own))?.trailer
            {
                copy = copy_in(&found);
                trailer = Some(found);
            }
        }
        Ok(Self { range, front, there, header, copy, trailer, anchor, is_header_foreign })
    }

    /// What the header states, or the trailer, or an anchor.
    pub fn container(&self) -> Option<&Container> {
        self.header()
            .map(|(container, _)| container)
            .or(self.copy.as_ref())
            .or(self.anchor.as_ref())
    }

    /// The header at the front, if it is sound or was put right, and of the pack that follows.
    pub fn header(&self) -> Option<(&Container, Option<&Correction>)> {
        match &self.header {
            Some((container, correction)) if !self.is_header_foreign => {
                Some((container, correction.as_ref()))
            }
            _ => None,
        }
    }

    /// The trailer, if it is sound or was put right, and of the same pack as [`container`](Self::container).
    pub fn trailer(&self) -> Option<TrailerPlace> {
        let FoundTrailer { at, trailer, correction } = self.trailer.as_ref()?;
        let is_own = self.copy.as_ref()?.pack_id == self.container()?.pack_id;
        is_own.then(|| TrailerPlace {
            range: *at..at + TRAILER_LEN as u64,
            stored_len: trailer.stored_len,
            correction: correction.clone(),
        })
    }

    /// What a sound trailer states, where it differs from a sound header of the same pack in more than damage.
    pub fn disagree(&self) -> bool {
        match (&self.header, &self.copy) {
            (Some((header, _)), Some(copy)) => header.pack_id == copy.pack_id && header != copy,
            _ => false,
        }
    }

    /// The bytes behind the trailer, and whether they are sound appendices, or nothing.
    ///
    /// # Errors
    /// Whatever `source` gives.
    pub fn behind<R: ReadAt + ?Sized>(&self, source: &R) -> io::Result<(Range<u64>, bool)> {
        let trailer = self.trailer().map(|trailer| trailer.range.end);
        let start = appendix::step_back(source, self.range.start, self.range.end).map(|found| {
            found.first().map_or(self.range.end, |a| self.range.start + a.range.start)
        });
        match start {
            Ok(start) => {
                let end = trailer.unwrap_or(start);
                Ok((end..self.range.end, start == end))
            }
            Err(error) => match io::Error::from(error) {
                error if error.kind() == io::ErrorKind::InvalidData => {
                    Ok((trailer.unwrap_or(self.range.end)..self.range.end, false))
                }
                error => Err(error),
            },
        }
    }

    /// The bytes in the place of the header, as they stand there.
    pub(crate) fn front(&self) -> &[u8] {
        &self.front[..self.there]
    }
}

fn is_bare(container: &Container) -> bool {
    container.layers.slots().first().is_some_and(|slot| slot.id == LayerId::POSITION)
}
