//! Objects in memory and in services, behind the crate `object_store`.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore, ObjectStoreExt, PutPayload, WriteMultipart};

use super::local::blocking;
use super::spool::Spool;
use super::{Content, Created, Object, Objects, end_of, read_exact_at};
use crate::error::{Error, ErrorKind, Result};
use crate::name::Key;

/// Objects in memory, in S3-compatible and other services, or read over HTTP: whatever the crate `object_store` reaches.
#[derive(Clone, Debug)]
pub struct RemoteObjects {
    store: Arc<dyn ObjectStore>,
    /// What all keys begin with; empty, or it ends with a slash.
    prefix: String,
    name: Arc<str>,
}

impl RemoteObjects {
    /// Those of a store below `prefix`. Messages call it `name`.
    ///
    /// # Errors
    /// No key can begin with this.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: &str, name: &str) -> Result<Self> {
        let prefix = match prefix.trim_matches('/') {
            "" => String::new(),
            prefix => format!("{}/", Key::new(prefix)?),
        };
        Ok(Self { store, prefix, name: name.into() })
    }

    /// An empty store in memory, which is gone with this value.
    pub fn in_memory() -> Self {
        let store = Arc::new(object_store::memory::InMemory::new());
        Self { store, prefix: String::new(), name: "memory:".into() }
    }

    fn path(&self, key: &Key) -> Path {
        Path::from(format!("{}{key}", self.prefix))
    }

    async fn put(&self, key: &Key, content: Content) -> Result<()> {
        let path = self.path(key);
        let spool = match content {
            Content::Bytes(bytes) => {
                self.store.put(&path, PutPayload::from_bytes(bytes)).await.map_err(told)?;
                return Ok(());
            }
            Content::Spool(spool) => Arc::new(spool),
        };
        if spool.len() <= PART as u64 {
            let bytes = part(&spool, 0..spool.len()).await?;
            self.store.put(&path, PutPayload::from_bytes(bytes)).await.map_err(told)?;
            return Ok(());
        }
        let upload = self.store.put_multipart(&path).await.map_err(told)?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, PART);
        let sent = async {
            let mut at = 0;
            while at < spool.len() {
                let end = spool.len().min(at + PART as u64);
                let bytes = part(&spool, at..end).await?;
                upload.wait_for_capacity(PARTS_AT_ONCE).await.map_err(told)?;
                upload.put(bytes);
                at = end;
            }
            Ok(())
        };
        match sent.await {
            Ok(()) => upload.finish().await.map(drop).map_err(told),
            Err(error) => {
                // The parts that were sent cost nothing but money; the error that ended it is the one to tell.
                let _ = upload.abort().await;
                Err(error)
            }
        }
    }

    async fn head(&self, key: &Key) -> Result<Option<u64>> {
        match self.store.head(&self.path(key)).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(told(error)),
        }
    }

    async fn get(
        &self,
        key: &Key,
        range: Option<Range<u64>>,
    ) -> Result<(u64, object_store::GetResult)> {
        // The services refuse such a range in many ways.
        if let Some(range) = range.as_ref().filter(|range| range.start > range.end) {
            end_of(range, 0)?;
        }
        let options = GetOptions { range: range.clone().map(Into::into), ..GetOptions::default() };
        let got = self.store.get_opts(&self.path(key), options).await.map_err(told)?;
        let wanted = match range {
            None => got.meta.size,
            Some(range) => {
                end_of(&range, got.meta.size)?;
                if got.range != range {
                    let what = format!("bytes {}–{}", got.range.start, got.range.end);
                    return Err(Error::new(ErrorKind::NotTheRange(what)));
                }
                range.end - range.start
            }
        };
        Ok((wanted, got))
    }
}

#[async_trait]
impl Objects for RemoteObjects {
    async fn create(&self, key: &Key, content: Content) -> Result<Created> {
        let len = content.len();
        let create = async {
            let created = match self.head(key).await? {
                Some(size) if size == len => return Ok(Created::Existed),
                Some(_) => Created::Replaced,
                None => Created::New,
            };
            self.put(key, content).await?;
            match self.head(key).await? {
                Some(found) if found == len => Ok(created),
                found => {
                    let found = found.unwrap_or_default();
                    Err(Error::new(ErrorKind::Short { expected: len, found }))
                }
            }
        };
        create.await.map_err(|error| error.of(key))
    }

    async fn replace(&self, key: &Key, content: Content) -> Result<()> {
        self.put(key, content).await.map_err(|error| error.of(key))
    }

    async fn read(&self, key: &Key, range: Range<u64>) -> Result<Bytes> {
        if range.start == range.end {
            return Ok(Bytes::new());
        }
        let read = async {
            let (wanted, got) = self.get(key, Some(range)).await?;
            let bytes = got.bytes().await.map_err(told)?;
            match bytes.len() as u64 == wanted {
                true => Ok(bytes),
                false => {
                    let found = bytes.len() as u64;
                    Err(Error::new(ErrorKind::Short { expected: wanted, found }))
                }
            }
        };
        read.await.map_err(|error| error.of(key))
    }

    async fn stream(
        &self,
        key: &Key,
        range: Option<Range<u64>>,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        if range.as_ref().is_some_and(|range| range.start == range.end) {
            return Ok(stream::empty().boxed());
        }
        let (wanted, got) = self.get(key, range).await.map_err(|error| error.of(key))?;
        let pieces = got.into_stream().map_err(told);
        let counted = stream::try_unfold((pieces, 0_u64), move |(mut pieces, so_far)| async move {
            match pieces.try_next().await? {
                Some(piece) => {
                    let found = so_far.saturating_add(piece.len() as u64);
                    match found <= wanted {
                        true => Ok(Some((piece, (pieces, found)))),
                        false => Err(Error::new(ErrorKind::NotTheRange("more".to_owned()))),
                    }
                }
                None if so_far == wanted => Ok(None),
                None => Err(Error::new(ErrorKind::Short { expected: wanted, found: so_far })),
            }
        });
        let key = key.clone();
        Ok(counted.map_err(move |error: Error| error.of(&key)).boxed())
    }

    async fn size(&self, key: &Key) -> Result<Option<u64>> {
        self.head(key).await.map_err(|error| error.of(key))
    }

    fn list(&self, prefix: &str) -> BoxStream<'static, Result<Object>> {
        let wanted = format!("{}{prefix}", self.prefix);
        // The service lists below a step, and not by any prefix.
        let above = wanted.rsplit_once('/').map(|(above, _)| Path::from(above));
        let own = self.prefix.len();
        let name = format!("{}/{prefix}", self.name.trim_end_matches('/'));
        let listed = self.store.list(above.as_ref()).map_err(move |error| told(error).of(&name));
        let objects = listed.try_filter_map(move |meta| {
            let key = meta.location.as_ref();
            let object = key.starts_with(&wanted).then(|| Object {
                key: key.get(own..).unwrap_or_default().to_owned(),
                size: meta.size,
                modified: Some(meta.last_modified.into()),
            });
            async move { Ok(object) }
        });
        objects.boxed()
    }

    async fn delete(&self, key: &Key) -> Result<bool> {
        let delete = async {
            if self.head(key).await?.is_none() {
                return Ok(false);
            }
            match self.store.delete(&self.path(key)).await {
                Ok(()) => Ok(true),
                Err(object_store::Error::NotFound { .. }) => Ok(false),
                Err(error) => Err(told(error)),
            }
        };
        delete.await.map_err(|error: Error| error.of(key))
    }

    fn spool(&self) -> Result<Spool> {
        Spool::unnamed()
    }
}

impl fmt::Display for RemoteObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// A part of a spool, in memory.
async fn part(spool: &Arc<Spool>, range: Range<u64>) -> Result<Bytes> {
    let spool = Arc::clone(spool);
    blocking(move || {
        let len = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
        let mut bytes = vec![0; len];
        read_exact_at(&*spool, &mut bytes, range.start)?;
        Ok(bytes.into())
    })
    .await
}

/// What an error of the service means here.
fn told(error: object_store::Error) -> Error {
    use object_store::Error as Remote;
    Error::new(match error {
        Remote::NotFound { .. } => ErrorKind::NotFound,
        Remote::PermissionDenied { .. } | Remote::Unauthenticated { .. } => {
            ErrorKind::Denied(io::Error::other(error))
        }
        Remote::NotSupported { .. } | Remote::NotImplemented { .. } => {
            ErrorKind::Io(io::Error::new(io::ErrorKind::Unsupported, error))
        }
        error => ErrorKind::Io(io::Error::other(error)),
    })
}

/// Bytes of a part of an upload: at least 5 MiB, and in 10,000 of them, the most that S3 takes, 78 GiB.
const PART: usize = 8 << 20;
/// Parts that are on their way at the same time.
const PARTS_AT_ONCE: usize = 4;
