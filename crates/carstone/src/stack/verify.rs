//! Checks all layers of a pack, one after the other.

use std::cell::Cell;
use std::sync::Arc;

use carstone_compress::{self as compress, CompressReader};
use carstone_encrypt::{self as encrypt, ContentKeyBytes, EncryptReader, KeySource, verify_stored};
use carstone_layer::{LayerId, ReadAt};
use carstone_position::PositionReader;

use super::error::{Error, ErrorKind};
use super::open::{OpenOptions, SharedSource, inspect, same_pack};

/// What the check of one layer came to.
#[derive(Debug)]
#[non_exhaustive]
pub struct LayerCheck {
    /// The layer.
    pub layer: LayerId,
    /// Bytes of the layer's stored stream.
    pub stored_len: u64,
    /// The first fault.
    pub fault: Option<Error>,
}

/// What the check of all layers came to.
#[derive(Debug)]
#[non_exhaustive]
pub struct StackCheck {
    /// The layers in the order of the container, outermost first, as far as they could be reached.
    pub layers: Vec<LayerCheck>,
    /// Whether the layers below encryption could not be looked at, because there is no key.
    pub frames_only: bool,
}

impl StackCheck {
    /// Whether no fault was found in what was looked at.
    pub fn is_sound(&self) -> bool {
        self.layers.iter().all(|check| check.fault.is_none())
    }
}

/// Reads every frame of every layer: headers, order, checksums and footers, and with a key the authentication tags. Each layer tells its first fault.
/// What stands in the pack is for [`PackReader::verify`](carstone_pack::PackReader::verify). `progress` hears the layer and how far it is, in plain bytes.
///
/// # Errors
/// As [`inspect`](super::inspect()); a key that does not fit. Without any key only the encryption layer's frames are checked, and that is no error.
pub fn verify<R>(
    source: R,
    mut keys: impl KeySource,
    options: &OpenOptions,
    progress: &mut dyn FnMut(LayerId, u64),
) -> Result<StackCheck, Error>
where
    R: ReadAt + Send + Sync + 'static,
{
    let stored = inspect(source, options)?;
    let pack_id = stored.pack_id();
    let mut source: SharedSource = Arc::clone(&stored.framed);
    let mut check = StackCheck { layers: Vec::new(), frames_only: false };
    let has_key = Cell::new(false);
    let mut keys = Some(|envelope: &[u8]| {
        let key: Option<ContentKeyBytes> = keys.content_key(envelope)?;
        has_key.set(key.is_some());
        Ok(key)
    });
    for slot in stored.container.layers.slots() {
        let (layer, stored_len) = (slot.id, source.size()?);
        progress(layer, 0);
        let (fault, inner): (Option<Error>, Option<SharedSource>) = match layer {
            LayerId::ENCRYPTION => {
                let read = encrypt::ReadOptions::default()
                    .pack_id(pack_id)
                    .layers(stored.container.layers.clone())
                    .threads(options.threads)
                    .budget(options.budget.encryption(options.threads));
                let keys = keys.take().ok_or_else(|| Error::new(ErrorKind::NoContainer))?;
                match EncryptReader::with_options(Arc::clone(&source), keys, read) {
                    Ok(reader) => {
                        let fault = reader.verify().err().map(Error::from);
                        (fault, Some(Arc::new(reader)))
                    }
                    Err(error) if matches!(error.kind(), encrypt::ErrorKind::NoKey) => {
                        check.frames_only = true;
                        (verify_stored(&source, Some(pack_id)).err().map(Error::from), None)
                    }
                    Err(error) => {
                        let error = Error::from(error);
                        if error.is_about_keys() || !has_key.get() {
                            return Err(error);
                        }
                        (Some(error), None)
                    }
                }
            }
            LayerId::COMPRESSION => {
                let read = compress::ReadOptions::default()
                    .pack_id(pack_id)
                    .max_block(slot.unit)
                    .threads(options.threads)
                    .budget(options.budget.compression(options.threads, slot.unit));
                match CompressReader::with_options(Arc::clone(&source), read) {
                    Ok(reader) => {
                        let fault = reader.verify(|at| progress(layer, at)).err();
                        (fault.map(Error::from), Some(Arc::new(reader)))
                    }
                    Err(error) => (Some(error.into()), None),
                }
            }
            LayerId::POSITION => match PositionReader::open_at(Arc::clone(&source)) {
                Ok(reader) => {
                    let fault = same_pack(&reader, pack_id).err();
                    (fault, Some(Arc::new(reader)))
                }
                Err(error) => (Some(error.into()), None),
            },
            other => return Err(Error::new(ErrorKind::UnknownLayer(other))),
        };
        check.layers.push(LayerCheck { layer, stored_len, fault });
        match inner {
            Some(inner) => source = inner,
            None => break,
        }
    }
    Ok(check)
}
