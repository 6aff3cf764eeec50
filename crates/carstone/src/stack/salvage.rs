//! The stack that reads all that a damaged pack still holds.

use std::io::{self, Read};
use std::sync::Arc;

use carstone_compress::SeenCodecs;
use carstone_encrypt::KeySource;
use carstone_layer::{BoxFailSafe, Cause, FailSafeRead, Gap, LayerId, ReadAt, Report};
use carstone_raw::Container;
use carstone_repair::{Salvage, SalvageOptions};

use super::error::{Error, ErrorKind};
use super::forward::Forward;
use super::heal::{HealReport, Healed, Part, heal};
use super::open::OpenOptions;
use super::stream::{FailSafe, Shared, keyed};

/// A pack of any layers, of which parts may be damaged.
pub type Salvaged<'a> = Salvage<BoxFailSafe<'a>>;

/// Puts a stack over `source` that goes on behind damage, and on top what puts the entries together. `source` is only read forwards, and to
/// its end; that the trailer is missing is told as a gap too. What a gap of the outermost layer states as [stored](Gap::stored) is where the damage
/// stands in `source`; those of layers inside of it state no such place.
///
/// # Errors
/// As [`fail_safe`](super::fail_safe); no key for an encrypted pack.
pub fn salvage<'a, R: Read + Send + 'a>(
    source: R,
    keys: impl KeySource,
    options: &OpenOptions,
) -> Result<Salvaged<'a>, Error> {
    let locate: Locate<'_> = Box::new(|_| ());
    Ok(salvage_stack(source, locate, keys, options, &mut SeenCodecs::default())?.0)
}

/// The same, with what the container states. `locate` makes the stored bytes of a gap, which count in what is read, those of the source; `codecs` will
/// hear how frames are compressed.
pub(super) fn salvage_stack<'a, R: Read + Send + 'a>(
    source: R,
    locate: Locate<'a>,
    keys: impl KeySource,
    options: &OpenOptions,
    codecs: &mut SeenCodecs,
) -> Result<(Salvaged<'a>, Container), Error> {
    let (FailSafe { container, reader }, raw) = keyed(source, keys, options, codecs)?;
    let outermost = container.layers.slots().first().map_or(LayerId::POSITION, |slot| slot.id);
    let whole = Whole { reader, raw, outermost, locate, is_over: false };
    let settings = SalvageOptions::default().threads(options.threads);
    Ok((Salvage::new(Box::new(whole), container.pack_id, &settings), container))
}

/// The same for a source that can be read at any offset, which is looked through once before. Header, trailer and key envelope may stand anywhere, frames in any order; what
/// can be put right without a key is read as it was. Gives what that came to, where it is made use of.
///
/// `progress` hears how far the first pass is.
///
/// # Errors
/// As [`salvage`], and as [`heal`].
pub fn salvage_at<'a, R: ReadAt + Send + Sync + 'a>(
    source: R,
    keys: impl KeySource,
    options: &OpenOptions,
    progress: &mut dyn FnMut(u64),
) -> Result<(Salvaged<'a>, Option<HealReport>), Error> {
    let source = Arc::new(source);
    let better = match heal(Arc::clone(&source), options, progress) {
        Ok(healed) => Better::of(source, Arc::new(healed), options),
        Err(error) if matches!(error.kind(), ErrorKind::Io(_)) => return Err(error),
        Err(_) => Better::stored(source, options),
    };
    let report = better.report().cloned();
    let codecs = &mut SeenCodecs::default();
    let (salvaged, _) = salvage_stack(better.reader(), better.locate(), keys, options, codecs)?;
    Ok((salvaged, report))
}

/// Finds the place in the source of the stored bytes that a gap states.
pub(super) type Locate<'a> = Box<dyn Fn(&mut Gap) + Send + 'a>;

/// A damaged pack, or what healing made of it: whichever gives more.
pub(super) enum Better<R> {
    Healed(Arc<Healed<Arc<R>>>),
    Stored { source: Arc<R>, at: u64 },
}

impl<R: ReadAt + Send + Sync> Better<R> {
    pub(super) fn of(source: Arc<R>, healed: Arc<Healed<Arc<R>>>, options: &OpenOptions) -> Self {
        match is_better(&healed) {
            true => Self::Healed(healed),
            false => Self::stored(source, options),
        }
    }

    fn stored(source: Arc<R>, options: &OpenOptions) -> Self {
        Self::Stored { source, at: options.range.as_ref().map_or(0, |range| range.start) }
    }

    /// What healing did, where that is made use of.
    fn report(&self) -> Option<&HealReport> {
        match self {
            Self::Healed(healed) => Some(healed.report()),
            Self::Stored { .. } => None,
        }
    }

    /// Where what is read stands in the source.
    pub(super) fn locate<'a>(&self) -> Locate<'a>
    where
        R: 'a,
    {
        match self {
            Self::Healed(healed) => {
                let healed = Arc::clone(healed);
                Box::new(move |gap| healed.locate(gap))
            }
            &Self::Stored { at, .. } => Box::new(move |gap| {
                gap.stored = gap.stored.take().map(|stored| stored.start + at..stored.end + at);
            }),
        }
    }

    /// The pack from front to back.
    pub(super) fn reader<'a>(&self) -> Box<dyn Read + Send + 'a>
    where
        R: 'a,
    {
        let end = u64::MAX;
        match self {
            Self::Healed(healed) => Box::new(Forward { source: Arc::clone(healed), at: 0, end }),
            Self::Stored { source, at } => {
                Box::new(Forward { source: Arc::clone(source), at: *at, end })
            }
        }
    }
}

/// Whether a healed pack gives more than the damaged one. The beginning of a broken compressed frame can be read, a hole cannot.
fn is_better<R: ReadAt>(healed: &Healed<R>) -> bool {
    let report = healed.report();
    let is_encrypted = healed.container().layers.get(LayerId::ENCRYPTION).is_some();
    let has_header = !report.rebuilt.iter().any(|rebuilt| rebuilt.part == Part::Header);
    !report.is_unchanged
        && (is_encrypted || !has_header || report.moved > 0 || report.is_original())
}

/// A stack whose lowest layer is read to its end, and that says what is missing there.
struct Whole<'a> {
    reader: BoxFailSafe<'a>,
    raw: Shared<'a>,
    outermost: LayerId,
    locate: Locate<'a>,
    is_over: bool,
}

impl Whole<'_> {
    /// Says where in the source the damage is that causes a gap, if that can be told.
    fn placed(&self, mut gap: Gap) -> Gap {
        let mut lowest = &mut gap;
        while let Cause::Below(ref mut below) = lowest.cause {
            lowest = below;
        }
        let (header, layer) = (Container::LEN as u64, lowest.layer);
        let behind = |at: u64| at.saturating_add(header);
        lowest.stored = match lowest.stored.take() {
            Some(stored) if layer == LayerId::RAW => Some(stored),
            None if layer == LayerId::RAW => Some(behind(lowest.at)..behind(lowest.at)),
            Some(stored) if layer == self.outermost => {
                Some(behind(stored.start)..behind(stored.end))
            }
            _ => None,
        };
        (self.locate)(lowest);
        gap
    }
}

impl Read for Whole<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buf)
    }
}

impl FailSafeRead for Whole<'_> {
    fn position(&self) -> u64 {
        self.reader.position()
    }

    fn next_gap(&mut self) -> io::Result<Option<Gap>> {
        let gap = self.reader.next_gap()?;
        if gap.is_some() {
            // What is missing at the end below is told with it.
            self.is_over |= gap.as_ref().is_some_and(|gap| gap.len.is_none());
            return Ok(gap.map(|gap| self.placed(gap)));
        }
        if std::mem::replace(&mut self.is_over, true) {
            return Ok(None);
        }
        // A layer ends with its last frame; footers and trailer are still to come.
        let below = self.raw.pass_over()?;
        let at = self.reader.position();
        let gap = |below| Gap::new(LayerId::POSITION, at, Some(0), Cause::Below(Box::new(below)));
        Ok(below.map(|below| self.placed(gap(below))))
    }

    fn next_boundary(&mut self) -> Option<u64> {
        self.reader.next_boundary()
    }

    fn read_unchecked(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.reader.read_unchecked(buf)
    }

    fn drain_report(&mut self, report: &mut Report) {
        self.reader.drain_report(report);
    }
}
