//! The reading stack for random access.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use carstone_compress::{self as compress, CompressReader};
use carstone_encrypt::{self as encrypt, EncryptReader, KeySource, LayerHeader};
use carstone_keys::{Envelope, RecipientKind};
use carstone_layer::{Corrections, LayerId, PackId, ReadAt, default_threads};
use carstone_pack::PackReader;
use carstone_position::PositionReader;
use carstone_raw::{Container, RawReader};

use super::budget::Budget;
use super::error::{Error, ErrorKind};

/// A source that threads share.
pub type SharedSource = Arc<dyn ReadAt + Send + Sync>;

/// How a pack is read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OpenOptions {
    pub(super) threads: usize,
    pub(super) budget: Budget,
    pub(super) range: Option<Range<u64>>,
    pub(super) corrections: Option<Corrections>,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            threads: default_threads(),
            budget: Budget::default(),
            range: None,
            corrections: None,
        }
    }
}

impl OpenOptions {
    /// Threads that decode ahead.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Bytes that decoded frames may take, in all layers together. By default four blocks for each thread and four more, and 2 MiB
    /// a thread where the pack is encrypted.
    #[must_use]
    pub fn budget(mut self, bytes: usize) -> Self {
        self.budget = Budget(Some(bytes));
        self
    }

    /// Where the pack lies in the source; default is all of it.
    #[must_use]
    pub fn range(mut self, range: Range<u64>) -> Self {
        self.range = Some(range);
        self
    }

    /// Puts small damage right in frames that are read at random, where their digests confirm it, and tells it there. By default such a frame is an
    /// error. What reads front to back puts damage right in any case, and [`verify`](super::verify()) never does.
    #[must_use]
    pub fn corrections(mut self, corrections: Corrections) -> Self {
        self.corrections = Some(corrections);
        self
    }
}

/// The stored side of a pack: what is known without a key.
#[non_exhaustive]
pub struct Stored {
    /// What the container header states.
    pub container: Container,
    /// Bytes from header to trailer, both included.
    pub stored_len: u64,
    /// The header of the encryption layer, where there is one.
    pub encryption: Option<LayerHeader>,
    /// Everything between header and trailer.
    pub framed: SharedSource,
}

impl Stored {
    /// The id that all frames carry.
    pub fn pack_id(&self) -> PackId {
        self.container.pack_id
    }

    /// Whom the key envelope is sealed to: the kinds, never who. Empty without encryption or envelope.
    ///
    /// # Errors
    /// The envelope is no age file.
    pub fn recipients(&self) -> Result<Vec<RecipientKind>, carstone_keys::Error> {
        match &self.encryption {
            Some(header) if !header.envelope.is_empty() => {
                Ok(Envelope::from_bytes(&header.envelope)?.recipients())
            }
            _ => Ok(Vec::new()),
        }
    }
}

/// Reads container header and trailer, and the header of the encryption layer. Needs no key.
///
/// # Errors
/// Not a pack, a pack of a newer version, or one without a sound header and trailer.
pub fn inspect<R>(source: R, options: &OpenOptions) -> Result<Stored, Error>
where
    R: ReadAt + Send + Sync + 'static,
{
    let raw = match &options.range {
        Some(range) => RawReader::open_range(source, range.clone())?,
        None => RawReader::open_at(source)?,
    };
    let (container, stored_len) = (raw.container().clone(), raw.stored_len());
    let outermost = container.layers.slots().first().map(|slot| slot.id);
    let encryption = match outermost {
        Some(LayerId::ENCRYPTION) => Some(LayerHeader::read_at(&raw)?),
        _ => None,
    };
    Ok(Stored { container, stored_len, encryption, framed: Arc::new(raw) })
}

/// An open pack: its CAR stream at random.
#[non_exhaustive]
pub struct Opened {
    /// The stored side.
    pub stored: Stored,
    source: SharedSource,
    compression: Option<Arc<CompressReader<SharedSource>>>,
    mark: Option<u64>,
    len: u64,
}

/// Puts a reading stack over `source`. `keys` is asked only when the pack is encrypted.
///
/// # Errors
/// As [`inspect`]; no key, or one that does not fit; a layer that is damaged where it is opened.
pub fn open<R>(source: R, keys: impl KeySource, options: &OpenOptions) -> Result<Opened, Error>
where
    R: ReadAt + Send + Sync + 'static,
{
    let stored = inspect(source, options)?;
    let pack_id = stored.pack_id();
    let layers = &stored.container.layers;
    let mut source = Arc::clone(&stored.framed);
    let mut keys = Some(keys);
    let mut compression = None;
    for slot in layers.slots() {
        source = match slot.id {
            LayerId::ENCRYPTION => {
                let read = encrypt::ReadOptions::default()
                    .pack_id(pack_id)
                    .layers(layers.clone())
                    .corrections(options.corrections.clone())
                    .threads(options.threads)
                    .budget(options.budget.encryption(options.threads));
                let keys = keys.take().ok_or_else(|| Error::new(ErrorKind::NoContainer))?;
                Arc::new(EncryptReader::with_options(source, keys, read)?)
            }
            LayerId::COMPRESSION => {
                let cache = options.budget.cache(options.threads, slot.unit);
                let read = compress::ReadOptions::default()
                    .pack_id(pack_id)
                    .max_block(slot.unit)
                    .corrections(options.corrections.clone())
                    .threads(options.threads)
                    .cache(cache)
                    .budget(cache / 3 * 2);
                let reader = Arc::new(CompressReader::with_options(source, read)?);
                compression = Some(Arc::clone(&reader));
                reader
            }
            LayerId::POSITION => {
                let position = PositionReader::open_at(source)?;
                let (mark, len) = (position.mark(), position.len());
                same_pack(&position, pack_id)?;
                return Ok(Opened { stored, source: Arc::new(position), compression, mark, len });
            }
            other => return Err(Error::new(ErrorKind::UnknownLayer(other))),
        };
    }
    Err(Error::new(ErrorKind::NoContainer))
}

/// The position footer must name the pack that the container names.
pub(super) fn same_pack<R>(position: &PositionReader<R>, pack_id: PackId) -> Result<(), Error> {
    if position.pack_id() == pack_id {
        return Ok(());
    }
    let what = "the pack id in the position footer";
    let kind = carstone_layer::ErrorKind::BadField(what);
    Err(io::Error::from(carstone_layer::Error::new(kind, position.len())).into())
}

impl Opened {
    /// The CAR stream.
    pub fn source(&self) -> &SharedSource {
        &self.source
    }

    /// Length of the CAR stream in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether the CAR stream holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Checks what says where things are and is not needed to read them: what is left of the footers. Headers, trailer and the other footers have been
    /// compared where the pack was opened.
    ///
    /// # Errors
    /// The first fault. No content is lost by it.
    pub fn check_footers(&self) -> Result<(), Error> {
        match &self.compression {
            Some(reader) => Ok(reader.check_footer()?),
            None => Ok(()),
        }
    }

    /// Where the tail record starts, if the writer noted it.
    pub fn mark(&self) -> Option<u64> {
        self.mark
    }

    /// The pack in it, for random access.
    ///
    /// # Errors
    /// There is no tail record; the stream may still be a CAR, or a pack that was never finished.
    pub fn pack(&self) -> Result<PackReader<SharedSource>, Error> {
        let tail = self.mark.unwrap_or(self.len);
        Ok(PackReader::open(Arc::clone(&self.source), self.stored.pack_id(), tail)?)
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("container", &self.stored.container)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stored").field("container", &self.container).finish_non_exhaustive()
    }
}
