//! Packs of a store that are compressed and encrypted, as those that `carstone create` makes.

use std::fmt;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use carstone::car::ReadAt;
use carstone::compress::Codec;
use carstone::encrypt::KeySource;
use carstone::keys::Recipients;
use carstone::layer;
use carstone::stack::{self, Format, OpenOptions, Protection, SharedSource, WriteOptions};
use carstone_store::{PackCar, PackLayers};

use crate::cli::{KeyArgs, StorePutArgs};
use crate::keys::{Keys, is_for_others, recipients};

/// How packs are wrapped, and what opens them.
pub(super) struct StackLayers {
    codec: Option<Codec>,
    recipients: Recipients,
    keys: Keys,
}

impl StackLayers {
    /// What opens packs, and wraps none.
    pub(super) fn opening(keys: &KeyArgs) -> anyhow::Result<Self> {
        let keys = Keys::optional(keys, Path::new(""))?;
        Ok(Self { codec: None, recipients: Recipients::new(), keys })
    }

    /// How packs are wrapped; `None` if they are not.
    pub(super) fn wrapping(args: &StorePutArgs) -> anyhow::Result<Option<Self>> {
        let codec = match (args.compress, args.readers.encrypts()) {
            (None, false) => return Ok(None),
            (None, true) => Some(Codec::default()),
            (Some(codec), _) => Some(codec).filter(|codec| *codec != Codec::Stored),
        };
        Ok(Some(Self { codec, recipients: recipients(&args.readers, false)?, keys: Keys::none() }))
    }
}

impl PackLayers for StackLayers {
    fn wrap(&self, car: &mut (dyn Read + Send), sink: &mut (dyn Write + Send)) -> io::Result<()> {
        let mut options = match self.codec {
            Some(codec) => WriteOptions::default().codec(codec),
            None => WriteOptions::default().without_compression(),
        };
        if !self.recipients.is_empty() {
            // Each pack has a key of its own.
            let protection = Protection::seal(&self.recipients).map_err(io::Error::other)?;
            options = options.protection(protection);
        }
        let mut stack = stack::write(sink, options)?;
        io::copy(car, &mut stack)?;
        stack.finish()?.flush()
    }

    fn is_wrapped(&self, front: &[u8]) -> bool {
        stack::detect(front) == Format::Pack
    }

    fn open(&self, pack: PackCar) -> io::Result<Option<PackCar>> {
        let options = OpenOptions::default().threads(1).budget(BUDGET);
        let mut keys = self.keys.source();
        let keys = |envelope: &[u8]| match keys.content_key(envelope) {
            Err(error) if is_for_others(&error) => Ok(None),
            key => key,
        };
        match stack::open(Stored(pack), keys, &options) {
            Ok(opened) => Ok(Some(Arc::new(Content(Arc::clone(opened.source()))))),
            Err(error) if error.is_about_keys() => Ok(None),
            Err(error) => Err(io::Error::other(error)),
        }
    }
}

impl fmt::Debug for StackLayers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StackLayers").field("codec", &self.codec).finish_non_exhaustive()
    }
}

/// A pack, as layers read it.
struct Stored(PackCar);

impl layer::ReadAt for Stored {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buf, offset)
    }

    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }
}

/// The CAR in it, as stores read it.
struct Content(SharedSource);

impl ReadAt for Content {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        layer::ReadAt::read_at(&*self.0, buf, offset)
    }

    fn size(&self) -> io::Result<u64> {
        layer::ReadAt::size(&*self.0)
    }
}

/// Bytes that an open pack may hold.
const BUDGET: usize = 32 << 20;
