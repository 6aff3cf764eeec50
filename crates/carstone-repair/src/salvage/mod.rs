//! Puts the entries of a damaged pack together again, front to back.

mod directories;
mod files;
mod gaps;
mod late;
mod links;
mod nodes;
mod options;
mod places;
mod records;

use std::collections::{HashMap, VecDeque};
use std::ops::Range;

use carstone_car::{Cid, codec};
use carstone_layer::{FailSafeRead, Gap, PackId, Report};
use carstone_pack::{Announced, BlockMap, Error, ErrorKind, Event, Ids, Record, Use};

use crate::leaves::{Digest, Leaf, Leaves};
use crate::ranges::Ranges;
use crate::sections::{Begun, Block, Found, Proof, Sections};
use crate::{leaf_cid, leaf_digest};
use files::{Open, Piece};
use nodes::{Nodes, is_disguised, is_node};
pub use options::SalvageOptions;
use places::{Places, Span};

/// What a damaged pack tells next.
#[derive(Debug)]
#[non_exhaustive]
#[expect(clippy::large_enum_variant, reason = "nearly all of them are events")]
pub enum Item {
    /// Something that is there, as [`carstone_pack::PackStream`] tells it: but a leaf may come before it is known what it is content of. Then it is
    /// given without uses, and what it is content of later, as [`Event::Reuse`].
    Event(Event),
    /// Bytes of the CAR stream are missing.
    Gap(Gap),
    /// Bytes are there and mean nothing: a block that does not hash to its CID, a record that breaks the format.
    Fault(Error),
    /// The file whose [`Event::Incomplete`] comes next lies in this damage.
    Hit {
        /// The entry.
        id: u64,
        /// Gaps and faults, counted from 0 in the order in which they are told. More may be named than hit it.
        damage: Vec<u64>,
    },
}

/// Reads the CAR stream of a damaged pack, and says what each block means.
///
/// A block is given only if it hashes to its CID. After a gap, no leaf is taken for the next one of a file because it stands there: only for
/// its CID, for a link, or for what a record says. Each file ends in [`Event::End`], when all of its content has been given, or in
/// [`Event::Incomplete`].
pub struct Salvage<R> {
    sections: Sections<R>,
    pack: PackId,
    items: VecDeque<Item>,
    /// A gap that may go on.
    gap: Option<Gap>,
    leaves: Leaves,
    nodes: Nodes,
    places: Places,
    /// Paths of entries that have been told, and their ids.
    paths: BlockMap,
    /// Hard links whose original has not been told.
    links: Vec<Announced>,
    /// The root directory, as the tail record states it.
    root: Option<Cid>,
    /// The id of the next entry that gets one here.
    made_id: u64,
    /// Whole files whose leaf has not come yet.
    awaited: HashMap<Digest, Vec<Awaited>>,
    open: HashMap<u64, Open>,
    /// Entries announced; entries of which nothing more is told.
    ids: Ids,
    done: Ids,
    /// To whom the next leaf belongs.
    current: Option<u64>,
    /// Something is missing before here.
    damaged: bool,
    /// Nothing is missing since the last leaf.
    unbroken: bool,
    /// Places of leaves are not known, and so the manifest does not say what they are content of.
    is_displaced: bool,
    /// Files of which the manifest tells, and directories may tell more.
    displaced: HashMap<Vec<u8>, u64>,
    /// Entries announced and not abandoned, and blocks of content: the tail record counts them too.
    entries: u64,
    blocks: u64,
    has_tail: bool,
    ended: bool,
}

/// A whole file on its leaf.
struct Awaited {
    id: u64,
    size: u64,
    /// Where it is announced.
    at: u64,
}

impl<R: FailSafeRead> Salvage<R> {
    /// Starts to read the CAR stream of the pack `pack` from what a fail-safe stack gives.
    pub fn new(reader: R, pack: PackId, options: &SalvageOptions) -> Self {
        Self {
            damaged: reader.position() > 0,
            sections: Sections::new(
                reader,
                options.has_frames,
                options.threads,
                options.bytes_ahead(),
            ),
            pack,
            items: VecDeque::new(),
            gap: None,
            leaves: Leaves::new(),
            nodes: Nodes::default(),
            places: Places::default(),
            paths: BlockMap::new(PATHS_BUDGET),
            links: Vec::new(),
            root: None,
            made_id: FIRST_MADE,
            awaited: HashMap::new(),
            open: HashMap::new(),
            ids: Ids::default(),
            done: Ids::default(),
            current: None,
            unbroken: true,
            is_displaced: false,
            displaced: HashMap::new(),
            entries: 0,
            blocks: 0,
            has_tail: false,
            ended: false,
        }
    }

    /// What comes next; `None` at the end.
    ///
    /// # Errors
    /// The source fails; a record needs a newer reader.
    #[expect(clippy::should_implement_trait, reason = "it can fail, as `Iterator::next` cannot")]
    pub fn next(&mut self) -> Result<Option<Item>, Error> {
        loop {
            if let Some(item) = self.items.pop_front() {
                return Ok(Some(item));
            }
            if self.ended {
                return Ok(None);
            }
            let found = self.sections.next()?;
            if let Some(Found::Gap(gap)) = found {
                self.interrupt();
                self.lose(gap);
                continue;
            }
            self.tell_gap();
            match found {
                Some(Found::Block(block)) => self.block(block)?,
                Some(Found::Begun(begun)) => self.begun(begun),
                Some(Found::Gap(_)) => {}
                Some(Found::Fault(error)) => {
                    self.interrupt();
                    self.fault(error);
                }
                None => {
                    self.ended = true;
                    self.finish()?;
                }
            }
        }
    }

    /// Blocks of content so far that nothing names, and their bytes.
    pub fn nameless(&self) -> (u64, u64) {
        (self.leaves.nameless_count, self.leaves.nameless_bytes)
    }

    /// Moves what the layers below have corrected so far into `report`.
    pub fn drain_report(&mut self, report: &mut Report) {
        self.sections.get_mut().drain_report(report);
    }

    /// From here on nothing is known by its place in the stream.
    fn interrupt(&mut self) {
        (self.current, self.damaged, self.unbroken) = (None, true, false);
    }

    /// It is not known to whom the next leaf belongs.
    fn lose_order(&mut self) {
        (self.current, self.unbroken) = (None, false);
    }

    /// A gap that begins where the last one ended, in the same way, is a part of it: each frame that is lost makes one.
    fn lose(&mut self, gap: Gap) {
        match &mut self.gap {
            Some(held) if gaps::goes_on(held, &gap) => gaps::extend(held, gap),
            _ => {
                self.tell_gap();
                self.gap = Some(gap);
            }
        }
    }

    fn tell_gap(&mut self) {
        let Some(gap) = self.gap.take() else { return };
        let end = gap.len.map_or(u64::MAX, |len| gap.at.saturating_add(len));
        self.places.damage(gap.at..end);
        self.items.push_back(Item::Gap(gap));
    }

    fn fault(&mut self, error: Error) {
        self.places.damage(error.offset()..error.offset());
        self.items.push_back(Item::Fault(error));
    }

    fn tell(&mut self, event: Event) {
        self.items.push_back(Item::Event(event));
    }

    fn block(&mut self, Block { cid, at, data, proof }: Block) -> Result<(), Error> {
        if proof.is_behind_damage() {
            self.interrupt();
        }
        if Record::is_record(&cid, &data, &self.pack) {
            if proof != Proof::Inside {
                self.known_record(&data, at)?;
            }
            if !proof.is_placed() {
                self.lose_order();
            }
            return Ok(());
        }
        self.blocks += 1;
        match cid.codec() {
            codec::RAW => self.leaf(&cid, at, data, proof),
            codec::DAG_PB if proof == Proof::Frame || is_node(&cid, &data) => {
                if self.damaged || !self.open.is_empty() {
                    self.nodes.keep(cid, data);
                }
                Ok(())
            }
            _ => {
                if proof != Proof::Frame {
                    self.lose_order();
                }
                Ok(())
            }
        }
    }

    fn known_record(&mut self, data: &[u8], at: u64) -> Result<(), Error> {
        self.places.record(at);
        match self.record(data, at) {
            Err(error) if !matches!(error.kind(), ErrorKind::Newer(_) | ErrorKind::Io(_)) => {
                self.interrupt();
                self.fault(error);
                Ok(())
            }
            done => done,
        }
    }

    fn leaf(&mut self, cid: &Cid, at: u64, data: Vec<u8>, proof: Proof) -> Result<(), Error> {
        let Some(digest) = leaf_digest(cid) else { return Ok(()) };
        if proof != Proof::Frame && is_disguised(cid, &data, &self.pack) {
            // What it is content of is said by others.
            self.lose_order();
        }
        let len = data.len() as u64;
        let (mut uses, mut ends) = (Vec::new(), Vec::new());
        for Awaited { id, size, at } in self.awaited.remove(&digest).unwrap_or_default() {
            match size == len {
                true => {
                    uses.push(Use { id, offset: 0 });
                    ends.push(id);
                }
                false => self.empty(id, size, at),
            }
        }
        let mut is_named = !uses.is_empty();
        if let Some(id) = self.current
            && let Some(open) = self.open.get_mut(&id)
        {
            let piece = Piece { offset: open.offset, len, digest };
            open.span.see(at);
            open.add(piece);
            open.offset = piece.range().end;
            is_named = true;
            if open.named {
                uses.push(Use { id, offset: piece.offset });
            }
        }
        let is_placed = proof.is_placed();
        let leaf = Leaf { at, len, digest, follows: self.unbroken, is_placed };
        self.unbroken = is_placed;
        self.is_displaced |= !is_placed;
        let noted = self.leaves.push(leaf, (self.damaged || !is_placed) && !is_named);
        noted.map_err(|error| Error::io(error, at))?;
        self.tell(Event::Leaf { cid: *cid, data, uses });
        for id in ends {
            self.complete(id, len, Some(digest), false);
        }
        Ok(())
    }

    /// A leaf begins whose end is missing.
    fn begun(&mut self, Begun { cid, data, proved }: Begun) {
        let Some(digest) = leaf_digest(&cid) else { return };
        let len = data.len() as u64;
        let awaited = self.awaited.get(&digest).map_or(&[][..], Vec::as_slice);
        let awaited = awaited.iter().filter(|file| len < file.size);
        let mut uses: Vec<_> = awaited.map(|file| Use { id: file.id, offset: 0 }).collect();
        if let Some(id) = self.current
            && let Some(open) = self.open.get_mut(&id).filter(|open| open.named)
        {
            let offset = open.offset;
            if !open.received.meets(&(offset..offset.saturating_add(len))) {
                open.begun = open.begun.max(offset);
                uses.push(Use { id, offset });
            }
        }
        if !uses.is_empty() {
            self.tell(Event::Part { data, proved, uses });
        }
    }

    /// A leaf that came earlier is content of a file, if it is there.
    fn give(&mut self, id: u64, open: &mut Open, piece: Piece) -> Result<(), Error> {
        if open.received.contains(&piece.range()) {
            return Ok(());
        }
        let Some((number, len)) = self.find(&piece.digest)? else { return Ok(()) };
        if len != piece.len {
            return Ok(());
        }
        self.leaves.name(number, len);
        open.add(piece);
        if open.named {
            self.reuse(id, piece);
        }
        Ok(())
    }

    /// Gives what came of a file before it was announced.
    fn give_pieces(&mut self, id: u64, open: &mut Open) {
        for piece in std::mem::take(&mut open.pieces) {
            self.reuse(id, piece);
        }
    }

    fn reuse(&mut self, id: u64, Piece { offset, len, digest }: Piece) {
        if let Some(cid) = leaf_cid(&digest) {
            self.tell(Event::Reuse { id, offset, cid, len: Some(len) });
        }
    }

    fn complete(&mut self, id: u64, size: u64, sha256: Option<Digest>, changed: bool) {
        self.done.insert(id);
        self.tell(Event::End { id, size, sha256, changed });
    }

    fn incomplete(&mut self, id: u64, size: Option<u64>, missing: Vec<Range<u64>>, span: &Span) {
        self.done.insert(id);
        let damage = self.places.hit(span);
        self.items.push_back(Item::Hit { id, damage });
        self.tell(Event::Incomplete { id, size, missing });
    }

    /// Nothing of a file came that is announced at `at`.
    fn empty(&mut self, id: u64, size: u64, at: u64) {
        let missing = Ranges::default().missing(size);
        self.incomplete(id, Some(size), missing, &Span::announced(at));
    }

    fn find(&self, digest: &Digest) -> Result<Option<(u64, u64)>, Error> {
        self.leaves.find(digest).map_err(|error| Error::io(error, 0))
    }
}

/// Ids of entries that have none in their pack: no pack has so many entries.
const FIRST_MADE: u64 = 1 << 62;
const PATHS_BUDGET: usize = 16 << 20;
