//! A clean pack, for the same readers, of what is left of a damaged one.

use std::io::{self, Write};
use std::sync::Arc;

use carstone_compress::{Codec, SeenCodecs};
use carstone_encrypt::{ContentKeyBytes, KeySource};
use carstone_keys::{ContentKey, Envelope, RecipientKind};
use carstone_layer::{LayerId, PackId, ReadAt};
use carstone_pack::{PackOptions, PackWriter, Summary};
use carstone_raw::Container;
use carstone_repair::{Plan, RebuildError, RebuildOptions, Report, Written};

use super::error::{Error, ErrorKind};
use super::heal::Healed;
use super::keys::Protection;
use super::open::OpenOptions;
use super::salvage::Better;
use super::write::{WriteOptions, write};

/// A damaged pack whose content has been looked through, ready to be written anew.
///
/// The new pack has the layers of the damaged one, its block size and its codec at the default level. An encrypted one is sealed by the same key
/// envelope, so that the same readers open it; its pack id is a new one, and with it all keys that are derived.
pub struct Rebuild<R> {
    source: Better<R>,
    options: OpenOptions,
    plan: Plan,
    container: Container,
    codec: Option<Codec>,
    /// Content key and envelope.
    sealed: Option<(ContentKeyBytes, Vec<u8>)>,
}

/// What a rebuild came to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RebuiltPack {
    /// The id of the new pack.
    pub pack_id: PackId,
    /// Entries kept, and those that were left out at the last moment.
    pub written: Written,
    /// What the new pack holds.
    pub summary: Summary,
    /// Whom its envelope is sealed to: the kinds, never who.
    pub recipients: Vec<RecipientKind>,
}

impl<R: ReadAt + Send + Sync> Rebuild<R> {
    /// Reads all that is left of a damaged pack, and finds out what can be kept. `healed` is what [`heal`](super::heal()) made of `source`.
    /// `progress` hears how many bytes of content have been seen.
    ///
    /// # Errors
    /// As [`salvage`](super::salvage()); no key for an encrypted pack; a temporary file fails.
    pub fn survey(
        source: Arc<R>,
        healed: Arc<Healed<Arc<R>>>,
        keys: impl KeySource,
        options: &OpenOptions,
        settings: &RebuildOptions,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Self, Error> {
        let mut options = options.clone();
        options.range.get_or_insert_with(|| healed.range());
        let source = Better::of(source, healed, &options);
        Self::of(source, keys, &options, settings, progress)
    }

    /// Reads a pack as it is stored. Small damage is put right on the way, and told in the [`report`](Self::report).
    pub(super) fn stored(
        source: Arc<R>,
        keys: impl KeySource,
        options: &OpenOptions,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Self, Error> {
        let source = Better::stored(source, options);
        Self::of(source, keys, options, &RebuildOptions::default(), progress)
    }

    fn of(
        source: Better<R>,
        mut keys: impl KeySource,
        options: &OpenOptions,
        settings: &RebuildOptions,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Self, Error> {
        let mut sealed = None;
        let mut codecs = SeenCodecs::default();
        let keys = |envelope: &[u8]| {
            let key = keys.content_key(envelope)?;
            sealed = key.clone().map(|key| (key, envelope.to_vec()));
            Ok(key)
        };
        let (mut salvaged, container) = source.salvage(keys, options, &mut codecs)?;
        let plan = Plan::survey(&mut salvaged, settings, progress).map_err(error)?;
        drop(salvaged);
        let has_frames = container.layers.get(LayerId::COMPRESSION).is_some();
        let codec = has_frames.then(|| codecs.codec().unwrap_or_default());
        Ok(Self { source, options: options.clone(), plan, container, codec, sealed })
    }

    /// What is whole and what is lost. Everything in [`Report::hit`] is left out, unless it is [kept](Self::kept_as) under another name.
    pub fn report(&self) -> &Report {
        self.plan.report()
    }

    /// The name under which what is left of an entry is kept.
    pub fn kept_as(&self, id: u64) -> Option<&[u8]> {
        self.plan.kept_as(id)
    }

    /// Writes the new pack, and gives the sink back, flushed. `progress` hears how many bytes of content have been seen.
    ///
    /// # Errors
    /// As [`survey`](Self::survey); [`ErrorKind::Write`] for what the sink gives.
    pub fn write<S: Write + Send>(
        &self,
        sink: S,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(S, RebuiltPack), Error> {
        let protection = self.sealed.as_ref().map(|(key, envelope)| {
            let key = ContentKey::copy_of(key);
            Protection { key, envelope: envelope.clone() }
        });
        self.write_under(protection, sink, progress)
    }

    /// The same with another protection than that of the damaged pack.
    pub(super) fn write_under<S: Write + Send>(
        &self,
        protection: Option<Protection>,
        sink: S,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(S, RebuiltPack), Error> {
        let envelope = protection.as_ref().map(|protection| protection.envelope.as_slice());
        let recipients = match envelope.filter(|envelope| !envelope.is_empty()) {
            Some(envelope) => Envelope::from_bytes(envelope)?.recipients(),
            None => Vec::new(),
        };
        let keys = |_: &[u8]| Ok(self.sealed.as_ref().map(|(key, _)| key.clone()));
        let mut codecs = SeenCodecs::default();
        let (mut salvaged, _) = self.source.salvage(keys, &self.options, &mut codecs)?;
        let pipe = write(sink, self.write_options(protection)).map_err(writing)?;
        let pack_id = pipe.pack_id();
        let packing = PackOptions::default().threads(self.options.threads);
        let mut writer = PackWriter::with_options(pipe, pack_id, packing).map_err(writing)?;
        let written = self.plan.write(&mut salvaged, &mut writer, progress).map_err(error)?;
        let (pipe, summary) = writer.finish().map_err(writing)?;
        let sink = pipe.finish().map_err(writing)?;
        Ok((sink, RebuiltPack { pack_id, written, summary, recipients }))
    }

    fn write_options(&self, protection: Option<Protection>) -> WriteOptions {
        let mut options = WriteOptions::default().threads(self.options.threads);
        options = match self.codec {
            Some(codec) => options.codec(codec),
            None => options.without_compression(),
        };
        if let Some(slot) = self.container.layers.get(LayerId::COMPRESSION) {
            options = options.block_size(slot.unit);
        }
        match protection {
            Some(protection) => options.protection(protection),
            None => options,
        }
    }
}

fn error(error: RebuildError) -> Error {
    match error {
        RebuildError::Read(error) => error.into(),
        RebuildError::Write(error) => writing(error),
        _ => Error::new(ErrorKind::Write(io::Error::other(error))),
    }
}

fn writing(error: io::Error) -> Error {
    Error::new(ErrorKind::Write(error))
}
