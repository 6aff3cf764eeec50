//! What is lost of a damaged pack, and what is whole: of each layer, and of each entry.

use std::collections::{HashMap, VecDeque};
use std::error;
use std::fmt;
use std::ops::Range;

use carstone_layer::{Correction, FailSafeRead, Gap};
use carstone_pack::{Announced, EntryKind, Error, Event, Ids};

use crate::{Item, Salvage};

/// What a damaged pack came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Where something is missing or wrong, front to back; the first 65,536 places.
    pub damage: Vec<Damage>,
    /// How many places there are.
    pub places: u64,
    /// Every entry that is known of and not whole.
    pub hit: Vec<Hit>,
    /// Entries that are whole.
    pub whole: u64,
    /// Bytes of content of whole files.
    pub whole_bytes: u64,
    /// Blocks of content that belong to no entry that is left.
    pub nameless_blocks: u64,
    /// Their bytes.
    pub nameless_bytes: u64,
    /// What was put right on the way.
    pub corrections: Vec<Correction>,
}

impl Report {
    /// Whether nothing is missing, as far as can be told.
    pub fn is_whole(&self) -> bool {
        self.places == 0 && self.hit.is_empty()
    }

    /// Bits that were put right on the way.
    pub fn corrected_bits(&self) -> u64 {
        self.corrections.iter().map(|found| u64::from(found.bits)).sum()
    }
}

/// A place where a pack is damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Damage {
    /// Bytes are missing: of which layer, where, how many, and why.
    Gap(Gap),
    /// Bytes are there and mean nothing.
    Fault {
        /// Position in the CAR stream.
        at: u64,
        /// What is wrong with them.
        message: String,
    },
}

/// An entry that is not whole.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hit {
    /// Number of the entry in its pack.
    pub id: u64,
    /// Where it stands.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
    /// Size of a file in bytes, where it is known.
    pub size: Option<u64>,
    /// What is left of it.
    pub state: State,
    /// The damage that it lies in, as far as that can be told: numbers of places, counted from 0 in the order in which they are told.
    pub damage: Vec<u64>,
}

/// What is left of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// All of it.
    Whole,
    /// A part of its content.
    Incomplete {
        /// The bytes that are missing. Where the size is unknown there may be more behind `end`.
        missing: Vec<Range<u64>>,
        /// Where the last byte that is left ends.
        end: u64,
    },
    /// Its name and nothing of its content.
    Empty,
    /// It is another name of an entry that is not whole, or not known.
    OriginalLost {
        /// The id of that entry, where it is known.
        original: Option<u64>,
    },
    /// Another entry that is left has its place.
    Clash,
    /// All its bytes came, and they are not what its digest says.
    Contradicted,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => f.write_str("whole"),
            Self::Incomplete { missing, .. } => {
                let bytes: u64 = missing.iter().map(|range| range.end - range.start).sum();
                match bytes {
                    0 => f.write_str("its end is missing"),
                    _ => write!(f, "{bytes} bytes of it are missing"),
                }
            }
            Self::Empty => f.write_str("only its name is left"),
            Self::OriginalLost { .. } => f.write_str("the file that it is another name of is lost"),
            Self::Clash => f.write_str("another entry has its place"),
            Self::Contradicted => f.write_str("its content does not have the stated SHA-256"),
        }
    }
}

/// An entry of which all is known that will be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Told {
    /// It is whole.
    Whole {
        /// Number of the entry.
        id: u64,
        /// Where it stands.
        path: Vec<u8>,
        /// What it is.
        kind: EntryKind,
        /// The entry that it is another name of.
        original: Option<u64>,
    },
    /// It is not.
    Hit(Hit),
}

/// Keeps count of what a [`Salvage`] tells.
#[derive(Debug, Default)]
pub struct Tally {
    report: Report,
    files: HashMap<u64, Known>,
    /// Hard links whose original is not settled.
    links: HashMap<u64, Vec<Announced>>,
    whole: Ids,
    lost: Ids,
    /// The damage that entries lie in.
    hits: HashMap<u64, Vec<u64>>,
    told: VecDeque<Told>,
}

/// A file of which more may come.
#[derive(Debug)]
struct Known {
    path: Vec<u8>,
    size: Option<u64>,
    /// Where the last byte ends that came.
    end: u64,
}

impl Tally {
    /// Nothing has been told.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes note of what was told.
    pub fn note(&mut self, item: &Item) {
        match item {
            Item::Gap(gap) => self.damage(|| Damage::Gap(gap.clone())),
            Item::Fault(error) => {
                self.damage(|| Damage::Fault { at: error.offset(), message: message(error) })
            }
            Item::Hit { id, damage } => drop(self.hits.insert(*id, damage.clone())),
            Item::Event(event) => self.event(event),
        }
    }

    /// An entry of which nothing more comes, in the order in which that became known.
    pub fn next_told(&mut self) -> Option<Told> {
        self.told.pop_front()
    }

    /// Ends the count when `salvage` has told all. [`next_told`](Self::next_told) may then have more to give.
    pub fn finish<R: FailSafeRead>(&mut self, salvage: &mut Salvage<R>) {
        let mut links: Vec<Announced> = self.links.drain().flat_map(|(_, links)| links).collect();
        links.sort_unstable_by_key(|link| link.id);
        links.into_iter().for_each(|link| self.lose_link(link));
        let report = &mut self.report;
        (report.nameless_blocks, report.nameless_bytes) = salvage.nameless();
        let mut below = carstone_layer::Report::default();
        salvage.drain_report(&mut below);
        report.corrections.append(&mut below.corrections);
    }

    /// Adds what was put right before the pack was read.
    pub fn correct(&mut self, corrections: &[Correction]) {
        self.report.corrections.extend_from_slice(corrections);
    }

    /// The count so far.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The count.
    pub fn into_report(self) -> Report {
        self.report
    }

    fn damage(&mut self, damage: impl FnOnce() -> Damage) {
        self.report.places += 1;
        if self.report.damage.len() < MOST_PLACES {
            self.report.damage.push(damage());
        }
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Entry(entry) => self.entry(entry),
            Event::Leaf { data, uses, .. } => {
                for place in uses {
                    self.came(place.id, place.offset, data.len() as u64);
                }
            }
            Event::Reuse { id, offset, len, .. } => self.came(*id, *offset, len.unwrap_or(0)),
            Event::End { id, size, .. } => {
                if let Some(file) = self.files.remove(id) {
                    self.report.whole_bytes = self.report.whole_bytes.saturating_add(*size);
                    self.keep(*id, file.path, EntryKind::File, None);
                }
            }
            Event::Incomplete { id, size, missing } => {
                if let Some(file) = self.files.remove(id) {
                    self.incomplete(*id, file, *size, missing);
                }
            }
            Event::Abandoned { id } => {
                self.files.remove(id);
                self.settle_links(*id, false);
            }
            _ => {}
        }
    }

    fn entry(&mut self, entry: &Announced) {
        match (entry.kind, entry.target_id) {
            (EntryKind::File, _) => {
                let file = Known { path: entry.path.clone(), size: entry.size, end: 0 };
                self.files.insert(entry.id, file);
            }
            (EntryKind::HardLink, Some(original)) => {
                if self.whole.contains(original) {
                    self.keep(entry.id, entry.path.clone(), entry.kind, Some(original));
                } else if self.lost.contains(original) {
                    self.lose_link(entry.clone());
                } else {
                    self.links.entry(original).or_default().push(entry.clone());
                }
            }
            (EntryKind::HardLink, None) => self.lose_link(entry.clone()),
            (kind, _) => self.keep(entry.id, entry.path.clone(), kind, None),
        }
    }

    fn came(&mut self, id: u64, offset: u64, len: u64) {
        if let Some(file) = self.files.get_mut(&id).filter(|_| len > 0) {
            file.end = file.end.max(offset.saturating_add(len));
        }
    }

    fn keep(&mut self, id: u64, path: Vec<u8>, kind: EntryKind, original: Option<u64>) {
        self.report.whole += 1;
        self.whole.insert(id);
        self.told.push_back(Told::Whole { id, path, kind, original });
        self.settle_links(id, true);
    }

    fn incomplete(&mut self, id: u64, file: Known, size: Option<u64>, missing: &[Range<u64>]) {
        let Known { path, size: announced, end } = file;
        let state = match end {
            0 => State::Empty,
            _ => State::Incomplete { missing: missing.to_vec(), end },
        };
        let (kind, size) = (EntryKind::File, size.or(announced));
        let damage = self.hits.remove(&id).unwrap_or_default();
        self.lose(Hit { id, path, kind, size, state, damage });
        self.settle_links(id, false);
    }

    fn settle_links(&mut self, original: u64, is_whole: bool) {
        if self.links.is_empty() {
            return;
        }
        for link in self.links.remove(&original).unwrap_or_default() {
            match is_whole {
                true => self.keep(link.id, link.path, link.kind, Some(original)),
                false => self.lose_link(link),
            }
        }
    }

    fn lose_link(&mut self, link: Announced) {
        let Announced { id, path, kind, target_id, .. } = link;
        let state = State::OriginalLost { original: target_id };
        self.lose(Hit { id, path, kind, size: None, state, damage: Vec::new() });
    }

    fn lose(&mut self, hit: Hit) {
        self.lost.insert(hit.id);
        self.told.push_back(Told::Hit(hit.clone()));
        self.report.hit.push(hit);
    }
}

/// An error and its causes.
fn message(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Places of damage that are listed one by one.
const MOST_PLACES: usize = 1 << 16;
