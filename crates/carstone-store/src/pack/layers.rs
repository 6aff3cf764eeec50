//! Packs that are wrapped: compressed, encrypted, or both.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use carstone_car::ReadAt;
use futures::stream::BoxStream;
use tokio::runtime::Handle;

use super::sidecar::Sidecars;
use super::store::{PackStore, StoredPack};
use crate::error::{Error, ErrorKind, Result};
use crate::name::{Hash, text_of};
use crate::objects::{Content, Created, Spool, Turn, blocking, read_exact_at};

/// A CAR that is read at any offset.
pub type PackCar = Arc<dyn ReadAt + Send + Sync>;

/// What packs are wrapped into, and taken out of: compression, encryption, or anything else that gives the same bytes back at any offset.
///
/// The name of a wrapped pack is the hash of what is stored, so that it is checked, copied and healed without being opened. The index has the places of blobs in the CAR.
pub trait PackLayers: fmt::Debug + Send + Sync {
    /// Writes a CAR, wrapped. The same CAR need not become the same bytes.
    ///
    /// # Errors
    /// Whatever the source or the sink gives; there is no key.
    fn wrap(&self, car: &mut (dyn Read + Send), sink: &mut (dyn Write + Send)) -> io::Result<()>;

    /// Whether a pack that begins with these bytes, 64 at the most, is wrapped.
    fn is_wrapped(&self, front: &[u8]) -> bool;

    /// The CAR in a wrapped pack; `None` if no key fits.
    ///
    /// # Errors
    /// The pack cannot be read, or is damaged where it is opened.
    fn open(&self, pack: PackCar) -> io::Result<Option<PackCar>>;
}

/// Packs of which some are wrapped: [`read`](PackStore::read) gives bytes of the CAR in them, all else is about what is stored.
pub(crate) struct LayeredPacks {
    inner: Arc<dyn PackStore>,
    layers: Arc<dyn PackLayers>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Whether packs are wrapped, as far as that is known.
    wrapped: HashMap<Hash, bool>,
    /// Those that were opened last, each with what it takes to read it.
    open: VecDeque<(Hash, PackCar)>,
}

impl LayeredPacks {
    pub(crate) fn new(inner: Arc<dyn PackStore>, layers: Arc<dyn PackLayers>) -> Self {
        Self { inner, layers, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn is_wrapped(&self, name: &Hash, size: u64) -> Result<bool> {
        if let Some(known) = self.state().wrapped.get(name) {
            return Ok(*known);
        }
        let front = self.inner.read(name, 0..size.min(FRONT)).await?;
        let is_wrapped = self.layers.is_wrapped(&front);
        let mut state = self.state();
        if state.wrapped.len() >= MOST_KNOWN {
            state.wrapped.clear();
        }
        state.wrapped.insert(*name, is_wrapped);
        Ok(is_wrapped)
    }

    /// The CAR in a pack; `None` if it is not wrapped.
    async fn car(&self, name: &Hash) -> Result<Option<PackCar>> {
        if let Some((_, car)) = self.state().open.iter().find(|(open, _)| open == name) {
            return Ok(Some(Arc::clone(car)));
        }
        if self.state().wrapped.get(name) == Some(&false) {
            return Ok(None);
        }
        let missing = || Error::new(ErrorKind::NotFound).of(text_of(name));
        let size = self.inner.size(name).await?.ok_or_else(missing)?;
        if !self.is_wrapped(name, size).await? {
            return Ok(None);
        }
        let (packs, runtime) = (Arc::clone(&self.inner), Handle::current());
        let (layers, name) = (Arc::clone(&self.layers), *name);
        let stored = Arc::new(Stored { packs, name, size, runtime });
        let opened = blocking(move || Ok(layers.open(stored)?)).await;
        let opened = opened.map_err(|error| error.of(text_of(&name)))?;
        let no_key = || Error::new(ErrorKind::NoKey).of(text_of(&name));
        let car = opened.ok_or_else(no_key)?;
        let mut state = self.state();
        state.open.truncate(MOST_OPEN - 1);
        state.open.push_front((name, Arc::clone(&car)));
        Ok(Some(car))
    }
}

#[async_trait]
impl PackStore for LayeredPacks {
    async fn read(&self, name: &Hash, range: Range<u64>) -> Result<Bytes> {
        // No blob of a CAR begins at its first byte: this is about the pack, which may be a blob by itself.
        let car = if range.start == 0 { None } else { self.car(name).await? };
        let Some(car) = car else { return self.inner.read(name, range).await };
        let read = blocking(move || {
            let expected = range.end.saturating_sub(range.start);
            let found = car.size()?.saturating_sub(range.start);
            if found < expected {
                return Err(Error::new(ErrorKind::Short { expected, found }));
            }
            let mut bytes = vec![0; usize::try_from(expected).map_err(io::Error::other)?];
            read_exact_at(&*car, &mut bytes, range.start)?;
            Ok(Bytes::from(bytes))
        });
        read.await.map_err(|error| error.of(text_of(name)))
    }

    async fn content(&self, name: &Hash) -> Result<Option<PackCar>> {
        match self.car(name).await {
            Err(error) if matches!(error.kind(), ErrorKind::NoKey) => Ok(None),
            found => found,
        }
    }

    async fn put(&self, name: &Hash, content: Content) -> Result<Created> {
        self.inner.put(name, content).await
    }

    async fn put_in_turn(&self, name: &Hash, content: Content, turn: Turn) -> Result<Created> {
        self.inner.put_in_turn(name, content, turn).await
    }

    async fn replace(&self, name: &Hash, content: Content) -> Result<()> {
        self.inner.replace(name, content).await
    }

    async fn get(&self, name: &Hash) -> Result<Option<Bytes>> {
        self.inner.get(name).await
    }

    async fn stream(&self, name: &Hash) -> Result<BoxStream<'static, Result<Bytes>>> {
        self.inner.stream(name).await
    }

    async fn size(&self, name: &Hash) -> Result<Option<u64>> {
        self.inner.size(name).await
    }

    fn list(&self) -> BoxStream<'static, Result<StoredPack>> {
        self.inner.list()
    }

    async fn delete(&self, name: &Hash) -> Result<bool> {
        self.inner.delete(name).await
    }

    fn spool(&self) -> Result<Spool> {
        self.inner.spool()
    }

    fn sidecars(&self) -> Option<Sidecars> {
        self.inner.sidecars()
    }
}

impl fmt::Debug for LayeredPacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LayeredPacks")
            .field("inner", &self.inner)
            .field("layers", &self.layers)
            .finish_non_exhaustive()
    }
}

/// A pack as it is stored, for readers that wait.
struct Stored {
    packs: Arc<dyn PackStore>,
    name: Hash,
    size: u64,
    runtime: Handle,
}

impl ReadAt for Stored {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let end = self.size.min(offset.saturating_add(buf.len() as u64));
        if offset >= end {
            return Ok(0);
        }
        let bytes = self.runtime.block_on(self.packs.read(&self.name, offset..end))?;
        let len = bytes.len().min(buf.len());
        buf[..len].copy_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.size)
    }
}

/// Wraps a CAR that is complete.
pub(super) fn wrapped(layers: &dyn PackLayers, car: &Spool, sink: Spool) -> Result<Spool> {
    let mut sink = io::BufWriter::with_capacity(BUFFER, sink);
    layers.wrap(&mut carstone_car::AtReader::new(car), &mut sink)?;
    Ok(sink.into_inner().map_err(io::IntoInnerError::into_error)?)
}

/// Bytes by which wrapped packs are told.
const FRONT: u64 = 64;
/// Packs that are open at the same time. Each may hold some blocks.
const MOST_OPEN: usize = 4;
const MOST_KNOWN: usize = 100_000;
const BUFFER: usize = 256 << 10;
