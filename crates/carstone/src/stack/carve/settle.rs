//! What belongs together: fragments of one pack, with the bytes around them in which more of it may stand.

use std::collections::HashMap;
use std::ops::Range;

use carstone_layer::{LayerId, LayerList, LayerSlot};
use carstone_raw::Container;

use super::Carved;
use super::car::CarvedCar;
use super::pack::CarvedPack;
use super::sightings::{SeenCar, SeenPack, Sightings};

/// Puts together what was seen, in the order in which it begins.
pub(super) fn settle(seen: Sightings) -> Vec<Carved> {
    let Sightings { mut packs, mut cars, .. } = seen;
    let known = starts(&packs);
    let bare: Vec<_> = packs.iter().map(|pack| bare_regions(pack, &cars, &known)).collect();
    let of = |index| move |region: &Range<u64>| (region.clone(), index);
    let regions = bare.iter().enumerate().flat_map(|(index, all)| all.iter().map(of(index)));
    let regions = Regions::new(regions.collect());
    // What a damaged block has let out.
    for (index, pack) in packs.iter_mut().enumerate() {
        pack.leave(|at| regions.holds(&(at..at), Some(index)));
    }
    let inside = packs.iter().flat_map(|pack| pack.inside(&known).into_iter().map(|r| (r, NOBODY)));
    let inside = Regions::new(inside.collect());
    for car in &mut cars {
        let is_whole = car.header.is_some() && car.sections.len() == 1 && !car.goes_on;
        car.leave(|piece| regions.holds(piece, None) || (!is_whole && inside.holds(piece, None)));
    }
    cars.retain(|car| !car.sections.is_empty());
    let mut around = surroundings(&packs, &cars);
    let mut found: Vec<Carved> = Vec::new();
    for ((index, pack), regions) in packs.into_iter().enumerate().zip(bare) {
        let pieces = around.remove(&index).unwrap_or_default();
        found.extend(pack_of(pack, regions, pieces).map(Carved::Pack));
    }
    found.extend(cars.into_iter().map(|car| Carved::Car(CarvedCar::new(car))));
    found.sort_by_key(|found| found.range().start);
    found
}

/// Stretches of the source, and to which pack each belongs.
struct Regions(Vec<(Range<u64>, usize)>);

impl Regions {
    fn new(mut regions: Vec<(Range<u64>, usize)>) -> Self {
        regions.sort_by_key(|(region, _)| region.start);
        Self(regions)
    }

    /// Whether a piece lies in a stretch that is not `own`.
    fn holds(&self, piece: &Range<u64>, own: Option<usize>) -> bool {
        let before = self.0.partition_point(|(region, _)| region.start <= piece.start);
        let region = before.checked_sub(1).and_then(|index| self.0.get(index));
        region.is_some_and(|(region, owner)| Some(*owner) != own && piece.end <= region.end)
    }
}

fn pack_of(
    seen: SeenPack,
    regions: Vec<Range<u64>>,
    pieces: Vec<Range<u64>>,
) -> Option<CarvedPack> {
    if let Some(region) = regions.into_iter().next() {
        let trailer = seen.trailers.iter().any(|(at, _)| at + TRAILER_LEN == region.end);
        let stream = region.start.saturating_add(HEADER_LEN)..region.end;
        let pieces = vec![stream];
        let bytes = region.end - region.start;
        let (id, container) = (seen.id, seen.container);
        return Some(CarvedPack {
            id,
            range: region,
            bytes,
            fragments: 1,
            container,
            is_inferred: false,
            is_bare: true,
            has_trailer: trailer,
            parts: pieces.clone(),
            pieces,
        });
    }
    let edges = edges(&seen);
    if edges.is_empty() && seen.frames.is_empty() {
        return None;
    }
    let all = || edges.iter().chain(&seen.frames);
    let (start, end) = (all().map(|piece| piece.start).min(), all().map(|piece| piece.end).max());
    let range = start.unwrap_or_default()..end.unwrap_or_default();
    let bytes = seen.frames.iter().chain(&edges).map(|piece| piece.end - piece.start).sum();
    let fragments = seen.frames.len() as u64;
    let is_inferred = seen.container.is_none();
    let container = match (&seen.container, seen.layer) {
        // Only position can stand inside of it.
        (None, Some(LayerId::COMPRESSION)) => inferred(&seen),
        _ => seen.container.clone(),
    };
    let mut pieces = match seen.frames.is_empty() {
        true => Vec::new(),
        false => pieces,
    };
    let trailer = seen.trailers.first().filter(|_| !pieces.is_empty());
    pieces.extend(trailer.map(|(at, _)| *at..at + TRAILER_LEN));
    Some(CarvedPack {
        id: seen.id,
        range,
        bytes,
        fragments,
        container,
        is_inferred,
        is_bare: false,
        has_trailer: trailer.is_some(),
        pieces,
        parts: union(edges.iter().chain(&seen.frames).chain(&seen.cut)),
    })
}

/// Stretches that overlap made one, in ascending order.
fn union<'a>(pieces: impl Iterator<Item = &'a Range<u64>>) -> Vec<Range<u64>> {
    let mut pieces: Vec<_> = pieces.cloned().collect();
    pieces.sort_by_key(|piece| piece.start);
    let mut union: Vec<Range<u64>> = Vec::new();
    for piece in pieces {
        match union.last_mut() {
            Some(last) if last.end >= piece.start => last.end = last.end.max(piece.end),
            _ => union.push(piece),
        }
    }
    union
}

/// Headers and trailers of a pack.
fn edges(seen: &SeenPack) -> Vec<Range<u64>> {
    let headers = seen.headers.iter().map(|at| *at..at + HEADER_LEN);
    headers.chain(seen.trailers.iter().map(|(at, _)| *at..at + TRAILER_LEN)).collect()
}

/// The container of a pack that is compressed and nothing else.
fn inferred(seen: &SeenPack) -> Option<Container> {
    let unit = seen.longest.clamp(64 << 10, 16 << 20);
    let slots = vec![
        LayerSlot { id: LayerId::COMPRESSION, algorithm: 0, unit },
        LayerSlot { id: LayerId::POSITION, algorithm: 0, unit: 0 },
    ];
    Container::new(seen.id, LayerList::new(slots).ok()?).ok()
}

/// Where anything of a pack begins, in ascending order.
fn starts(packs: &[SeenPack]) -> Vec<u64> {
    let frames = packs.iter().flat_map(|pack| pack.frames.iter().map(|frames| frames.start));
    let edges = packs.iter().flat_map(|pack| edges(pack).into_iter().map(|edge| edge.start));
    let mut starts: Vec<_> = frames.chain(edges).collect();
    starts.sort_unstable();
    starts
}

/// Where a pack without frames lies: from a header to a trailer that agrees with it, else as far as one of them tells.
fn bare_regions(seen: &SeenPack, cars: &[SeenCar], known: &[u64]) -> Vec<Range<u64>> {
    if !seen.is_bare() {
        return Vec::new();
    }
    let stated = |&(at, stored_len): &(u64, u64)| {
        let end = at + TRAILER_LEN;
        end.checked_sub(stored_len).map(|start| start..end)
    };
    let mut regions: Vec<_> = seen.trailers.iter().filter_map(stated).collect();
    // A trailer alone may be that of a pack whose front is elsewhere.
    let is_clear = |region: &Range<u64>| {
        let first = known.partition_point(|start| *start < region.start);
        known.get(first).is_none_or(|start| *start >= region.end - TRAILER_LEN)
    };
    regions.retain(|region| {
        let room = HEADER_LEN + TRAILER_LEN;
        region.end - region.start >= room
            && (seen.headers.contains(&region.start) || is_clear(region))
    });
    // Those with both ends come first.
    regions.sort_by_key(|region| !seen.headers.contains(&region.start));
    let is_whole = |region: &Range<u64>| seen.headers.contains(&region.start);
    let alone = seen.headers.iter().filter(|at| !regions.iter().any(|r| r.start == **at));
    let alone: Vec<_> = alone.filter_map(|at| from_header(*at, cars)).collect();
    let first_whole = regions.iter().take_while(|region| is_whole(region)).count();
    regions.splice(first_whole..first_whole, alone);
    regions
}

/// From a header to the end of the CAR behind it, and the footer.
fn from_header(at: u64, cars: &[SeenCar]) -> Option<Range<u64>> {
    let front = at + HEADER_LEN;
    let first = cars.partition_point(|car| car.start() < front);
    let car = cars.get(first).filter(|car| car.start() == front && !car.sections.is_empty());
    car.map(|car| at..car.end() + FOOTER_LEN)
}

/// For each pack its frames, and the bytes next to them that nobody claims.
fn surroundings(packs: &[SeenPack], cars: &[SeenCar]) -> HashMap<usize, Vec<Range<u64>>> {
    let mut claims: Vec<(Range<u64>, Option<usize>)> = Vec::new();
    for (index, pack) in packs.iter().enumerate() {
        claims.extend(pack.frames.iter().map(|frames| (frames.clone(), Some(index))));
        claims.extend(edges(pack).into_iter().map(|edge| (edge, None)));
    }
    let of_cars = cars.iter().flat_map(|car| car.header.iter().chain(&car.sections));
    claims.extend(of_cars.map(|piece| (piece.clone(), None)));
    claims.sort_by_key(|(piece, _)| piece.start);
    let mut around: HashMap<usize, Vec<Range<u64>>> = HashMap::new();
    let mut before = 0;
    for (place, (piece, owner)) in claims.iter().enumerate() {
        if let Some(owner) = owner {
            let next = claims.get(place + 1).map_or(u64::MAX, |(next, _)| next.start);
            let start = before.max(piece.start.saturating_sub(MAX_SLACK)).min(piece.start);
            let end = next.min(piece.end.saturating_add(MAX_SLACK)).max(piece.end);
            let pieces = around.entry(*owner).or_default();
            match pieces.last_mut() {
                Some(last) if last.end >= start => last.end = end,
                _ => pieces.push(start..end),
            }
        }
        before = before.max(piece.end);
    }
    around
}

impl SeenPack {
    /// Gives up what begins where `is_lost` says.
    fn leave(&mut self, is_lost: impl Fn(u64) -> bool) {
        self.frames.retain(|frames| !is_lost(frames.start));
        self.cut.retain(|frame| !is_lost(frame.start));
        self.headers.retain(|at| !is_lost(*at));
        self.trailers.retain(|(at, _)| !is_lost(*at));
    }

    /// Where frames of this pack must have been, of which nothing is left: between those that are, and header and trailer. `known` is where
    /// anything of any pack begins.
    fn inside(&self, known: &[u64]) -> Vec<Range<u64>> {
        let mut own: Vec<(Range<u64>, Edge)> = Vec::new();
        own.extend(self.frames.iter().map(|frames| (frames.clone(), Edge::Neither)));
        own.extend(self.headers.iter().map(|at| (*at..at + HEADER_LEN, Edge::Front)));
        for (at, stored_len) in &self.trailers {
            own.push((*at..at + TRAILER_LEN, Edge::Back));
            // Where the header should be.
            let stated = (at + TRAILER_LEN).checked_sub(*stored_len);
            own.extend(stated.map(|at| (at..at, Edge::Front)));
        }
        own.sort_by_key(|(piece, _)| (piece.start, piece.end));
        let is_clear = |gap: &Range<u64>| {
            let next = known.partition_point(|start| *start < gap.start);
            gap.start < gap.end
                && gap.end - gap.start <= MAX_SLACK
                && known.get(next).is_none_or(|start| *start >= gap.end)
        };
        let pairs =
            own.windows(2).filter(|pair| pair[0].1 != Edge::Back && pair[1].1 != Edge::Front);
        pairs.map(|pair| pair[0].0.end..pair[1].0.start).filter(is_clear).collect()
    }
}

/// Which end of a pack something is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Edge {
    Front,
    Back,
    Neither,
}

impl SeenCar {
    /// Gives up pieces.
    fn leave(&mut self, is_lost: impl Fn(&Range<u64>) -> bool) {
        self.header = self.header.take().filter(|header| !is_lost(header));
        let counts = std::mem::take(&mut self.counts);
        let pieces = std::mem::take(&mut self.sections).into_iter().zip(counts);
        let kept = pieces.filter(|(section, _)| !is_lost(section));
        (self.sections, self.counts) = kept.unzip();
    }
}

/// The owner of what belongs to all.
const NOBODY: usize = usize::MAX;
const HEADER_LEN: u64 = Container::LEN as u64;
const TRAILER_LEN: u64 = Container::TRAILER_LEN as u64;
/// What a position layer adds to the CAR stream.
pub(super) const FOOTER_LEN: u64 = 64;
/// More than any frame has.
const MAX_SLACK: u64 = 17 << 20;
