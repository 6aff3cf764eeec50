//! Several segments into one.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};

use carstone_car::ReadAt;

use super::format::{EntryKind, FRONT_LEN, Front, Group, PLACE_LEN, Place, malformed, number_of};
use super::location::Location;
use super::writer::SegmentWriter;
use crate::error::Result;
use crate::objects::{Spool, read_exact_at};

/// Makes one segment of the entries of several, without those of locations that are not kept. Memory is that of the lists of locations, and of the places of
/// one hash.
///
/// # Errors
/// One of them is damaged, or a file cannot be read or written.
pub(crate) fn merge(
    inputs: &[Spool],
    spool: Spool,
    keep: &dyn Fn(&Location) -> bool,
) -> Result<Spool> {
    let (mut locations, mut numbers, mut codecs) = (Vec::new(), HashMap::new(), Vec::new());
    let mut opened = Vec::new();
    for input in inputs {
        let (front, own) = front_of(input)?;
        let number = |location: Location| {
            keep(&location).then(|| {
                *numbers.entry(location).or_insert_with_key(|location| {
                    locations.push(location.clone());
                    locations.len() as u32 - 1
                })
            })
        };
        let own: Vec<Option<u32>> = own.into_iter().map(number).collect();
        let own_codecs: Result<Vec<u8>> =
            front.codecs.iter().map(|codec| number_of(&mut codecs, *codec)).collect();
        opened.push(Opened { input, front, locations: own, codecs: own_codecs? });
    }
    let mut writer = SegmentWriter::new(spool, &locations, &codecs)?;
    let keys: BTreeSet<(EntryKind, u64, u8)> = opened
        .iter()
        .flat_map(|input| {
            input.front.groups.iter().map(|group| (group.kind, group.code, group.len))
        })
        .collect();
    for (kind, code, len) in keys {
        let mut streams = Vec::new();
        for input in &opened {
            let is_it = |group: &&Group| (group.kind, group.code, group.len) == (kind, code, len);
            if let Some(group) = input.front.groups.iter().find(is_it) {
                streams.push(Entries::new(input, group));
            }
        }
        let about = streams.iter().map(|stream| stream.left).sum();
        writer.group(kind, code, len, about)?;
        join(&mut streams, &mut writer)?;
    }
    writer.finish()
}

/// Puts the entries of all streams into the group, each once.
fn join(streams: &mut [Entries<'_>], writer: &mut SegmentWriter) -> Result<()> {
    let mut heap = BinaryHeap::new();
    for (number, stream) in streams.iter_mut().enumerate() {
        if let Some((digest, place)) = stream.next()? {
            heap.push(Reverse((digest, place, number)));
        }
    }
    let (mut current, mut places) = (Vec::new(), Vec::<Place>::new());
    while let Some(Reverse((digest, place, number))) = heap.pop() {
        if digest != current {
            flush(&current, &mut places, writer)?;
            current = digest;
        }
        places.push(place);
        if let Some((digest, place)) = streams[number].next()? {
            if digest < current {
                return Err(malformed("the entries of an index segment are not in order"));
            }
            heap.push(Reverse((digest, place, number)));
        }
    }
    flush(&current, &mut places, writer)
}

fn flush(digest: &[u8], places: &mut Vec<Place>, writer: &mut SegmentWriter) -> Result<()> {
    places.sort_unstable();
    places.drain(..).try_for_each(|place| writer.push(digest, &place))
}

/// A segment in a file, and what its numbers become.
struct Opened<'a> {
    input: &'a Spool,
    front: Front,
    /// `None`: what lies there is left out.
    locations: Vec<Option<u32>>,
    codecs: Vec<u8>,
}

/// The entries of a group, in their order.
struct Entries<'a> {
    opened: &'a Opened<'a>,
    digest: usize,
    at: u64,
    left: u64,
    buffer: Vec<u8>,
    used: usize,
}

impl<'a> Entries<'a> {
    fn new(opened: &'a Opened<'a>, group: &Group) -> Self {
        let (digest, at, left) = (usize::from(group.len), group.entries, group.count);
        Self { opened, digest, at, left, buffer: Vec::new(), used: 0 }
    }

    fn next(&mut self) -> Result<Option<(Vec<u8>, Place)>> {
        let width = self.digest + PLACE_LEN;
        loop {
            if self.used == self.buffer.len() {
                if self.left == 0 {
                    return Ok(None);
                }
                let count = self.left.min((BUFFER / width) as u64);
                self.buffer.resize(count as usize * width, 0);
                read_exact_at(self.opened.input, &mut self.buffer, self.at)?;
                (self.used, self.left) = (0, self.left - count);
                self.at += self.buffer.len() as u64;
            }
            let entry = &self.buffer[self.used..self.used + width];
            self.used += width;
            let (digest, place) = entry.split_at(self.digest);
            let unknown = || malformed("an entry of an index segment names no location");
            let place = Place::decode(place).ok_or_else(unknown)?;
            let location = self.opened.locations.get(place.location as usize);
            let codec = *self.opened.codecs.get(usize::from(place.codec)).ok_or_else(unknown)?;
            if let Some(location) = *location.ok_or_else(unknown)? {
                return Ok(Some((digest.to_vec(), Place { location, codec, ..place })));
            }
        }
    }
}

pub(super) fn front_of(input: &Spool) -> Result<(Front, Vec<Location>)> {
    let size = input.size()?;
    let mut bytes = vec![0; FRONT_LEN];
    if size < FRONT_LEN as u64 {
        return Err(malformed("it is too short for an index segment"));
    }
    read_exact_at(input, &mut bytes, 0)?;
    let front = Front::decode(&bytes)?;
    let range = front.locations.clone();
    let within = |end: u64| end <= size;
    let group_end = |group: &Group| {
        group.count.checked_mul(group.width()).and_then(|len| len.checked_add(group.entries))
    };
    if !within(range.end) || !front.groups.iter().all(|group| group_end(group).is_some_and(within))
    {
        return Err(malformed("an index segment goes past its end"));
    }
    let len = usize::try_from(range.end - range.start).map_err(std::io::Error::other)?;
    let mut records = vec![0; len];
    read_exact_at(input, &mut records, range.start)?;
    let locations = front.locations_in(&records)?;
    Ok((front, locations))
}

/// Bytes that are read of a segment at a time.
pub(super) const BUFFER: usize = 64 << 10;
