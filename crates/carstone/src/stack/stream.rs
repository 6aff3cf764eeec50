//! The reading stacks that only go forwards.

use std::fmt;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use carstone_compress::{CompressFailSafe, ReadOptions, SeenCodecs};
use carstone_encrypt::{EncryptFailSafe, FailSafeOptions, KeySource};
use carstone_layer::{BoxFailSafe, Cause, FailSafeRead, Gap, LayerId, PackId, Report};
use carstone_position::PositionFailSafe;
use carstone_raw::{Container, RawFailSafe};

use super::error::{Error, ErrorKind};
use super::open::OpenOptions;

/// A stack that goes on behind damage.
#[non_exhaustive]
pub struct FailSafe<'a> {
    /// What the container header states.
    pub container: Container,
    /// The CAR stream and its gaps.
    pub reader: BoxFailSafe<'a>,
}

/// Puts a fail-safe stack over `source`, which is only read forwards.
///
/// # Errors
/// The source does not start with a container header (one that can be put right counts); a key that does not fit, or whatever the source
/// gives. Without a key every encrypted frame is a gap.
pub fn fail_safe<'a, R: Read + Send + 'a>(
    source: R,
    keys: impl KeySource,
    options: &OpenOptions,
) -> Result<FailSafe<'a>, Error> {
    let (container, raw) = bottom(RawFailSafe::new(source)?)?;
    layers(container, raw, keys, options, &mut SeenCodecs::default())
}

fn bottom<'a, R: Read + Send + 'a>(
    raw: RawFailSafe<R>,
) -> Result<(Container, BoxFailSafe<'a>), Error> {
    match raw.container() {
        Some(container) => Ok((container.clone(), Box::new(raw))),
        None => Err(Error::new(ErrorKind::NoContainer)),
    }
}

fn layers<'a>(
    container: Container,
    mut reader: BoxFailSafe<'a>,
    keys: impl KeySource,
    options: &OpenOptions,
    codecs: &mut SeenCodecs,
) -> Result<FailSafe<'a>, Error> {
    let mut keys = Some(keys);
    for slot in container.layers.slots() {
        reader = match slot.id {
            LayerId::ENCRYPTION => {
                let read = FailSafeOptions::default()
                    .pack_id(container.pack_id)
                    .layers(container.layers.clone())
                    .threads(options.threads)
                    .budget(options.budget.encryption(options.threads));
                let keys = keys.take().ok_or_else(|| Error::new(ErrorKind::NoContainer))?;
                Box::new(EncryptFailSafe::new(reader, keys, read)?)
            }
            LayerId::COMPRESSION => {
                let read = ReadOptions::default()
                    .pack_id(container.pack_id)
                    .max_block(slot.unit)
                    .threads(options.threads)
                    .budget(options.budget.compression(options.threads, slot.unit));
                let layer = CompressFailSafe::new(reader, read);
                *codecs = layer.seen_codecs();
                Box::new(layer)
            }
            LayerId::POSITION => Box::new(PositionFailSafe::new(reader)),
            other => return Err(Error::new(ErrorKind::UnknownLayer(other))),
        };
    }
    Ok(FailSafe { container, reader })
}

/// A stack that is read forwards up to the first damage.
#[non_exhaustive]
pub struct Streamed<'a> {
    /// What the container header states.
    pub container: Container,
    reader: BoxFailSafe<'a>,
    raw: Shared<'a>,
    ended: bool,
    stopped: Option<Gap>,
}

/// Puts a forward stack over `source`, such as a pipe. It needs no footer; at the first gap it gives an error, and what came before is good.
/// It reads `source` to its end, so that nobody who writes a pipe is cut off, and a pack without its trailer is an error too, as are frames that stood
/// in another order, which are known when all is read.
///
/// # Errors
/// As [`fail_safe`]; no key for an encrypted pack.
pub fn stream<'a, R: Read + Send + 'a>(
    source: R,
    keys: impl KeySource,
    options: &OpenOptions,
) -> Result<Streamed<'a>, Error> {
    let codecs = &mut SeenCodecs::default();
    let raw = RawFailSafe::new(source)?;
    let (FailSafe { container, reader }, raw) = keyed(raw, keys, options, codecs)?;
    Ok(Streamed { container, reader, raw, ended: false, stopped: None })
}

/// A fail-safe stack that has its key, and its bottom. `codecs` will hear how frames are compressed.
pub(super) fn keyed<'a, R: Read + Send + 'a>(
    raw: RawFailSafe<R>,
    mut keys: impl KeySource,
    options: &OpenOptions,
    codecs: &mut SeenCodecs,
) -> Result<(FailSafe<'a>, Shared<'a>), Error> {
    let mut has_key = true;
    let keys = |envelope: &[u8]| {
        let key = keys.content_key(envelope)?;
        has_key = key.is_some();
        Ok(key)
    };
    let (container, raw) = bottom(raw)?;
    let raw = Shared::new(raw);
    let stack = layers(container, Box::new(raw.clone()), keys, options, codecs)?;
    match has_key {
        true => Ok((stack, raw)),
        false => Err(Error::new(ErrorKind::NoKey)),
    }
}

impl Streamed<'_> {
    /// The id that all frames carry.
    pub fn pack_id(&self) -> PackId {
        self.container.pack_id
    }
}

impl Read for Streamed<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.stopped.is_none() && !self.ended {
            match self.reader.read(buf)? {
                0 if !buf.is_empty() => {
                    self.stopped = match self.reader.next_gap()? {
                        Some(gap) => Some(gap),
                        // A layer ends with its last frame; footers and trailer are still to come.
                        None => {
                            // What follows a trailer looks like damage to the layers; frames that are not where they belong do not.
                            let behind = self.reader.check_end()?.filter(is_disorder);
                            let below = self.raw.pass_over()?;
                            behind.or(below)
                        }
                    };
                    self.ended = true;
                }
                n => return Ok(n),
            }
        }
        match &self.stopped {
            Some(gap) => Err(Error::new(ErrorKind::Gap(Box::new(gap.clone()))).into()),
            None => Ok(0),
        }
    }
}

/// Whether a gap tells of frames in the wrong place or of another pack.
fn is_disorder(gap: &Gap) -> bool {
    match &gap.cause {
        Cause::Below(below) => is_disorder(below),
        cause => matches!(cause, Cause::OutOfOrder | Cause::Foreign),
    }
}

/// The bottom of a stack, which is read to its end when all layers have what they need.
#[derive(Clone)]
pub(super) struct Shared<'a>(Arc<Mutex<Bottom<'a>>>);

struct Bottom<'a> {
    reader: BoxFailSafe<'a>,
    /// The last gap that was told: a layer that needs nothing more keeps it to itself.
    gap: Option<Gap>,
}

impl Bottom<'_> {
    fn next_gap(&mut self) -> io::Result<Option<Gap>> {
        let gap = self.reader.next_gap()?;
        if gap.is_some() {
            self.gap.clone_from(&gap);
        }
        Ok(gap)
    }
}

impl<'a> Shared<'a> {
    fn new(reader: BoxFailSafe<'a>) -> Self {
        Self(Arc::new(Mutex::new(Bottom { reader, gap: None })))
    }

    fn get(&self) -> MutexGuard<'_, Bottom<'a>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads on to the end, or to what is missing before it.
    pub(super) fn pass_over(&self) -> io::Result<Option<Gap>> {
        let mut raw = self.get();
        io::copy(&mut raw.reader, &mut io::sink())?;
        raw.next_gap()?;
        Ok(raw.gap.clone())
    }
}

impl Read for Shared<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.get().reader.read(buf)
    }
}

impl FailSafeRead for Shared<'_> {
    fn position(&self) -> u64 {
        self.get().reader.position()
    }

    fn next_gap(&mut self) -> io::Result<Option<Gap>> {
        self.get().next_gap()
    }

    fn next_boundary(&mut self) -> Option<u64> {
        self.get().reader.next_boundary()
    }

    fn read_unchecked(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.get().reader.read_unchecked(buf)
    }

    fn drain_report(&mut self, report: &mut Report) {
        self.get().reader.drain_report(report);
    }
}

impl fmt::Debug for Streamed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streamed").field("container", &self.container).finish_non_exhaustive()
    }
}

impl fmt::Debug for FailSafe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FailSafe").field("container", &self.container).finish_non_exhaustive()
    }
}
