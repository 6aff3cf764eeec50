//! The writing stack.

use std::fmt;
use std::io::{self, Write};

use carstone_compress::{Codec, CompressOptions, CompressWriter};
use carstone_encrypt::{EncryptOptions, EncryptWriter};
use carstone_layer::{
    BoxWriter, Hint, LayerId, LayerList, LayerSlot, LayerWrite, PackId, default_threads, digest16,
};
use carstone_position::PositionWriter;
use carstone_raw::{Container, RawOptions, RawWriter};

use super::budget::Budget;
use super::keys::Protection;

/// What a pack is made of.
#[non_exhaustive]
pub struct WriteOptions {
    codec: Option<Codec>,
    block_size: u32,
    protection: Option<Protection>,
    threads: usize,
    budget: Budget,
    pack_id: Option<PackId>,
    fingerprint: Option<[u8; 32]>,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self {
            codec: Some(Codec::default()),
            block_size: 4 << 20,
            protection: None,
            threads: default_threads(),
            budget: Budget::default(),
            pack_id: None,
            fingerprint: None,
        }
    }
}

impl WriteOptions {
    /// How frames are compressed; [`Codec::Stored`] still writes frames, which can be found and healed.
    #[must_use]
    pub fn codec(mut self, codec: Codec) -> Self {
        self.codec = Some(codec);
        self
    }

    /// Leaves the compression layer out. Without encryption as well, no frame says what is damaged, where the next section starts, or how a flipped bit is put right: after
    /// damage, blocks are found by their hashes alone.
    #[must_use]
    pub fn without_compression(mut self) -> Self {
        self.codec = None;
        self
    }

    /// Plain bytes that are compressed together: 64 KiB to 16 MiB, default 4 MiB.
    #[must_use]
    pub fn block_size(mut self, bytes: u32) -> Self {
        self.block_size = bytes;
        self
    }

    /// Encrypts the pack.
    #[must_use]
    pub fn protection(mut self, protection: Protection) -> Self {
        self.protection = Some(protection);
        self
    }

    /// Threads of each layer. The bytes do not depend on it.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Bytes that the frames in flight may take, in all layers together. By default a block for each thread and two more, and 2 MiB
    /// a thread where the pack is encrypted.
    #[must_use]
    pub fn budget(mut self, bytes: usize) -> Self {
        self.budget = Budget(Some(bytes));
        self
    }

    /// Fixes the pack id, for tests. Two packs with one id and one key reuse nonces, which breaks their encryption.
    #[must_use]
    pub fn danger_pack_id(mut self, id: PackId) -> Self {
        self.pack_id = Some(id);
        self
    }

    /// Derives the pack id from what the pack will hold, instead of drawing it: from the
    /// [fingerprint](carstone_pack::Fingerprint) of its CAR stream, which a first run over the same entries gives, and from the layers with
    /// their settings. Equal content under equal settings then gives an equal pack, and other content another id.
    ///
    /// The id is `B3("carstone/1 reproducible" ‖ canonical layer list ‖ codec ‖ 0 ‖ fingerprint)`, where *codec* is its
    /// name and level as text (`brotli:5`), empty without compression.
    ///
    /// Not for encrypted packs, which [`write()`] refuses: under one key their bytes would tell who has the same content.
    #[must_use]
    pub fn reproducible(mut self, fingerprint: [u8; 32]) -> Self {
        self.fingerprint = Some(fingerprint);
        self
    }

    fn compression(&self) -> Option<CompressOptions> {
        self.codec.map(|codec| {
            CompressOptions::default()
                .codec(codec)
                .block_size(self.block_size)
                .threads(self.threads)
                .budget(self.budget.compression(self.threads, self.block_size))
        })
    }

    fn layers(&self) -> Result<LayerList, carstone_layer::Error> {
        let position = LayerSlot { id: LayerId::POSITION, algorithm: 0, unit: 0 };
        let encryption = self.protection.as_ref().map(|_| carstone_encrypt::slot());
        let compression = self.compression().map(|options| options.layer_slot());
        LayerList::new(encryption.into_iter().chain(compression).chain([position]).collect())
    }
}

/// The id of a pack that is the same wherever it is written.
fn derived_id(layers: &LayerList, codec: Option<Codec>, fingerprint: &[u8; 32]) -> PackId {
    let codec = codec.map(|codec| codec.to_string()).unwrap_or_default();
    let parts = [REPRODUCIBLE, &layers.canonical(), codec.as_bytes(), &[0], fingerprint];
    PackId::from_bytes(digest16(&parts))
}

const ENCRYPTED: &str = "an encrypted pack cannot be reproducible";
const REPRODUCIBLE: &[u8] = b"carstone/1 reproducible";

/// The top of a writing stack: plain bytes of the CAR stream go in.
#[must_use = "the pack reads as cut off until `finish` has returned `Ok`"]
pub struct StackWriter<'a, S> {
    top: BoxWriter<'a, S>,
    container: Container,
}

/// Puts a writing stack over `sink`, and writes the container header.
///
/// # Errors
/// Whatever `sink` gives; a block size out of range; no randomness; a [reproducible](WriteOptions::reproducible) pack that is encrypted.
pub fn write<'a, S: Write + Send + 'a>(
    sink: S,
    options: WriteOptions,
) -> io::Result<StackWriter<'a, S>> {
    let layers = options.layers()?;
    let mut raw_options = RawOptions::default();
    let derived = match (&options.fingerprint, &options.protection) {
        (Some(_), Some(_)) => return Err(io::Error::new(io::ErrorKind::InvalidInput, ENCRYPTED)),
        (Some(print), None) => Some(derived_id(&layers, options.codec, print)),
        (None, _) => None,
    };
    if let Some(id) = options.pack_id.or(derived) {
        raw_options = raw_options.with_pack_id(id);
    }
    let raw = RawWriter::with_options(sink, layers.clone(), raw_options)?;
    let container = raw.container().clone();
    let pack_id = container.pack_id;
    let header = container.encode().to_vec();
    let compression = options.compression();
    let encrypted = options.protection.is_some();
    let mut top: BoxWriter<'a, S> = Box::new(raw);
    if let Some(protection) = options.protection {
        let encryption = EncryptOptions::default()
            .pack_id(pack_id)
            .layers(layers)
            .container(header.clone())
            .envelope(protection.envelope)
            .threads(options.threads)
            .budget(options.budget.encryption(options.threads));
        top = Box::new(EncryptWriter::with_options(top, protection.key.as_bytes(), encryption)?);
    }
    if let Some(mut compression) = compression {
        compression = compression.pack_id(pack_id);
        if !encrypted {
            compression = compression.anchor(header);
        }
        top = Box::new(CompressWriter::with_options(top, compression)?);
    }
    let top = Box::new(PositionWriter::new(top, pack_id));
    Ok(StackWriter { top, container })
}

impl<S> StackWriter<'_, S> {
    /// The id that all frames carry.
    pub fn pack_id(&self) -> PackId {
        self.container.pack_id
    }

    /// What the container header states.
    pub fn container(&self) -> &Container {
        &self.container
    }

    /// Ends all layers, and gives the sink back, flushed.
    ///
    /// # Errors
    /// Whatever the sink gives.
    pub fn finish(self) -> io::Result<S> {
        self.top.finish_stack()
    }
}

impl<S> Write for StackWriter<'_, S> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.top.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.top.flush()
    }
}

impl<S> LayerWrite for StackWriter<'_, S> {
    type Sink = S;

    fn hint(&mut self, hint: Hint) -> io::Result<()> {
        self.top.hint(hint)
    }

    fn finish_stack(self: Box<Self>) -> io::Result<S> {
        self.finish()
    }
}

impl<S> fmt::Debug for StackWriter<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StackWriter").field("container", &self.container).finish_non_exhaustive()
    }
}
