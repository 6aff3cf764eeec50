//! Parity that was stored, and may be damaged itself.

use std::collections::BTreeMap;
use std::sync::Mutex;

use carstone_layer::{ReadAt, read_full};
use memchr::memmem;
use reed_solomon_simd::ReedSolomonDecoder;

use crate::find::{Entries, Entry, correct_frame};
use crate::frame::{self, DESCRIPTOR_LEN, HEADER_LEN, Header, Label, MAGIC};
use crate::layout::{ENTRY_LEN, Slot};
use crate::protect::{BLOCK, code, within};
use crate::workers::{into_inner, lock, share};
use crate::{Descriptor, Error, ErrorKind};

/// Parity that was found, with the place of each frame that is left of it.
///
/// Damage to it lowers what it can do, and nothing else.
#[derive(Debug)]
pub struct Parity<P> {
    source: P,
    descriptor: Descriptor,
    /// Offset of the frame of each place, or [`LOST`].
    places: Vec<u64>,
    damaged: u64,
}

impl<P: ReadAt + Sync> Parity<P> {
    /// Opens the parity that `source` begins with, or, where it does not, one that lies anywhere in it.
    ///
    /// Where there are several, the one with the most copies of its descriptor is taken; [`Parity::open_with`] takes
    /// another, and [`Parity::open_for`] the one that matches. Reads everything once, on `threads` threads.
    ///
    /// # Errors
    /// [`ErrorKind::NoParity`], [`ErrorKind::Io`], [`ErrorKind::BadField`].
    pub fn open(source: P, threads: usize) -> Result<Self, Error> {
        match front(&source)? {
            Some(descriptor) => Self::open_with(source, descriptor, 0, threads),
            None => {
                let most = find_descriptors(&source)?.into_iter().next();
                let (descriptor, at) = most.ok_or_else(|| Error::new(ErrorKind::NoParity, 0))?;
                Self::open_with(source, descriptor, at, threads)
            }
        }
    }

    /// Opens the parity of a descriptor, which is expected to begin at `at`.
    ///
    /// # Errors
    /// [`ErrorKind::Io`].
    pub fn open_with(
        source: P,
        descriptor: Descriptor,
        at: u64,
        threads: usize,
    ) -> Result<Self, Error> {
        let slots = within(descriptor.layout.slots(), usize::MAX);
        let mut parity = Self { source, descriptor, places: vec![LOST; slots], damaged: 0 };
        parity.look_in_place(at, threads)?;
        if parity.places.contains(&LOST) {
            parity.look_everywhere()?;
        }
        Ok(parity)
    }

    /// What it protects.
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// Frames that are lost, of how many; copies of the descriptor are not counted.
    pub fn lost_frames(&self) -> (u64, u64) {
        let lost = self.places.iter().filter(|place| **place == LOST).count();
        (lost as u64, self.places.len() as u64)
    }

    /// Frames in which a few flipped bits were put right.
    pub fn corrected_frames(&self) -> u64 {
        self.damaged
    }

    /// Whether all of it is there and intact.
    pub fn is_sound(&self) -> bool {
        self.damaged == 0 && self.lost_frames().0 == 0
    }

    /// Bytes of the source that it is in.
    pub(crate) fn source_len(&self) -> Result<u64, Error> {
        Ok(self.source.size()?)
    }

    /// The recovery cells of a zone that are left.
    pub(crate) fn recovery_left(&self, zone: u32) -> u32 {
        let layout = &self.descriptor.layout;
        let left = (0..layout.recovery())
            .filter(|number| self.has(Slot::Recovery { zone, number: *number }));
        u32::try_from(left.count()).unwrap_or(0)
    }

    /// Whether a frame was found.
    pub(crate) fn has(&self, slot: Slot) -> bool {
        self.place(slot).is_some()
    }

    /// The payload of a frame, put right where that is needed; `None` where it is lost.
    pub(crate) fn payload(&self, slot: Slot) -> Result<Option<Vec<u8>>, Error> {
        let Some(at) = self.place(slot) else { return Ok(None) };
        let len = within(self.descriptor.layout.frame_len(), usize::MAX);
        let mut bytes = vec![0; len];
        let header = self.look(at, &mut bytes)?;
        // Where it was not corrected, nobody has looked at the digest yet.
        let is_this = header.is_some_and(|(header, corrected)| {
            self.is(&header, slot) && (corrected || frame::has_digest(&bytes, &header))
        });
        Ok(is_this.then(|| {
            bytes.drain(..HEADER_LEN);
            bytes
        }))
    }

    /// The table of all cells, as far as it is left.
    pub(crate) fn entries(&self) -> Result<Entries, Error> {
        let layout = &self.descriptor.layout;
        let mut entries = Entries::lost(layout.cells());
        for group in 0..layout.groups() {
            let cell_len = layout.cell_len() as usize;
            let shards = self.table(group)?;
            if shards.iter().all(Option::is_none) {
                continue;
            }
            let lost = |at: usize| shards.get(at / cell_len).is_none_or(Option::is_none);
            let zeros = vec![0; cell_len];
            let table: Vec<u8> = shards
                .iter()
                .flat_map(|shard| shard.as_deref().unwrap_or(&zeros))
                .copied()
                .collect();
            for (number, (cell, bytes)) in
                layout.cells_of(group).zip(table.as_chunks::<ENTRY_LEN>().0).enumerate()
            {
                let at = number * ENTRY_LEN;
                if !lost(at) && !lost(at + ENTRY_LEN - 1) {
                    entries.set(cell, Entry::decode(bytes));
                }
            }
        }
        Ok(entries)
    }

    /// The table shards of a group; from its check shards where some are lost, if enough are left.
    fn table(&self, group: u32) -> Result<Vec<Option<Vec<u8>>>, Error> {
        let layout = &self.descriptor.layout;
        let (table, check) = (layout.table_shards(group), layout.check_shards(group));
        let read = |shard| self.payload(Slot::Table { group, shard });
        let mut shards = (0..table).map(read).collect::<Result<Vec<_>, _>>()?;
        let lost = shards.iter().filter(|shard| shard.is_none()).count();
        if lost == 0 {
            return Ok(shards);
        }
        let checks: Vec<(usize, Vec<u8>)> = (0..)
            .zip((table..table + check).map(read))
            .map(|(number, shard)| Ok(shard?.map(|shard| (number, shard))))
            .filter_map(Result::transpose)
            .collect::<Result<_, Error>>()?;
        if checks.len() < lost {
            return Ok(shards);
        }
        let cell_len = layout.cell_len() as usize;
        let mut decoder =
            ReedSolomonDecoder::new(table as usize, check as usize, cell_len).map_err(code)?;
        for (number, shard) in shards.iter().enumerate() {
            if let Some(shard) = shard {
                decoder.add_original_shard(number, shard).map_err(code)?;
            }
        }
        for (number, shard) in &checks[..lost] {
            decoder.add_recovery_shard(*number, shard).map_err(code)?;
        }
        for (number, shard) in decoder.decode().map_err(code)?.restored_original_iter() {
            shards[number] = Some(shard.to_vec());
        }
        Ok(shards)
    }

    /// Looks for each frame where it should be.
    fn look_in_place(&mut self, at: u64, threads: usize) -> Result<(), Error> {
        let layout = &self.descriptor.layout;
        let len = within(layout.frame_len(), usize::MAX);
        let per_job = (BLOCK / len).max(1);
        // A descriptor may state far more than there is.
        let end = self.source.size().map_err(|error| Error::new(ErrorKind::Io(error), 0))?;
        let room = within(end.saturating_sub(at) / layout.frame_len(), self.places.len());
        let found = Mutex::new(Vec::new());
        share(
            threads,
            0..room.div_ceil(per_job),
            || (),
            |job, ()| {
                let first = job * per_job;
                let places = first..room.min(first + per_job);
                let mut here = Vec::with_capacity(places.len());
                let mut bytes = vec![0; len];
                for place in places {
                    let offset = at + layout.offset_of(place as u64);
                    let slot = layout.slot_at(place as u64);
                    if let Some((header, corrected)) = self.look(offset, &mut bytes)?
                        && self.is(&header, slot)
                    {
                        here.push((place, offset, corrected));
                    }
                }
                lock(&found).extend(here);
                Ok(())
            },
        )?;
        for (place, offset, corrected) in into_inner(found) {
            self.places[place] = offset;
            self.damaged += u64::from(corrected);
        }
        Ok(())
    }

    /// Looks for what is not where it should be by its magic.
    fn look_everywhere(&mut self) -> Result<(), Error> {
        let len = within(self.descriptor.layout.frame_len(), usize::MAX);
        let mut found = BTreeMap::new();
        let mut bytes = vec![0; len];
        let mut looked = 0;
        each_magic(&self.source, |at, header| {
            let Label::Slot(slot) = header.label else { return Ok(()) };
            let is_wanted =
                self.may_be(slot) && self.place(slot).is_none() && self.is(header, slot);
            // Frames do not overlap, but headers that somebody forged may stand side by side.
            if !is_wanted || looked > at / len as u64 + MIN_LOOKS {
                return Ok(());
            }
            looked += 1;
            if let Some((header, corrected)) = self.look(at, &mut bytes)?
                && self.is(&header, slot)
            {
                found.entry(self.descriptor.layout.place_of(slot)).or_insert((at, corrected));
            }
            Ok(())
        })?;
        for (place, (at, corrected)) in found {
            self.places[within(place, usize::MAX)] = at;
            self.damaged += u64::from(corrected);
        }
        Ok(())
    }

    /// The header of the frame that stands at an offset, and whether bits of it have to be put right.
    fn look(&self, at: u64, bytes: &mut [u8]) -> Result<Option<(Header, bool)>, Error> {
        let read = read_full(&self.source, bytes, at)
            .map_err(|error| Error::new(ErrorKind::Io(error), at))?;
        if read < bytes.len() {
            return Ok(None);
        }
        if let Some(header) = frame::decode_by_crc(bytes) {
            return Ok(Some((header, false)));
        }
        let corrected = correct_frame(bytes);
        Ok(corrected.then(|| frame::decode(bytes)).flatten().map(|header| (header, true)))
    }

    fn is(&self, header: &Header, slot: Slot) -> bool {
        header.id == self.descriptor.id
            && header.label == Label::Slot(slot)
            && header.payload_len == self.descriptor.layout.cell_len()
    }

    /// Whether the layout has such a frame.
    fn may_be(&self, slot: Slot) -> bool {
        let layout = &self.descriptor.layout;
        match slot {
            Slot::Table { group, shard } => {
                group < layout.groups()
                    && shard < layout.table_shards(group) + layout.check_shards(group)
            }
            Slot::Recovery { zone, number } => zone < layout.zones() && number < layout.recovery(),
        }
    }

    fn place(&self, slot: Slot) -> Option<u64> {
        let place = within(self.descriptor.layout.place_of(slot), usize::MAX);
        self.places.get(place).copied().filter(|at| *at != LOST)
    }
}

impl<P> Parity<P> {
    /// The same in another source of the same bytes.
    pub(crate) fn with_source<Q>(self, source: Q) -> Parity<Q> {
        let Self { descriptor, places, damaged, .. } = self;
        Parity { source, descriptor, places, damaged }
    }
}

/// The descriptor that a source begins with.
pub(crate) fn front<P: ReadAt + ?Sized>(source: &P) -> Result<Option<Descriptor>, Error> {
    Ok(descriptor_at(source, 0)?.filter(|(_, copy)| *copy == 0).map(|(descriptor, _)| descriptor))
}

fn descriptor_at<P: ReadAt + ?Sized>(
    source: &P,
    at: u64,
) -> Result<Option<(Descriptor, u32)>, Error> {
    let mut bytes = [0; DESCRIPTOR_LEN];
    let read =
        read_full(source, &mut bytes, at).map_err(|error| Error::new(ErrorKind::Io(error), at))?;
    if read < bytes.len() {
        return Ok(None);
    }
    if frame::decode(&bytes).is_none() && !correct_frame(&mut bytes) {
        return Ok(None);
    }
    let Some(Header { id, label: Label::Descriptor { copy }, .. }) = frame::decode(&bytes) else {
        return Ok(None);
    };
    Ok(Descriptor::decode(id, &bytes[HEADER_LEN..]).ok().map(|descriptor| (descriptor, copy)))
}

/// All different descriptors in a source, those with the most copies first, and where their parity would begin.
///
/// Reads the source once.
///
/// # Errors
/// [`ErrorKind::Io`].
pub fn find_descriptors<P: ReadAt + ?Sized>(source: &P) -> Result<Vec<(Descriptor, u64)>, Error> {
    let mut found: Vec<(Descriptor, u64, usize)> = Vec::new();
    each_magic(source, |at, header| {
        if matches!(header.label, Label::Descriptor { .. })
            && let Some((descriptor, copy)) = descriptor_at(source, at)?
            && copy < descriptor.layout.copies()
        {
            let begins = at.saturating_sub(descriptor.layout.offset_of_copy(copy));
            let room = found.len() < MOST_DESCRIPTORS;
            match found.iter_mut().find(|(known, ..)| *known == descriptor) {
                Some((_, _, count)) => *count += 1,
                None if room => found.push((descriptor, begins, 1)),
                None => {}
            }
        }
        Ok(())
    })?;
    found.sort_by_key(|(_, _, count)| std::cmp::Reverse(*count));
    Ok(found.into_iter().map(|(descriptor, at, _)| (descriptor, at)).collect())
}

/// Calls `each` for all places where a frame's header may begin.
fn each_magic<P: ReadAt + ?Sized>(
    source: &P,
    mut each: impl FnMut(u64, &Header) -> Result<(), Error>,
) -> Result<(), Error> {
    let finder = memmem::Finder::new(&MAGIC);
    let mut block = vec![0; BLOCK];
    let mut at = 0;
    loop {
        let read = read_full(source, &mut block, at)
            .map_err(|error| Error::new(ErrorKind::Io(error), at))?;
        let bytes = &block[..read];
        // Headers that begin in the last bytes are found in the next block, which begins with those.
        let begin = if read < BLOCK { read } else { read + 1 - HEADER_LEN };
        for here in finder.find_iter(bytes) {
            if here < begin
                && let Some(header) = frame::peek(&bytes[here..])
            {
                each(at + here as u64, &header)?;
            }
        }
        if read < BLOCK {
            return Ok(());
        }
        at += begin as u64;
    }
}

/// So many different descriptors of one source are looked at.
const MOST_DESCRIPTORS: usize = 64;

/// Places that are looked at for frames, besides one for each length of a frame.
const MIN_LOOKS: u64 = 64;

/// The place of a frame that was not found.
const LOST: u64 = u64::MAX;
