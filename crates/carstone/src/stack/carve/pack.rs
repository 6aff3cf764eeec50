//! A pack that was found, put together of what is left of it.

use std::io::{self, Write};
use std::ops::Range;

use carstone_layer::{LayerId, PackId, ReadAt};
use carstone_raw::Container;
use carstone_repair::{CarItem, CarSalvage};

use super::settle::FOOTER_LEN;
use super::spliced::Spliced;
use crate::stack::error::{Error, ErrorKind};
use crate::stack::forward::{Forward, copy_pieces};
use crate::stack::heal::{Conflict, HealReport, Healed, heal};
use crate::stack::open::OpenOptions;

/// A pack, or what is left of one.
#[derive(Clone, Debug)]
pub struct CarvedPack {
    pub(super) id: PackId,
    pub(super) range: Range<u64>,
    pub(super) bytes: u64,
    pub(super) fragments: u64,
    pub(super) container: Option<Container>,
    pub(super) is_inferred: bool,
    pub(super) is_bare: bool,
    pub(super) has_trailer: bool,
    /// Where its frames are to be looked for, and its trailer last.
    pub(super) pieces: Vec<Range<u64>>,
    /// Where all that is known of it stands, in ascending order.
    pub(super) parts: Vec<Range<u64>>,
}

impl CarvedPack {
    /// The id that all of it carries.
    pub fn pack_id(&self) -> PackId {
        self.id
    }

    /// The bytes of the source from its first to its last.
    pub fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// Bytes that are known to be of it.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Pieces in which its frames lie.
    pub fn fragments(&self) -> u64 {
        self.fragments
    }

    /// What its header states, its trailer or an anchor.
    pub fn container(&self) -> Option<&Container> {
        self.container.as_ref()
    }

    /// Puts it together, as [`heal`](crate::stack::heal()) does with a damaged pack. `progress` hears how many bytes have been looked at.
    ///
    /// # Errors
    /// [`ErrorKind::ContainerLost`] where nothing tells what the pack is made of, or no frame is left; else as `heal`.
    pub fn mend<R: ReadAt>(
        &self,
        source: R,
        progress: &mut dyn FnMut(u64),
    ) -> Result<MendedPack<R>, Error> {
        let container = self.container.as_ref().filter(|_| !self.pieces.is_empty());
        let container = container.ok_or_else(|| Error::new(ErrorKind::ContainerLost))?;
        let spliced = Spliced::new(source, container.encode().to_vec(), &self.pieces)?;
        let holes = match self.is_bare {
            true => self.bare_holes(&spliced)?,
            false => 0,
        };
        let healed = heal(spliced, &OpenOptions::default(), progress)?;
        let holes = holes + healed.report().lost.len() as u64;
        Ok(MendedPack {
            healed,
            holes,
            is_inferred: self.is_inferred,
            is_cut: self.is_bare && !self.has_trailer,
        })
    }

    /// Writes all that is known of it as it is, without anything between, and flushes. What cannot be put together now may be some day,
    /// with another fragment that knows more.
    ///
    /// # Errors
    /// Whatever source and sink give.
    pub fn copy_parts_to<R: ReadAt, W: Write>(
        &self,
        source: &R,
        sink: W,
        progress: &mut dyn FnMut(u64),
    ) -> io::Result<()> {
        copy_pieces(source, &self.parts, sink, progress).map(drop)
    }

    /// Places in the bare CAR stream at which no block stands.
    fn bare_holes<R: ReadAt>(&self, spliced: &Spliced<R>) -> Result<u64, Error> {
        let trailer = if self.has_trailer { Container::TRAILER_LEN as u64 } else { 0 };
        let end = spliced.size()?.saturating_sub(trailer).saturating_sub(FOOTER_LEN);
        let mut stream =
            CarSalvage::new(Forward { source: spliced, at: Container::LEN as u64, end });
        let mut holes = 0;
        while let Some(item) = stream.next()? {
            holes += u64::from(matches!(item, CarItem::Gap(_)));
        }
        Ok(holes)
    }
}

/// A pack that was put together.
#[derive(Debug)]
pub struct MendedPack<R> {
    healed: Healed<Spliced<R>>,
    holes: u64,
    is_inferred: bool,
    is_cut: bool,
}

impl<R: ReadAt> MendedPack<R> {
    /// Length in bytes.
    pub fn len(&self) -> u64 {
        self.healed.len()
    }

    /// Never: there are always a header and a trailer.
    pub fn is_empty(&self) -> bool {
        self.healed.is_empty()
    }

    /// What was put right, and what is lost. Offsets in it are those of the pieces put together.
    pub fn report(&self) -> &HealReport {
        self.healed.report()
    }

    /// Whether it is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.healed.container().layers.get(LayerId::ENCRYPTION).is_some()
    }

    /// Places at which something is missing.
    pub fn holes(&self) -> u64 {
        self.holes
    }

    /// Whether its layers are known from its frames alone.
    pub fn is_inferred(&self) -> bool {
        self.is_inferred
    }

    /// Whether all of it is there, as it was written.
    pub fn is_whole(&self) -> bool {
        let report = self.report();
        let is_conflict = |conflict: &&Conflict| **conflict != Conflict::NoFrames;
        let conflicts = report.conflicts.iter().filter(is_conflict).count();
        self.holes == 0 && conflicts == 0 && !self.is_inferred && !self.is_cut
    }

    /// Writes all of it, and flushes. `progress` hears how many bytes have been written.
    ///
    /// # Errors
    /// Whatever source and sink give.
    pub fn copy_to<W: Write>(&self, sink: W, progress: &mut dyn FnMut(u64)) -> io::Result<()> {
        self.healed.copy_to(sink, progress)
    }
}

impl<R: ReadAt> ReadAt for MendedPack<R> {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.healed.read_at(buf, offset)
    }

    fn size(&self) -> io::Result<u64> {
        self.healed.size()
    }
}
