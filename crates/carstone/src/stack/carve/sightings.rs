//! What was seen, and where, before it is put together.

use std::collections::HashMap;
use std::ops::Range;

use carstone_layer::{FrameHeader, LayerId, PackId};
use carstone_raw::Container;

/// Everything that was seen.
#[derive(Debug, Default)]
pub(super) struct Sightings {
    pub(super) packs: Vec<SeenPack>,
    pub(super) cars: Vec<SeenCar>,
    by_id: HashMap<PackId, usize>,
    pieces: usize,
}

/// What carries one pack id.
#[derive(Debug)]
pub(super) struct SeenPack {
    pub(super) id: PackId,
    pub(super) container: Option<Container>,
    /// Where headers stand.
    pub(super) headers: Vec<u64>,
    /// Where trailers stand, and the stored lengths that they state.
    pub(super) trailers: Vec<(u64, u64)>,
    /// Frames that stand one behind the other.
    pub(super) frames: Vec<Range<u64>>,
    /// Frames of which only the header is sure to be there, as far as they would reach.
    pub(super) cut: Vec<Range<u64>>,
    /// The layer of the first frame, and the most plain bytes in any.
    pub(super) layer: Option<LayerId>,
    pub(super) longest: u32,
}

/// Nothing more can be kept track of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Full;

/// What belongs to one CAR.
#[derive(Debug, Default)]
pub(super) struct SeenCar {
    pub(super) header: Option<Range<u64>>,
    /// Sections that stand one behind the other.
    pub(super) sections: Vec<Range<u64>>,
    /// How many there are in each piece.
    pub(super) counts: Vec<u64>,
    /// Whether a section that is damaged follows the last one.
    pub(super) goes_on: bool,
    /// Whether nothing more belongs to it.
    pub(super) is_closed: bool,
}

impl Sightings {
    /// What has been seen of a pack.
    pub(super) fn pack(&mut self, id: PackId) -> Result<&mut SeenPack, Full> {
        let is_full = self.has_most_finds();
        let index = match self.by_id.get(&id) {
            Some(index) => *index,
            None if is_full => return Err(Full),
            None => {
                self.by_id.insert(id, self.packs.len());
                self.packs.push(SeenPack::new(id));
                self.packs.len() - 1
            }
        };
        self.packs.get_mut(index).ok_or(Full)
    }

    /// A frame, or as much as is sure to be there of one that would end at `end`.
    pub(super) fn frame(
        &mut self,
        header: &FrameHeader,
        place: Range<u64>,
        end: u64,
    ) -> Result<(), Full> {
        self.has_room()?;
        let pack = self.pack(header.pack)?;
        pack.layer.get_or_insert(header.layer);
        pack.longest = pack.longest.max(header.plain_len);
        let is_cut = place.end < end;
        if is_cut {
            pack.cut.push(place.start..end);
        }
        let is_new = push(&mut pack.frames, place);
        self.pieces += usize::from(is_new || is_cut);
        Ok(())
    }

    /// The header of a CAR.
    pub(super) fn car(&mut self, header: Range<u64>) -> Result<(), Full> {
        self.drop_bare_headers();
        if self.has_most_finds() {
            return Err(Full);
        }
        self.cars.push(SeenCar { header: Some(header), ..SeenCar::default() });
        Ok(())
    }

    /// A section of the CAR that is open, or of one without a header.
    pub(super) fn section(&mut self, place: Range<u64>) -> Result<(), Full> {
        self.has_room()?;
        let reach = place.start.saturating_sub(MAX_GAP);
        if !self.cars.last().is_some_and(|car| !car.is_closed && car.end() >= reach) {
            if self.has_most_finds() {
                return Err(Full);
            }
            self.cars.push(SeenCar::default());
        }
        let Some(car) = self.cars.last_mut() else { return Ok(()) };
        car.goes_on = false;
        let is_new = push(&mut car.sections, place);
        match car.counts.last_mut().filter(|_| !is_new) {
            Some(count) => *count += 1,
            None => car.counts.push(1),
        }
        self.pieces += usize::from(is_new);
        Ok(())
    }

    /// Where to look again when nothing more is kept track of from `at` on: at the header whose sections would have begun there.
    pub(super) fn resume_at(&self, at: u64) -> u64 {
        let header = self.cars.last().filter(|car| car.sections.is_empty() && car.end() == at);
        header.map_or(at, SeenCar::start)
    }

    /// Whether another piece can be kept track of.
    pub(super) fn has_room(&self) -> Result<(), Full> {
        match self.pieces < MAX_PIECES {
            true => Ok(()),
            false => Err(Full),
        }
    }

    /// Headers alone are not kept.
    fn drop_bare_headers(&mut self) {
        while self.cars.last().is_some_and(|car| car.sections.is_empty()) {
            self.cars.pop();
        }
    }

    fn has_most_finds(&self) -> bool {
        self.packs.len() + self.cars.len() >= MAX_FINDS
    }

    /// What follows belongs to another CAR.
    pub(super) fn close(&mut self) {
        if let Some(car) = self.cars.last_mut() {
            car.is_closed = true;
        }
    }
}

impl SeenPack {
    fn new(id: PackId) -> Self {
        Self {
            id,
            container: None,
            headers: Vec::new(),
            trailers: Vec::new(),
            frames: Vec::new(),
            cut: Vec::new(),
            layer: None,
            longest: 0,
        }
    }

    /// Whether it has no frames: the CAR stream stands bare between header and trailer.
    pub(super) fn is_bare(&self) -> bool {
        let slot = self.container.as_ref().and_then(|container| container.layers.slots().first());
        slot.is_some_and(|slot| slot.id == LayerId::POSITION)
    }

    pub(super) fn header(&mut self, at: u64, container: Container) {
        remember(&mut self.headers, at);
        self.container.get_or_insert(container);
    }

    pub(super) fn trailer(&mut self, at: u64, stored_len: u64, container: Container) {
        remember(&mut self.trailers, (at, stored_len));
        self.container.get_or_insert(container);
    }
}

impl SeenCar {
    /// Its first byte.
    pub(super) fn start(&self) -> u64 {
        let first = self.header.iter().chain(&self.sections).next();
        first.map_or(0, |first| first.start)
    }

    /// The byte behind its last one.
    pub(super) fn end(&self) -> u64 {
        let header = self.header.as_ref().map_or(0, |header| header.end);
        self.sections.last().map_or(header, |section| section.end)
    }
}

/// Adds a piece; gives whether it stands apart from the last one.
fn push(pieces: &mut Vec<Range<u64>>, place: Range<u64>) -> bool {
    match pieces.last_mut() {
        Some(last) if last.end == place.start => {
            last.end = place.end;
            false
        }
        _ => {
            pieces.push(place);
            true
        }
    }
}

fn remember<T>(places: &mut Vec<T>, place: T) {
    if places.len() < MAX_COPIES {
        places.push(place);
    }
}

/// Packs and CARs that are kept track of at a time.
const MAX_FINDS: usize = 1 << 16;
/// Pieces that are kept track of at a time.
const MAX_PIECES: usize = 1 << 20;
/// Headers and trailers of one pack that are remembered.
const MAX_COPIES: usize = 64;
/// Sections that are farther apart are not taken for one CAR: one damaged section is no longer.
const MAX_GAP: u64 = (8 << 20) + 64;
