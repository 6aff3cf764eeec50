//! The stack that reads all that a damaged pack still holds.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

use carstone_compress::SeenCodecs;
use carstone_encrypt::KeySource;
use carstone_layer::{BoxFailSafe, Cause, FailSafeRead, Gap, LayerId, ReadAt, Report};
use carstone_raw::{Container, RawFailSafe};
use carstone_repair::{Salvage, SalvageOptions};

use super::error::{Error, ErrorKind};
use super::front::own_range;
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
    let raw = RawFailSafe::new(source)?;
    let locate: Locate<'_> = Box::new(|_| ());
    Ok(salvage_stack(raw, locate, keys, options, &mut SeenCodecs::default())?.0)
}

/// The same, with what the container states. `locate` makes the stored bytes of a gap, which count in what is read, those of the source; `codecs` will
/// hear how frames are compressed.
fn salvage_stack<'a, R: Read + Send + 'a>(
    raw: RawFailSafe<R>,
    locate: Locate<'a>,
    keys: impl KeySource,
    options: &OpenOptions,
    codecs: &mut SeenCodecs,
) -> Result<(Salvaged<'a>, Container), Error> {
    let header = raw.base();
    let (FailSafe { container, reader }, raw) = keyed(raw, keys, options, codecs)?;
    let outermost = container.layers.slots().first().map_or(LayerId::POSITION, |slot| slot.id);
    let whole = Whole { reader, raw, header, outermost, locate, is_over: false };
    let mut settings = SalvageOptions::default().threads(options.threads);
    if !has_frames(&container) {
        settings = settings.without_frames();
    }
    Ok((Salvage::new(Box::new(whole), container.pack_id, &settings), container))
}

fn has_frames(container: &Container) -> bool {
    let is_listed = |id| container.layers.get(id).is_some();
    is_listed(LayerId::ENCRYPTION) || is_listed(LayerId::COMPRESSION)
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
    let mut options = options.clone();
    if options.range.is_none() {
        options.range = Some(own_range(&source, source.size()?)?);
    }
    let options = &options;
    let better = match heal(Arc::clone(&source), options, progress) {
        Ok(healed) => Better::of(source, Arc::new(healed), options),
        Err(error) if matches!(error.kind(), ErrorKind::Io(_)) => return Err(error),
        Err(_) => Better::stored(source, options),
    };
    let report = better.report().cloned();
    Ok((better.salvage(keys, options, &mut SeenCodecs::default())?.0, report))
}

/// Finds the place in the source of the stored bytes that a gap states.
type Locate<'a> = Box<dyn Fn(&mut Gap) + Send + 'a>;

/// A damaged pack, or what healing made of it: whichever gives more.
pub(super) enum Better<R> {
    Healed(Arc<Healed<Arc<R>>>),
    Stored {
        source: Arc<R>,
        range: Range<u64>,
    },
    /// The stored bytes, with what the other end says of the layers.
    Headless {
        source: Arc<R>,
        range: Range<u64>,
    },
}

impl<R: ReadAt + Send + Sync> Better<R> {
    pub(super) fn of(source: Arc<R>, healed: Arc<Healed<Arc<R>>>, options: &OpenOptions) -> Self {
        let report = healed.report();
        let has_header = !report.rebuilt.iter().any(|rebuilt| rebuilt.part == Part::Header);
        let is_encrypted = healed.container().layers.get(LayerId::ENCRYPTION).is_some();
        let is_whole = report.is_original() || report.moved > 0 || is_encrypted;
        match (report.is_unchanged, is_whole, has_header) {
            (false, true, _) => Self::Healed(healed),
            // A part of a broken frame can be read, of a hole nothing can.
            (false, false, false) => match Self::headless(&source, options) {
                Ok(headless) => headless,
                Err(_) => Self::Healed(healed),
            },
            _ => Self::stored(source, options),
        }
    }

    pub(super) fn stored(source: Arc<R>, options: &OpenOptions) -> Self {
        let range = options.range.clone().unwrap_or(0..u64::MAX);
        Self::Stored { source, range }
    }

    fn headless(source: &Arc<R>, options: &OpenOptions) -> io::Result<Self> {
        let range = options.range.clone().map_or_else(|| source.size().map(|end| 0..end), Ok)?;
        let part = InOrder::of(source, &range);
        match RawFailSafe::open_seekable(part)?.container() {
            Some(_) => Ok(Self::Headless { source: Arc::clone(source), range }),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// What healing did, where that is made use of.
    fn report(&self) -> Option<&HealReport> {
        match self {
            Self::Healed(healed) => Some(healed.report()),
            Self::Stored { .. } | Self::Headless { .. } => None,
        }
    }

    /// Where what is read stands in the source.
    fn locate<'a>(&self) -> Locate<'a>
    where
        R: 'a,
    {
        match self {
            Self::Healed(healed) => {
                let healed = Arc::clone(healed);
                Box::new(move |gap| healed.locate(gap))
            }
            Self::Stored { range, .. } | Self::Headless { range, .. } => {
                let start = range.start;
                Box::new(move |gap| {
                    let behind = |at: u64| at.saturating_add(start);
                    gap.stored = gap.stored.take().map(|at| behind(at.start)..behind(at.end));
                })
            }
        }
    }

    /// Reads the pack from front to back. `codecs` will hear how frames are compressed.
    pub(super) fn salvage<'a>(
        &self,
        keys: impl KeySource,
        options: &OpenOptions,
        codecs: &mut SeenCodecs,
    ) -> Result<(Salvaged<'a>, Container), Error>
    where
        R: 'a,
    {
        match self {
            Self::Healed(healed) => {
                let raw = RawFailSafe::new(InOrder::of(healed, &(0..u64::MAX)))?;
                salvage_stack(raw, self.locate(), keys, options, codecs)
            }
            Self::Stored { source, range } => {
                let raw = RawFailSafe::new(InOrder::of(source, &(range.start..u64::MAX)))?;
                salvage_stack(raw, self.locate(), keys, options, codecs)
            }
            Self::Headless { source, range } => {
                let raw = RawFailSafe::open_seekable(InOrder::of(source, range))?;
                salvage_stack(raw, self.locate(), keys, options, codecs)
            }
        }
    }
}

/// Reads a part of a source from front to back.
struct InOrder<R> {
    source: Arc<R>,
    range: Range<u64>,
    at: u64,
}

impl<R> InOrder<R> {
    fn of(source: &Arc<R>, range: &Range<u64>) -> Self {
        Self { source: Arc::clone(source), range: range.clone(), at: range.start }
    }
}

impl<R: ReadAt> Read for InOrder<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let room = self.range.end.saturating_sub(self.at);
        let room = usize::try_from(room).unwrap_or(usize::MAX).min(buf.len());
        let n = self.source.read_at(&mut buf[..room], self.at)?;
        self.at = self.at.saturating_add(n as u64);
        Ok(n)
    }
}

/// Positions count from the start of the part.
impl<R: ReadAt> Seek for InOrder<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let Range { start, end } = self.range;
        let at = match to {
            SeekFrom::Start(at) => start.checked_add(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => end.checked_add_signed(by),
        };
        self.at = at.filter(|&at| at >= start).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at - start)
    }
}

/// A stack whose lowest layer is read to its end, and that says what is missing there.
struct Whole<'a> {
    reader: BoxFailSafe<'a>,
    raw: Shared<'a>,
    /// Bytes in front of the outermost layer.
    header: u64,
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
        let layer = lowest.layer;
        let behind = |at: u64| at.saturating_add(self.header);
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
        let behind = self.reader.check_end()?;
        let below = self.raw.pass_over()?;
        if let Some(gap) = behind {
            return Ok(Some(self.placed(gap)));
        }
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
