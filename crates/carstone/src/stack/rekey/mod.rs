//! A pack for other readers: its recipients are changed, and its content stays as it is stored.

#[cfg(feature = "repair")]
mod fresh;

use std::fmt;
use std::io::Write;
use std::sync::Arc;

use carstone_encrypt::{self as encrypt, ContentKeyBytes, EncryptReader, KeySource};
use carstone_keys::{ContentKey, RecipientKind, Recipients};
use carstone_layer::{LayerId, PackId, ReadAt};
use carstone_raw::{Appendix, Container, RawReader, RawWriter};

use super::error::{Error, ErrorKind};
use super::open::OpenOptions;
#[cfg(feature = "repair")]
pub use fresh::Fresh;

/// A sound encrypted pack whose key has been found, ready to be given to other readers.
///
/// The copy has the same pack id and content key, and its data frames are the same bytes. Layer headers and anchors carry a new envelope. Whoever
/// could open the old pack and kept its content key can still read the copy; only [`fresh`](Self::fresh) shuts them out, of what they do not have
/// yet. Two envelopes of one pack id are then both valid, and nothing tells which is the newer one: put back into the copy, an old one opens it again.
pub struct Rekey<R> {
    /// To be read once more, by [`fresh`](Self::fresh).
    #[cfg(feature = "repair")]
    source: (Arc<R>, OpenOptions),
    reader: EncryptReader<RawReader<Arc<R>>>,
    key: ContentKeyBytes,
}

/// What a copy for other readers came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RekeyedPack {
    /// Bytes from header to trailer.
    pub stored_len: u64,
    /// Data frames that were copied.
    pub frames: u64,
    /// Whom the new envelope is sealed to: the kinds, never who.
    pub recipients: Vec<RecipientKind>,
}

impl<R: ReadAt> Rekey<R> {
    /// Opens a pack with a key that the old envelope gives. Container header, trailer, layer headers, the commitment to the key and the last frame are
    /// checked; the other frames while they are copied. Nothing is put right: [`heal`](super::heal()) does that.
    ///
    /// # Errors
    /// [`ErrorKind::NotEncrypted`]; [`ErrorKind::UnknownLayer`]; no key, one that does not fit the commitment, or what opening the envelope gives; whatever
    /// is not sound, with its place.
    pub fn open(
        source: Arc<R>,
        mut keys: impl KeySource,
        options: &OpenOptions,
    ) -> Result<Self, Error> {
        let range = options.range.clone().unwrap_or(0..u64::MAX);
        let raw = RawReader::open_range(Arc::clone(&source), range)?;
        let layers = raw.container().layers.clone();
        if layers.get(LayerId::ENCRYPTION).is_none() {
            return Err(Error::new(ErrorKind::NotEncrypted));
        }
        let known = [LayerId::ENCRYPTION, LayerId::COMPRESSION, LayerId::POSITION];
        if let Some(slot) = layers.slots().iter().find(|slot| !known.contains(&slot.id)) {
            return Err(Error::new(ErrorKind::UnknownLayer(slot.id)));
        }
        let read = encrypt::ReadOptions::default()
            .pack_id(raw.container().pack_id)
            .layers(layers)
            .threads(options.threads)
            .budget(options.budget.encryption(options.threads));
        let mut found = None;
        let keys = |envelope: &[u8]| {
            found = keys.content_key(envelope)?;
            Ok(found.clone())
        };
        let reader = EncryptReader::with_options(raw, keys, read)?;
        let key = found.ok_or_else(|| Error::new(ErrorKind::NoKey))?;
        Ok(Self {
            #[cfg(feature = "repair")]
            source: (source, options.clone()),
            reader,
            key,
        })
    }

    /// What the container header states.
    pub fn container(&self) -> &Container {
        self.reader.get_ref().container()
    }

    /// The id that all frames carry, here and in the copy.
    pub fn pack_id(&self) -> PackId {
        self.container().pack_id
    }

    /// Bytes of the old pack from header to trailer.
    pub fn stored_len(&self) -> u64 {
        self.reader.get_ref().stored_len()
    }

    /// What stands behind the trailer. It was made for the old bytes, and no copy has it.
    pub fn appendices(&self) -> &[Appendix] {
        self.reader.get_ref().appendices()
    }

    /// Writes a copy that `recipients` can open, and nobody else by its envelope, and gives the sink back, flushed. All frames are checked on the way, without
    /// a look inside. `progress` hears how many bytes of the old pack have been copied.
    ///
    /// # Errors
    /// [`ErrorKind::Keys`] for recipients that cannot stand together; the first fault of the pack, with its place; [`ErrorKind::Write`] for what the
    /// sink gives. What was written is worthless then.
    pub fn write<S: Write>(
        &self,
        sink: S,
        recipients: &Recipients,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(S, RekeyedPack), Error> {
        let envelope = recipients.seal(&ContentKey::copy_of(&self.key))?;
        let container = self.container().clone();
        let header = container.encode();
        let writing = |error| Error::new(ErrorKind::Write(error));
        let raw = RawWriter::again(sink, container).map_err(writing)?;
        let bytes = envelope.as_bytes().to_vec();
        let mut hear = |at: u64| progress(at.saturating_add(Container::LEN as u64));
        let (raw, stats) = self.reader.rewrap(raw, bytes, &header, &mut hear)?;
        let outside = (Container::LEN + Container::TRAILER_LEN) as u64;
        let pack = RekeyedPack {
            stored_len: stats.stored_len.saturating_add(outside),
            frames: stats.frames,
            recipients: envelope.recipients(),
        };
        Ok((raw.finish().map_err(writing)?, pack))
    }
}

impl<R> fmt::Debug for Rekey<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rekey").field("reader", &self.reader).finish_non_exhaustive()
    }
}
