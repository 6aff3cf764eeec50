//! Going over the payload of a file that is opened.

use super::disk::Disk;
use super::options::StoreOptions;
use super::places::Places;
use super::tail::is_torn;
use super::window::Window;
use crate::error::{Error, ErrorKind, Result};
use crate::index::IndexBuilder;
use crate::read_at::AtReader;
use crate::{CarReader, Cid};

/// What a payload consists of.
pub(super) struct Scanned {
    pub(super) roots: Vec<Cid>,
    pub(super) catalog: Catalog,
    /// Offset in the payload of the byte behind the last sound section.
    pub(super) end: u64,
}

/// The sections that there are.
pub(super) struct Catalog {
    pub(super) places: Places,
    /// What the index will be made of, if there will be one.
    pub(super) index: Option<IndexBuilder>,
}

/// What is known of a payload before it is gone over. Both are offsets in it.
#[derive(Clone, Copy)]
pub(super) struct Trust {
    /// Before this place nothing may be cut.
    pub(super) sealed: u64,
    /// From this place on sections are hashed.
    pub(super) hashed_from: u64,
}

impl Catalog {
    pub(super) fn new(options: &StoreOptions) -> Self {
        let file = &options.file;
        let index = file.index_codec().map(|codec| {
            IndexBuilder::with_budget(codec, file.index_budget).with_identity(file.index_identity)
        });
        Catalog { places: Places::default(), index }
    }

    pub(super) fn add(&mut self, cid: &Cid, offset: u64) -> Result<()> {
        if let Some(index) = &mut self.index {
            index.add(cid, offset).map_err(|error| error.with_offset(offset))?;
        }
        self.places.add(cid.hash(), offset);
        Ok(())
    }
}

/// Goes from section to section. What is torn at the end is left out; damage anywhere else is an error. Nothing is written.
pub(super) fn scan(
    payload: Window<&dyn Disk>,
    options: &StoreOptions,
    trust: Trust,
) -> Result<Scanned> {
    let reader_options = options.reader();
    let mut reader = CarReader::open_seekable(AtReader::new(payload), reader_options)?;
    let (mut catalog, mut data) = (Catalog::new(options), Vec::new());
    let (end, error) = loop {
        let at = reader.position();
        let section = match at < trust.hashed_from {
            true => reader.skip_section(),
            false => reader.read_block(&mut data),
        };
        match section {
            Ok(Some(section)) => catalog.add(&section.cid, at)?,
            Ok(None) => break (at, None),
            Err(error) => match error.kind() {
                ErrorKind::Unverifiable { cid } => catalog.add(cid, at)?, // All of it is there.
                _ => break (at, Some(error)),
            },
        }
    };
    if let Some(error) = error {
        let may_be_cut = end >= trust.sealed && !matches!(error.kind(), ErrorKind::Io(_));
        if !may_be_cut {
            return Err(error);
        }
        if !options.cuts_at_damage() && !is_torn(&payload, end, &reader_options)? {
            return Err(match error.kind() {
                ErrorKind::TooLarge { .. } => error,
                _ => Error::at(ErrorKind::NotTorn, end),
            });
        }
    }
    Ok(Scanned { roots: reader.header().roots.clone(), catalog, end })
}
